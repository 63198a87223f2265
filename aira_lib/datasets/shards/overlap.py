"""How much of evaluation data occurs in the training text of shards: runs of words that both have.

The usual measure of contamination (13 words in Brown et al., arXiv 2005.14165, appendix C): two texts share a run of
`n` words, in lower case and without punctuation. An item of evaluation data overlaps where one of its runs occurs
anywhere in training; its share is that of its distinct runs that do. Items of fewer words have no run and are counted
apart. Words are letters and digits between other signs, so scripts without spaces are hardly measured.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aira_lib.datasets.shards.folder import opened_shard, read_manifest, tokenizer_in
from aira_lib.datasets.shards.manifest import Shard, ShardManifest
from aira_lib.datasets.shards.processes import side_by_side
from aira_lib.datasets.text.files import records_of, text_files
from aira_lib.errors import UserError
from aira_lib.records import Row
from aira_lib.store import open_store, place_of

WORDS = 13
_WORD = re.compile(r"\w+")


class FileOverlap(Row):
    """What a file of evaluation data shares with training.

    `shares` has, for each item (line, row or text, from 0) that overlaps, the share of its runs that occur.
    """

    name: str
    items: int
    short: int
    overlapping: int
    shares: dict[int, float]


class Overlap(Row):
    """The report: of each file, and how many training documents share a run with any of them."""

    words: int
    files: tuple[FileOverlap, ...]
    documents: int
    documents_overlapping: int


@dataclass(frozen=True, eq=False)
class Runs:
    """All distinct runs of words of evaluation data.

    Attributes:
        length: words of a run.
        words: a number from 1 for each word that occurs in them; all others are 0.
        runs: int32 [runs, length], words by number.
        hashes: uint64 [runs], rising; a hash of each run.
        factors: uint64 [words + 1, length], from which hashes are made.
    """

    length: int
    words: Mapping[str, int]
    runs: NDArray[np.int32]
    hashes: NDArray[np.uint64]
    factors: NDArray[np.uint64]

    def found_in(self, text: str) -> NDArray[np.int64]:
        """Which runs occur in a text, int64 [found], with repetitions."""
        get, length = self.words.get, self.length
        numbers = np.fromiter((get(word, 0) for word in _WORD.findall(text.lower())), np.int32)
        if len(numbers) < length or not len(self.hashes):
            return np.empty(0, np.int64)
        unknown = np.concatenate([[0], np.cumsum(numbers == 0)])
        starts = np.flatnonzero(unknown[length:] == unknown[:-length])
        windows = numbers[starts[:, None] + np.arange(length)]
        at = np.searchsorted(self.hashes, _hashes(windows, self.factors)).clip(max=len(self.hashes) - 1)
        found: NDArray[np.int64] = at[(self.runs[at] == windows).all(axis=1)]
        return found


@dataclass(frozen=True)
class _Items:
    """The runs of each item of a file, by number; an item without any is short."""

    name: str
    runs: tuple[frozenset[int], ...]


def overlap(
    uri: str, places: Sequence[str], text_field: str | None, words: int, processes: int, tell: Callable[[str], None]
) -> Overlap:
    """Compare evaluation data with the training split of shards.

    Args:
        uri: the shards.
        places: files or folders of evaluation data, of the kinds that shards are made from.
        text_field: the field or column to compare; None: all text of an item, each of its strings by itself.
        words: of a run.
        processes: that work side by side, a shard each.
        tell: told the name of each shard when it is done.

    Raises:
        UserError: the shards are damaged, the data cannot be read, no item is long enough, or the tokenizer is not with
            the shards.
        MissingDependency: the tokenizer needs packages that are not installed.
    """
    store = open_store(uri)
    manifest = read_manifest(store)
    if tokenizer_in(store, manifest) is None:
        raise UserError(f"{place_of(store.uri)}: its tokenizer.json is missing or another, so no text can be compared")
    runs, items = _runs_of([file for place in places for file in text_files(Path(place))], text_field, words)
    if not len(runs.runs):
        raise UserError(f"{', '.join(places)}: no item has {words} words in a row; choose fewer with --words")
    occurs, documents, overlapping = np.zeros(len(runs.runs), bool), 0, 0
    for name, found, seen, hit in _by_shard(store.uri, manifest, runs, processes):
        occurs[found] = True
        documents, overlapping = documents + seen, overlapping + hit
        tell(name)
    return Overlap(
        words=words, files=tuple(_report(each, occurs) for each in items), documents=documents,
        documents_overlapping=overlapping,
    )  # fmt: skip


def _runs_of(files: Sequence[Path], text_field: str | None, length: int) -> tuple[Runs, list[_Items]]:
    numbers, places = dict[str, int](), dict[tuple[int, ...], int]()

    def place_of_run(run: tuple[int, ...]) -> int:
        return places.setdefault(run, len(places))

    items = []
    for file in files:
        texts = (_strings(record, text_field, file) for record in records_of(file))
        of_items = (
            frozenset(place_of_run(run) for text in strings for run in _runs_in(text, numbers, length))
            for strings in texts
        )
        items.append((file.name, tuple(of_items)))
    unsorted = np.array(list(places), np.int32).reshape(len(places), length)
    factors = np.random.default_rng(0).integers(0, 1 << 64, (len(numbers) + 1, length), np.uint64)
    hashes = _hashes(unsorted, factors)
    order = np.argsort(hashes)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    named = [_Items(name, tuple(frozenset(int(rank[run]) for run in runs) for runs in each)) for name, each in items]
    return Runs(length, numbers, unsorted[order], hashes[order], factors), named


def _runs_in(text: str, numbers: dict[str, int], length: int) -> Iterator[tuple[int, ...]]:
    words = [numbers.setdefault(word, len(numbers) + 1) for word in _WORD.findall(text.lower())]
    return (tuple(words[at : at + length]) for at in range(len(words) - length + 1))


def _hashes(windows: NDArray[np.int32], factors: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A hash of each run of words, uint64 [runs]: the sum of a random number for each word at its place."""
    total = np.zeros(len(windows), np.uint64)
    for place in range(windows.shape[1]):
        total += factors[windows[:, place], place]
    return total


def _strings(record: Any, text_field: str | None, file: Path) -> list[str]:
    """All text of an item."""
    if text_field is not None and isinstance(record, dict):
        if text_field not in record:
            raise UserError(f"{file}: no field {text_field!r}; fields: {', '.join(record)}")
        record = record[text_field]
    if isinstance(record, str):
        return [record]
    inner: Iterable[Any] = record.values() if isinstance(record, dict) else record if isinstance(record, list) else ()
    return [text for each in inner for text in _strings(each, None, file)]


def _by_shard(
    uri: str, manifest: ShardManifest, runs: Runs, processes: int
) -> Iterator[tuple[str, NDArray[np.int64], int, int]]:
    """Of each training shard: its name, the runs that occur, its documents, and how many of them have one."""
    shards = manifest.splits["train"].shards
    if processes == 1 or len(shards) < 2:
        yield from ((shard.name, *_compare(uri, shard, manifest, runs)) for shard in shards)
        return
    with side_by_side(min(processes, len(shards)), _begin, uri, manifest, runs) as pool:
        yield from ((shard.name, *result) for shard, result in zip(shards, pool.map(_in_process, shards), strict=True))


_shared: list[tuple[str, ShardManifest, Runs]] = []


def _begin(*shared: Any) -> None:
    _shared[:] = [shared]


def _in_process(shard: Shard) -> tuple[NDArray[np.int64], int, int]:
    uri, manifest, runs = _shared[0]
    return _compare(uri, shard, manifest, runs)


def _compare(uri: str, shard: Shard, manifest: ShardManifest, runs: Runs) -> tuple[NDArray[np.int64], int, int]:
    store = open_store(uri)
    tokenizer = tokenizer_in(store, manifest)
    found, hit, start = set[int](), 0, 0
    with opened_shard(store, shard.name, manifest.type, shard) as (ids, lengths):
        for length in lengths.tolist():
            here = runs.found_in(tokenizer.decode(ids[start : start + length])) if tokenizer else np.empty(0, np.int64)
            found.update(here.tolist())
            hit += bool(len(here))
            start += length
        return np.array(sorted(found), np.int64), len(lengths), hit


def _report(items: _Items, occurs: NDArray[np.bool_]) -> FileOverlap:
    shares = {
        number: round(sum(bool(occurs[run]) for run in runs) / len(runs), 4)
        for number, runs in enumerate(items.runs)
        if any(occurs[run] for run in runs)
    }
    short = sum(not runs for runs in items.runs)
    return FileOverlap(
        name=items.name, items=len(items.runs), short=short, overlapping=len(shares), shares=shares
    )  # fmt: skip
