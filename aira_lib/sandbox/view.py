"""What a candidate sees of the file system: a minimal root, listed here and nowhere else.

Only what Python needs to run is there, read-only: system libraries and programs, this Python and the packages of its
environment, a handful of files of /etc. The work directory alone can be written to. Everything keeps its own path, for
environments have theirs built in; the folders above are empty but for what is listed. So an environment that lies in
a home or in a project's checkout is seen, and neither the home nor the checkout is.
"""

import functools
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
LINKS = {"/dev/fd": "/proc/self/fd", "/dev/stdin": "/dev/fd/0", "/dev/stdout": "/dev/fd/1", "/dev/stderr": "/dev/fd/2"}
SHARED_MEMORY_MB = 64  # /dev/shm, which the locks of multiprocessing need

_LIBRARIES = ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "libexec")
_SYSTEM = (
    *(f"/{name}" for name in _LIBRARIES),
    *(f"/usr/{name}" for name in _LIBRARIES),
    *(f"/usr/local/{name}" for name in _LIBRARIES),
    "/nix/store",
    "/usr/share/zoneinfo",
    *(f"/etc/{name}" for name in ("alternatives", "group", "ld.so.cache", "localtime", "nsswitch.conf", "passwd")),
)
# Not the whole prefix: an environment made with `python -m venv .` has the project itself as its prefix.
_OF_A_PREFIX = ("bin", "lib", "lib32", "lib64", "pyvenv.cfg")
_PROJECT = Path(__file__).parents[1]


@dataclass(frozen=True)
class View:
    """Paths by where they are seen: (source, target) pairs, parents before what lies within them.

    `hidden` folders are covered by empty ones; `work` is seen at its own path, and `data` after it, read-only.
    """

    readonly: tuple[tuple[str, str], ...]
    hidden: tuple[str, ...]
    work: str
    data: tuple[tuple[str, str], ...]


def view_of(workdir: Path, data: Mapping[str, Path]) -> View:
    """The view of a candidate.

    Args:
        workdir: Its work directory, resolved.
        data: Files and folders by the name, relative to the work directory, under which they are seen.
    """
    readonly = mounts((*_SYSTEM, *_environment()))
    placed = tuple((os.path.realpath(source), str(workdir / name)) for name, source in sorted(data.items()))
    return View(readonly, hidden(readonly, _PROJECT), str(workdir), placed)


def _environment() -> tuple[str, ...]:
    """This Python installation and the packages of its environment."""
    prefixes = dict.fromkeys((sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix))
    return tuple(os.path.join(prefix, name) for prefix in prefixes for name in _OF_A_PREFIX)


@functools.cache
def mounts(wanted: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Those paths that exist, each seen at its own name and, if links lead to it, at its real one too.

    What lies within another is left out: it is seen with it.
    """
    existing = [path for path in wanted if os.path.exists(path)]
    targets = sorted({*existing, *map(os.path.realpath, existing)})
    return tuple((os.path.realpath(target), target) for target in targets if not _within(target, targets))


def hidden(readonly: Iterable[tuple[str, str]], folder: Path) -> tuple[str, ...]:
    """The places where a folder would be seen: an installed package of this project lies among all the others."""
    real = os.path.realpath(folder)
    return tuple(
        os.path.normpath(os.path.join(target, os.path.relpath(real, source)))
        for source, target in readonly
        if real.startswith(source + os.sep)
    )


def _within(path: str, others: Iterable[str]) -> bool:
    return any(path.startswith(other + os.sep) for other in others)
