"""What keys of records hold, by one policy: *what can change a result is in its key; what cannot is not*.

In a key are

- settings, by what differs from their defaults, so that a new setting with a default changes no key; where a value
  follows from others (the widths that `full_width_layers` leaves), the value that counts in the end;
- files by what they hold (`aira_lib.contents`), never by where they lie;
- the records that are read, by their own keys, as their manifests say: what they depend on is in those;
- code, by the versions below. A version says that the same inputs give the same results. For each piece a few tiny
  results are kept in tests/golden, defaults of settings among them: when they change, a test says which version to
  raise. The report, which is made anew in seconds, depends on its code by a digest of it;
- of a measurement of times alone, the machine: the model of its processor or GPU, and on a CPU the threads. It is found
  again only on the same kind of machine; on another one it is made anew, beside the first;
- what computes: the kind of device, the kernels and the precision. bf16 and fused kernels round otherwise, and training
  amplifies that (the accuracies of a proxy by up to a few hundredths). An evaluation's key names the versions of the
  packages that compute, too: it is shared by all, and made again in minutes. A search's does not, since a language
  model was paid for it; its manifest does.

In no key are names of studies and units (they say where a record lies), paths, stores, ranks, memory, machines and
threads (but for times), how often a checkpoint is written, the trunk that a training branches from (it saves time; the
branch is the same bits), and in what portions a finished model is scored: fp32 sums in another order, which change no
more than the last digits. Neither are they in that of answers to downstream tasks, which are batched by length.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import aira_lib
from aira_lib.device import device_kind, device_name, kernels

Piece = Literal[
    "mad",
    "text",
    "models",
    "proxy",
    "search",
    "archive",
    "aggregate",
    "extrapolate",
    "training",
    "evaluate",
    "downstream",
    "latency",
    "programs",
]

# Raised when the same inputs would give other results: old records then no longer match. See tests/golden. "models" are
# the layers and the language model; the models of the MAD tasks around them belong to "proxy", which alone has them.
VERSIONS: dict[Piece, int] = {
    "mad": 1,
    "text": 2,
    "models": 2,
    "proxy": 3,
    "search": 3,
    "archive": 3,
    "aggregate": 4,
    "extrapolate": 2,
    "training": 3,
    "evaluate": 5,
    "downstream": 2,
    "latency": 1,
    "programs": 3,
}
PIECES: tuple[Piece, ...] = get_args(Piece)


def versions_of(*pieces: Piece) -> dict[str, int]:
    """The versions of some pieces of code."""
    return {piece: VERSIONS[piece] for piece in pieces}


def computes() -> dict[str, str]:
    """The kind of device that this process computes on, and the kernels there."""
    kind = device_kind()
    return {"device": kind, "kernels": kernels(kind)}


def machine(threads: int) -> dict[str, Any]:
    """What times depend on beside `computes`: the model of what computes, and of a CPU how many threads do."""
    return {"device": device_name(), **({"threads": threads} if device_kind() == "cpu" else {})}


def owner(entry: Any) -> str | None:
    """Whose an entry of a registry is, as ``package.module:name``; None: it comes with AIRA.

    Two people may call entries of their own alike, and share a store.

    Args:
        entry: a function, a class, an object, or already that text.
    """
    if not isinstance(entry, str):
        named = entry if hasattr(entry, "__qualname__") else type(entry)
        entry = f"{named.__module__}:{named.__qualname__}"
    return None if entry.startswith("aira_lib.") else entry


@cache
def package_digest(name: str) -> str:
    """SHA-256 (hex) of the files of a package of this library, such as "report"."""
    whole = hashlib.sha256()
    folder = Path(aira_lib.__file__).parent / name
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        whole.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()
