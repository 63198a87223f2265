"""Files of items: which of a task's folder hold the split to score, and the public rows in them."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aira_lib.downstream.tables import DownstreamTask
from aira_lib.errors import UserError

PACKAGE_SOURCE = "source.json"
"""Beside the files that were made of a package: what they were made of."""

_SUFFIXES = (".parquet", ".jsonl", ".json")
_SPLIT = re.compile(r"(?:^|[^a-z])(train|validation|valid|val|dev|test)(?![a-z])")
_SAME = {"valid": "validation", "val": "validation", "dev": "validation"}
_SHARD = re.compile(r"(.*)-(\d{5})-of-(\d{5})")


def files_of(task: DownstreamTask, folder: Path) -> tuple[str, tuple[Path, ...]] | None:
    """The split to score and its files in a task's own folder: the paper's split where it is there.

    A name says the split (`test-00000-of-00001.parquet`, `dev-v2.0.json`); a name that says none has the paper's.

    Args:
        task: which.
        folder: `NAME/` in the folder of all items.

    Returns:
        None where the folder is not there.

    Raises:
        UserError: the folder has no such file, or more than one that it could be.
    """
    if not folder.is_dir():
        return None
    splits: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in _SUFFIXES and path.name != PACKAGE_SOURCE and not path.name.startswith("."):
            splits.setdefault(_split_of(path, task), []).append(path)
    for split in dict.fromkeys((task.paper_split, "validation", "test")):
        if split in splits:
            return split, _whole(splits[split], split)
    there = f"only {', '.join(sorted(splits))}" if splits else "nothing in .parquet, .jsonl or .json"
    raise UserError(f"{folder}: {there}; {task.name} is scored on {task.paper_split}: {task.source}")


def _split_of(path: Path, task: DownstreamTask) -> str:
    said = _SPLIT.findall(path.stem.lower())
    return _SAME.get(said[0], said[0]) if said else task.paper_split


def _whole(paths: list[Path], split: str) -> tuple[Path, ...]:
    """All shards of one data set, or the one file."""
    shards = [_SHARD.fullmatch(path.stem) for path in paths]
    if len(paths) == 1 and shards[0] is None:
        return tuple(paths)
    if None in shards or len({(found[1], found[3]) for found in shards if found}) > 1:
        names = ", ".join(path.name for path in paths)
        raise UserError(f"{paths[0].parent}: several files of split {split} ({names}); leave the one to score")
    found = [shard for shard in shards if shard]
    if [int(shard[2]) for shard in found] != list(range(int(found[0][3]))):
        raise UserError(f"{paths[0].parent}: of split {split} are not all parts there; it has {int(found[0][3])}")
    return tuple(paths)


def public_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """The rows of a Parquet file, or the objects in a file of JSON: one a line, a list, or those below `data`.

    Raises:
        UserError: it cannot be read.
    """
    try:
        if path.suffix == ".parquet":
            yield from _parquet_rows(path)
        elif path.suffix == ".jsonl":
            with path.open(encoding="utf-8") as lines:
                yield from (json.loads(line) for line in lines if line.strip())
        else:
            content = json.loads(path.read_text(encoding="utf-8"))
            yield from content["data"] if isinstance(content, Mapping) else content
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); fetch it again") from None
    except (ValueError, KeyError, TypeError):  # of which UnicodeDecodeError and those of JSON and Arrow are
        kind = "Parquet" if path.suffix == ".parquet" else "JSON of items"
        raise UserError(f"{path}: not {kind}; fetch it again") from None


def _parquet_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    import pyarrow.parquet as pq

    yield from pq.read_table(path).to_pylist()
