"""Take the files that a task exports (`file_export_globs`) out of a candidate's work directory."""

import fnmatch
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from aira_lib.sandbox import ArtefactError, collect

MAX_BYTES = 64 * 2**20
"""Of all files of one submission together; AIRS-Bench states no limit."""

_MOST_ENTRIES = 10_000
_PICKLED = (".pkl", ".pickle", ".joblib", ".pt", ".pth")


def collect_exports(workdir: Path, patterns: Sequence[str], hidden: Sequence[str] = ()) -> Mapping[str, bytes]:
    """Read what matches, by its path relative to the work directory.

    Only regular files with a single name are read, below folders that are no links; whatever can execute code when it
    is merely loaded, a pickle, is refused.

    Args:
        workdir: The work directory of a program that has ended.
        patterns: Names such as `submission.csv`, or patterns such as `configs/*.yaml`.
        hidden: Entries of the work directory that are not the candidate's.

    Raises:
        ArtefactError: nothing matches one of the patterns, or a file cannot be accepted.
    """
    names = list(_files(workdir, hidden)) if any(not plain(pattern) for pattern in patterns) else []
    found: dict[str, bytes] = {}
    for pattern in patterns:
        matching = [pattern] if plain(pattern) else sorted(fnmatch.filter(names, pattern.removeprefix("./")))
        if not matching:
            raise ArtefactError(f"no file {pattern!r} was written")
        for name in matching:
            left = MAX_BYTES - sum(map(len, found.values()))
            content = collect((workdir / name).parent, Path(name).name, left)
            if name.endswith(_PICKLED) or _is_pickle(content):
                raise ArtefactError(f"{name} is a pickle, which is not accepted")
            found[name] = content
    return found


def plain(pattern: str) -> bool:
    """Whether a pattern is just the name of one file."""
    return pattern not in (".", "..") and not any(character in pattern for character in "/*?[")


def _files(folder: Path, hidden: Sequence[str], prefix: str = "") -> Iterator[str]:
    """The regular files below a folder; links are neither named nor followed."""
    count = 0
    todo = [(folder, prefix)]
    while todo:
        here, prefix = todo.pop()
        with os.scandir(here) as listing:
            for entry in listing:
                count += 1
                if count > _MOST_ENTRIES:
                    raise ArtefactError(f"more than {_MOST_ENTRIES} files were written")
                name = prefix + entry.name
                if entry.is_dir(follow_symlinks=False) and name not in hidden:
                    todo.append((Path(entry.path), f"{name}/"))
                elif entry.is_file(follow_symlinks=False) and name not in hidden:
                    yield name


def _is_pickle(content: bytes) -> bool:
    """Pickles of protocol 2 and up begin with its number and end with a stop; torch.save puts one into a ZIP file."""
    if content[:2] == b"PK":
        return b".pkl" in content
    return content[:1] == b"\x80" and content[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05") and content[-1:] == b"."
