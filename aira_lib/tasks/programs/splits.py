"""The rows of a task whose submissions are code: what each process may see of them, and where.

prepare.py writes `train/`, `test/` and, where it has one, `validation/`, each with .npy files whose first axis are
rows; train and validation have the labels, too. evaluate_prepare.py writes those of the test split into
`test_with_labels/`. Labels are read into memory and their folder is gone when a task is open.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aira_lib.tasks.airs.held_out import LABELS, TEST, TRAIN
from aira_lib.tasks.airs.metadata import TaskFolderError
from aira_lib.tasks.programs.arrays import Arrays, read_split, rows_in, write_split

VALIDATION = "validation"
ABOUT = "about.json"
_MOST_ABOUT = 65_536  # bytes
_SEEN, _KEPT = "seen", "kept"
_SEED = 0  # one split for all agents and seeds, so that their fitness can be compared


@dataclass(frozen=True)
class Asked:
    """Rows that are asked for: their inputs, by file, and the labels that predictions of them are compared with."""

    inputs: Arrays
    labels: NDArray[Any]

    @property
    def rows(self) -> int:
        """How many."""
        return rows_in(self.inputs)


@dataclass(frozen=True)
class Splits:
    """Where train and validation lie, with their labels; what is asked of validation and test.

    Beside `train` lies nothing, so that its folder can be shown as a whole. `held_out` says that validation was drawn
    from train here; `secret` is known to nobody who has not seen the labels of the test split; `about` is what
    prepare.py says of the data, such as what stands in for them.
    """

    train: Path
    validation: Path
    steers: Asked
    final: Asked
    held_out: bool
    secret: bytes
    about: Mapping[str, Any]

    @property
    def labelled(self) -> Mapping[str, Path]:
        """The folders whose rows have labels, by the names under which a training finds them."""
        return {TRAIN: self.train, VALIDATION: self.validation}


def open_splits(prepared: Path, with_labels: Path, labels: str, fraction: float, place: Path) -> Splits:
    """Take what a task prepared apart, so that each process can be shown what it may see.

    Args:
        prepared: What prepare.py wrote; moved away.
        with_labels: What evaluate_prepare.py wrote.
        labels: The file of the labels in a split.
        fraction: Of train that becomes validation where prepare.py wrote none.
        place: A folder to make.

    Raises:
        TaskFolderError: a split is missing or does not fit the others.
    """
    places = {TRAIN: place / _SEEN / TRAIN, **{name: place / _KEPT / name for name in (VALIDATION, TEST)}}
    for path in places.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    for name in (TRAIN, TEST):
        if not (prepared / name).is_dir():
            raise TaskFolderError(f"prepare.py wrote no folder {name}")
    held_out = not (prepared / VALIDATION).is_dir()
    if held_out:
        _draw(read_split(prepared / TRAIN), fraction, places)
    for name in (TEST,) if held_out else places:
        shutil.move(prepared / name, places[name])
    train, steers = (_asked(read_split(places[name]), labels, name) for name in (TRAIN, VALIDATION))
    inputs = read_split(places[TEST])
    if labels in inputs:
        raise TaskFolderError(f"prepare.py wrote {TEST}/{labels}, which submitted code would see")
    final = Asked(inputs, _labels(read_split(with_labels), labels, LABELS))
    for name, other in ((VALIDATION, steers), (TEST, final)):
        _require_like(train, other, name)
    secret = hashlib.sha256(final.labels.tobytes()).digest()
    return Splits(places[TRAIN], places[VALIDATION], steers, final, held_out, secret, _about(prepared / ABOUT))


def _about(path: Path) -> dict[str, Any]:
    """What a task says of its data: names with texts, numbers, yes or no; nothing where it says nothing."""
    if not path.is_file():
        return {}
    try:
        told = json.loads(path.read_bytes()[:_MOST_ABOUT])
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or not all(isinstance(value, bool | int | float | str) for value in told.values()):
        raise TaskFolderError(f"{ABOUT}: must be a JSON object of texts, numbers, true and false, of 64 KB at most")
    return told


def _draw(train: Arrays, fraction: float, places: Mapping[str, Path]) -> None:
    rows = rows_in(train)
    if rows < 2:
        raise TaskFolderError("train has one row, and validation needs some of it; let prepare.py write validation/")
    drawn = np.zeros(rows, bool)
    most = min(rows - 1, max(1, round(fraction * rows)))
    drawn[np.random.default_rng(_SEED).choice(rows, most, replace=False)] = True
    for name, chosen in ((TRAIN, ~drawn), (VALIDATION, drawn)):
        write_split({file: array[chosen] for file, array in train.items()}, places[name])


def _asked(split: Mapping[str, NDArray[Any]], labels: str, name: str) -> Asked:
    return Asked({file: array for file, array in split.items() if file != labels}, _labels(split, labels, name))


def _labels(split: Mapping[str, NDArray[Any]], labels: str, name: str) -> NDArray[Any]:
    if labels not in split:
        raise TaskFolderError(f"{name} has no {labels} (program.yaml: labels)")
    return np.array(split[labels])


def _require_like(train: Asked, other: Asked, name: str) -> None:
    """Refuse a split whose files have other names, dtypes or sizes of a row than those of train."""
    told = [{file: (array.dtype, array.shape[1:]) for file, array in each.inputs.items()} for each in (train, other)]
    if not told[0]:
        raise TaskFolderError("train has labels and nothing else")
    if told[0] != told[1]:
        raise TaskFolderError(f"{name} has other inputs than train: {_in_words(told[1])} and {_in_words(told[0])}")
    if len(other.labels) != other.rows or other.labels.dtype != train.labels.dtype:
        raise TaskFolderError(
            f"{name} has {other.rows:,} rows and {len(other.labels):,} labels of {other.labels.dtype}; those of train "
            f"are {train.labels.dtype}"
        )


def _in_words(files: Mapping[str, tuple[Any, tuple[int, ...]]]) -> str:
    return ", ".join(f"{file} {dtype} {shape}" for file, (dtype, shape) in files.items()) or "none"
