"""The data of a task as arrays, with what it is: `lra_data`."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from aira_lib.contents import file_digest
from aira_lib.identity import package_digest
from aira_lib.lra.data.cached import cached_folder
from aira_lib.lra.data.ceilings import Ceiling
from aira_lib.lra.data.rows import Row, Rows
from aira_lib.lra.data.sizes import LraSize, LraTask, Size, size_of
from aira_lib.lra.data.sources import BENCHMARK, Source, source_named
from aira_lib.lra.data.splits import shared_rows, text_hash
from aira_lib.lra.data.tokens import BYTE_VOCABULARY, LISTOPS_VOCABULARY, Ids, padded_bytes, padded_ids
from aira_lib.lra.data.words import bag_of_words, majority, word_overlap
from aira_lib.records import StandIn
from aira_lib.records.row import Row as Record
from aira_lib.records.row import read_row

SPLITS = ("train", "validation", "test")
ABOUT = "about.json"
_ROWS_AT_ONCE = 4096
# What is measured whatever the source; that of ListOps comes with its ladder.
_SHALLOW: dict[LraTask, tuple[Callable[[Sequence[Row], Sequence[Row]], Ceiling], ...]] = {
    "text": (majority, bag_of_words),
    "listops": (),
    "retrieval": (majority, word_overlap),
}
_TITLES = {"text": "IMDB's reviews", "listops": "ListOps", "retrieval": "AAN's papers"}
_CLASSES = {"text": 2, "listops": 10, "retrieval": 2}


class About(Record):
    """What the data of a task is: kept beside its arrays, and said with every result.

    Attributes:
        task, size, source: as asked for.
        seed: of what is generated, drawn or held out.
        max_len: length of a row; what is longer is cut behind, what is shorter filled up with 0.
        vocab_size: ids, that which fills up among them.
        num_classes: classes of the labels.
        rows: examples of each split.
        provenance: plain values: contents of sources, lengths, shares of classes, what was left out.
        stand_in: what stands in the place of the benchmark's data; None: it is that.
        ceilings: what shallow readings reach on the test.
    """

    task: str
    size: str
    source: str
    seed: int
    max_len: int
    vocab_size: int
    num_classes: int
    rows: dict[str, int]
    provenance: dict[str, Any]
    stand_in: StandIn | None
    ceilings: tuple[Ceiling, ...]

    def __str__(self) -> str:
        shallow = ", ".join(map(str, self.ceilings))
        unit = "tokens" if self.task == "listops" else "bytes"
        return f"{self.task} of {self.max_len} {unit}, from {self.source}, seed {self.seed}; on its test: {shallow}"


@dataclass(frozen=True)
class LraSplit:
    """Examples: `inputs`, one int32 array [n, max_len] or two (Retrieval), and `labels`, int32 [n]."""

    inputs: tuple[Ids, ...]
    labels: Ids

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class LraData:
    """The splits of a task, and what they are. The arrays lie on disk and are read as they are used."""

    train: LraSplit
    validation: LraSplit
    test: LraSplit
    about: About
    folder: Path

    @property
    def stand_in(self) -> StandIn | None:
        """What stands in the place of the benchmark's data."""
        return self.about.stand_in

    @property
    def ceilings(self) -> tuple[Ceiling, ...]:
        """What shallow readings reach on the test."""
        return self.about.ceilings


def lra_data(task: LraTask, size: LraSize = "laptop", source: str = "", seed: int = 0) -> LraData:
    """The data of a task; made once, then found in the scratch folder by what determines it.

    Args:
        task: text, listops or retrieval.
        size: paper, laptop or smoke (see `sizes`).
        source: NAME or NAME:FOLDER (see `sources`); "" is the one that needs no files.
        seed: of what is generated, drawn or held out; at least 0.

    Raises:
        UserError: no such task, size or source, or its files are missing or damaged.
        StoreError: the disk refuses.
    """
    asked = size_of(task, size)
    origin, folder = source_named(task, source)
    paths = [path for path in origin.files(folder) if path.is_file()] if origin.files else []
    read = [[path.relative_to(folder).as_posix(), file_digest(path)] for path in paths]
    contents = hashlib.sha256(json.dumps(read).encode()).hexdigest()
    says = {"task": task, "size": asdict(asked), "of": size, "source": origin.name, "seed": seed, "contents": contents}
    key = hashlib.sha256(json.dumps({**says, "code": package_digest("lra/data")}, sort_keys=True).encode()).hexdigest()

    def make(place: Path) -> None:
        rows = origin.build(folder, asked, size, seed)
        about = _about(rows, origin, size, asked, seed, contents if read else "")
        _write(rows, place, about)

    return read_data(cached_folder("lra", key, make))


def read_data(folder: Path) -> LraData:
    """The data in a folder that `lra_data` made, or that was copied from one.

    Raises:
        OSError, ValueError: there is none.
    """
    about = read_row(folder / ABOUT, About)
    train, validation, test = (_split(folder / name) for name in SPLITS)
    return LraData(train, validation, test, about, folder)


def input_files(n: int) -> list[str]:
    """The names of the files with the inputs of a split: one text a row, or two."""
    return ["inputs.npy"] if n == 1 else [f"inputs{i + 1}.npy" for i in range(n)]


def _split(folder: Path) -> LraSplit:
    names = input_files(1 if (folder / "inputs.npy").exists() else 2)
    arrays = [np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in names]
    return LraSplit(tuple(arrays), np.load(folder / "labels.npy", allow_pickle=False))


def _write(rows: Rows, place: Path, about: About) -> None:
    to_ids = padded_ids if about.task == "listops" else padded_bytes
    for split in SPLITS:
        part: list[Row] = getattr(rows, split)
        (place / split).mkdir()
        np.save(place / split / "labels.npy", np.array([row.label for row in part], dtype=np.int32))
        for i, name in enumerate(input_files(len(part[0].texts))):
            array = open_memmap(place / split / name, mode="w+", dtype=np.int32, shape=(len(part), about.max_len))
            for start in range(0, len(part), _ROWS_AT_ONCE):
                some = part[start : start + _ROWS_AT_ONCE]
                array[start : start + len(some)] = to_ids([row.texts[i] for row in some], about.max_len)
            array.flush()
    (place / ABOUT).write_text(about.json_line(), encoding="utf-8")


def _about(rows: Rows, source: Source, name: LraSize, size: Size, seed: int, contents: str) -> About:
    parts = {split: getattr(rows, split) for split in SPLITS}
    seen = {split: _cut(part, size.max_len) for split, part in parts.items()}
    ceilings = [*(of(seen["train"], seen["test"]) for of in _SHALLOW[source.task]), *rows.ceilings]
    hashes = {split: [text_hash(*row.texts) for row in part] for split, part in seen.items()}
    provenance = {
        **rows.facts,
        **({"contents": contents} if contents else {}),
        "lengths": {split: _lengths(part, size.max_len) for split, part in parts.items()},
        "classes": {split: _shares(part) for split, part in parts.items()},
        "validation_rows_also_in_train": shared_rows(hashes["validation"], hashes["train"]),
        "test_rows_also_in_train": shared_rows(hashes["test"], hashes["train"]),
    }
    return About(
        task=source.task,
        size=name,
        source=source.name,
        seed=seed,
        max_len=size.max_len,
        vocab_size=LISTOPS_VOCABULARY if source.task == "listops" else BYTE_VOCABULARY,
        num_classes=_CLASSES[source.task],
        rows={split: len(part) for split, part in parts.items()},
        provenance=provenance,
        stand_in=_stand_in(source, name, size, seed, ceilings),
        ceilings=tuple(ceilings),
    )


def _cut(rows: Sequence[Row], max_len: int) -> list[Row]:
    """What a model sees of some rows."""
    return [Row(tuple(text[:max_len] for text in row.texts), row.label) for row in rows]


def _stand_in(source: Source, name: LraSize, size: Size, seed: int, ceilings: Sequence[Ceiling]) -> StandIn | None:
    if name == "paper" and not source.stands_in:
        return None
    unit = "tokens" if source.task == "listops" else "bytes"
    what = f"{source.stands_in or _TITLES[source.task]}, {size.max_len} {unit} at most"
    detail = f"seed {seed}; on its test: {', '.join(map(str, ceilings))}"
    return StandIn(what=what, instead_of=BENCHMARK[source.task], detail=detail)


def _lengths(rows: Sequence[Row], max_len: int) -> dict[str, int]:
    """Of the texts of some rows, in tokens; `cut` are those that are longer than a row."""
    lengths = sorted(len(text) for row in rows for text in row.texts)
    cut = sum(length > max_len for length in lengths)
    return {"shortest": lengths[0], "median": lengths[len(lengths) // 2], "longest": lengths[-1], "cut": cut}


def _shares(rows: Sequence[Row]) -> dict[str, float]:
    """The share of each class, rounded to what so many rows can tell."""
    counts = Counter(row.label for row in rows)
    return {str(label): round(count / len(rows), 4) for label, count in sorted(counts.items())}
