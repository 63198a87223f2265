"""What the data of a task is: `About`, measured when the data are made and kept beside them."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from aira_lib.lra.data.ceilings import Ceiling
from aira_lib.lra.data.rows import Row, Rows
from aira_lib.lra.data.sizes import LraSize, LraTask, Size
from aira_lib.lra.data.sources import BENCHMARK, Source
from aira_lib.lra.data.splits import shared_rows, text_hash
from aira_lib.lra.data.tokens import BYTE_VOCABULARY, LISTOPS_VOCABULARY
from aira_lib.lra.data.words import bag_of_words, majority, word_overlap
from aira_lib.records import StandIn
from aira_lib.records.row import Row as Record

SPLITS = ("train", "validation", "test")
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
        arrays: SHA-256 of each file of arrays, by its name in the folder.
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
    arrays: dict[str, str]
    stand_in: StandIn | None
    ceilings: tuple[Ceiling, ...]

    def __str__(self) -> str:
        shallow = ", ".join(map(str, self.ceilings))
        unit = "tokens" if self.task == "listops" else "bytes"
        return f"{self.task} of {self.max_len} {unit}, from {self.source}, seed {self.seed}; on its test: {shallow}"


def about_of(
    rows: Rows, source: Source, name: LraSize, size: Size, seed: int, contents: str, arrays: dict[str, str]
) -> About:
    """Measure what some rows are.

    Args:
        rows: whole texts, before they are cut to the length of a row.
        source: where they are from.
        name: of the size.
        size: of which they are.
        seed: of what is generated, drawn or held out.
        contents: digest of the files that were read; "" for a generator.
        arrays: SHA-256 of the files that hold them.
    """
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
        arrays=arrays,
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
