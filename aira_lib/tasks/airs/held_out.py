"""Hold rows of a task's train split out: agents do not see their labels, the harness scores predictions of them.

The task format has no validation split that an agent could not read. What is built here looks, to the task's own
evaluate.py, like its test split: rows of `train/` with the columns of `test/` (for the agent, as `held_out/`) and with
those of `test_with_labels/` (for the scorer). That works where the three are tables of one kind, a data set of Hugging
Face's `save_to_disk` or one CSV file, and train has all columns of test and the scoring ones. Other columns of the
labels, such as the public tasks keep there by the dozen, are left out where train lacks them: evaluate.py, when it is
tried, tells whether it reads them. Rows are drawn at random, each on its own: what belongs together (a user, a time
series) may fall on both sides. Copies of the rows elsewhere than in `train/` stay; where the test split shows what is
to be predicted of them, nothing is held out.
"""

import csv
import hashlib
import io
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from aira_lib.foreign import in_a_line
from aira_lib.tasks.airs.cells import cell
from aira_lib.tasks.airs.leaks import shown_in
from aira_lib.tasks.airs.submissions import Table

HELD_OUT, TRAIN, TEST, LABELS = "held_out", "train", "test", "test_with_labels"
_SEED = 0  # one split for all agents and seeds, so that their fitness can be compared
_STATE, _INFO, _ARROW = "state.json", "dataset_info.json", "data-00000-of-00001.arrow"
_HF_METADATA = b"huggingface"  # of an Arrow schema: JSON that repeats dataset_info.json in part


class CannotHoldOut(Exception):
    """These data do not allow it; the text says why, in one line."""

    def __init__(self, why: str) -> None:
        super().__init__(in_a_line(why))


@dataclass(frozen=True)
class Split:
    """One table in a folder: its columns and rows as a pyarrow table (of texts for CSV)."""

    folder: Path
    kind: Literal["dataset", "csv"]
    file: str
    table: Any

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.table.column_names)

    def cells(self, names: Sequence[str]) -> Table:
        """Some of the columns as a submission."""
        columns = (map(cell, self.table[name].to_pylist()) for name in names)
        return Table(list(names), [list(row) for row in zip(*columns, strict=True)])

    def without(self, others: "Split") -> "Split":
        """The same split without the columns that another one lacks, in its metadata, too."""
        kept = [name for name in self.columns if name in others.columns]
        table = self.table.select(kept)
        told = dict(table.schema.metadata or {})
        if kept != self.columns and _HF_METADATA in told:
            told[_HF_METADATA] = json.dumps(_with_features(json.loads(told[_HF_METADATA]), kept)).encode()
            table = table.replace_schema_metadata(told)
        return replace(self, table=table)


@dataclass(frozen=True)
class HeldOutRows:
    """What `hold_out` wrote: the agent's data folder, the scorer's labels, and a perfect submission.csv.

    `gold` has the scoring columns alone; whether that is a submission of the task at all, only its evaluate.py tells.
    """

    agent_data: Path
    labels: Path
    rows: int
    gold: bytes


def hold_out(prepared: Path, labels: Path, target: Path, fraction: float, scoring: Sequence[str]) -> HeldOutRows:
    """Build an agent's data folder in which a share of the train split has no labels.

    Args:
        prepared: What prepare.py wrote; it stays as it is.
        labels: The `test_with_labels` that evaluate_prepare.py wrote.
        target: A folder to make; `agent_data` and `labels` are put there.
        fraction: The share of the rows, 0 to 1.
        scoring: `logging_info.scoring_column`.

    Raises:
        CannotHoldOut: the data are of another form; nothing usable is left in `target`.
    """
    import pyarrow as pa

    try:
        train, test, labelled = (read_split(folder) for folder in (prepared / TRAIN, prepared / TEST, labels))
        _check(train, test, labelled, scoring)
        mask = _drawn(train.table.num_rows, fraction)
        rows, rest = train.table.filter(pa.array(mask)), train.table.filter(pa.array(~mask))
        if shown := shown_in(rows, test.table, scoring):
            raise CannotHoldOut(f"test shows in its column {shown!r} what is to be predicted of rows of train")
        agent_data = target / "agent_data"
        shutil.copytree(prepared, agent_data, copy_function=os.link, ignore=lambda at, _: _without_train(at, prepared))
        write_split(rest, train, agent_data / TRAIN)
        write_split(rows, test, agent_data / HELD_OUT)
        write_split(rows, labelled.without(train), target / LABELS)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise CannotHoldOut(str(error)) from None
    return HeldOutRows(agent_data, target / LABELS, rows.num_rows, _gold(rows, scoring))


def _without_train(folder: str, prepared: Path) -> list[str]:
    return [TRAIN] if Path(folder) == prepared else []


def read_split(folder: Path) -> Split:
    """Read a folder that holds one table.

    Raises:
        CannotHoldOut: it holds something else.
    """
    if (folder / _STATE).is_file():
        return Split(folder, "dataset", _ARROW, _read_dataset(folder))
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()] if folder.is_dir() else []
    if len(files) != 1 or files[0].suffix != ".csv" or files[0].parent != folder:
        raise CannotHoldOut(f"{folder.name}/ is neither a data set of save_to_disk nor a folder with one CSV file")
    return Split(folder, "csv", files[0].name, _read_csv(files[0]))


def _read_dataset(folder: Path) -> Any:
    import pyarrow as pa

    names = [entry["filename"] for entry in json.loads((folder / _STATE).read_text(encoding="utf-8"))["_data_files"]]
    if not names:
        raise CannotHoldOut(f"{folder.name}/ has no rows")
    parts = []
    for name in names:
        with pa.memory_map(str(folder / name)) as source:
            parts.append(pa.ipc.open_stream(source).read_all())
    return pa.concat_tables(parts)


def _read_csv(path: Path) -> Any:
    import pyarrow as pa

    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = [row for row in csv.reader(file) if row]
    except (ValueError, csv.Error) as error:
        raise CannotHoldOut(f"{path.parent.name}/{path.name} is not a CSV file with a header ({error})") from None
    if len(set(header)) != len(header) or any(len(row) != len(header) for row in rows):
        raise CannotHoldOut(f"{path.parent.name}/{path.name} has rows of another length than its header")
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(header)
    return pa.table({name: pa.array(values, pa.string()) for name, values in zip(header, columns, strict=True)})


def _check(train: Split, test: Split, labelled: Split, scoring: Sequence[str]) -> None:
    if not train.kind == test.kind == labelled.kind:
        raise CannotHoldOut("train, test and test_with_labels are not files of one kind")
    if missing := [name for name in scoring if name not in labelled.columns]:
        raise CannotHoldOut(f"test_with_labels has no column {missing[0]!r} (logging_info.scoring_column)")
    for split, names in ((test, test.columns), (labelled, scoring)):
        if missing := [name for name in names if name not in train.columns]:
            raise CannotHoldOut(f"{split.folder.name} has a column {missing[0]!r} that train has not")
    if shown := [name for name in scoring if name in test.columns]:
        raise CannotHoldOut(f"test has the scoring column {shown[0]!r}")


def _drawn(rows: int, fraction: float) -> Any:
    """A mask of the rows held out: at least one, and one stays."""
    if rows < 2:
        raise CannotHoldOut("train has fewer than two rows")
    mask = np.zeros(rows, dtype=bool)
    wanted = min(max(1, round(rows * fraction)), rows - 1)
    mask[np.random.default_rng(_SEED).permutation(rows)[:wanted]] = True
    return mask


def write_split(table: Any, like: Split, folder: Path) -> None:
    """Write rows into a new folder with the columns, types and files of another split."""
    folder.mkdir(parents=True)
    if like.kind == "csv":
        (folder / like.file).write_text(_csv_text(table, like.columns), encoding="utf-8", newline="")
        return
    import pyarrow as pa

    with pa.OSFile(str(folder / like.file), "wb") as sink, pa.ipc.new_stream(sink, like.table.schema) as writer:
        writer.write_table(table.select(like.columns).cast(like.table.schema))
    state = json.loads((like.folder / _STATE).read_text(encoding="utf-8"))
    # Hugging Face keeps what was computed from a data set under its fingerprint: other rows need another one.
    print_of = hashlib.sha256(f"{state.get('_fingerprint')} {folder.name} {table.num_rows}".encode()).hexdigest()[:16]
    state |= {"_data_files": [{"filename": like.file}], "_fingerprint": print_of}
    (folder / _STATE).write_text(json.dumps(state, indent=2), encoding="utf-8")
    if (like.folder / _INFO).is_file():
        info = json.loads((like.folder / _INFO).read_text(encoding="utf-8"))
        (folder / _INFO).write_text(json.dumps(_with_features(info, like.columns), indent=2), encoding="utf-8")


def _with_features(told: Any, kept: Sequence[str]) -> Any:
    """What Hugging Face's `datasets` says of a data set, of some of its columns only."""
    if not isinstance(told, dict):
        return told
    if isinstance(features := told.get("features"), dict):
        return {**told, "features": {name: of for name, of in features.items() if name in kept}}
    return {name: _with_features(inner, kept) for name, inner in told.items()}


def _csv_text(table: Any, columns: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(map(cell, table[name].to_pylist()) for name in columns), strict=True))
    return text.getvalue()


def _gold(rows: Any, scoring: Sequence[str]) -> bytes:
    return _csv_text(rows, scoring).encode("utf-8", "replace")
