"""Take the files that a task exports (`file_export_globs`) out of a candidate's work directory."""

import fnmatch
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from aira_lib.sandbox import ArtefactError, collect
from aira_lib.tasks.airs.pickles import is_pickle

MAX_BYTES = 64 * 2**20
"""Of all files of one submission together; AIRS-Bench states no limit."""

_MOST_ENTRIES = 10_000


def collect_exports(
    workdir: Path, patterns: Sequence[str], hidden: Sequence[str] = (), most: int | None = None
) -> Mapping[str, bytes]:
    """Read what matches, by its path relative to the work directory.

    Only regular files with a single name are read, below folders that are no links; what is seen to be a pickle, which
    can execute code when it is merely loaded, is refused (see `aira_lib.tasks.airs.pickles`).

    Args:
        workdir: The work directory of a program that has ended.
        patterns: Names such as `submission.csv`, or patterns such as `configs/*.yaml`.
        hidden: Entries of the work directory that are not the candidate's.
        most: Bytes of all files together; by default MAX_BYTES.

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
            left = (most or MAX_BYTES) - sum(map(len, found.values()))
            content = collect((workdir / name).parent, Path(name).name, left)
            if is_pickle(name, content):
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
