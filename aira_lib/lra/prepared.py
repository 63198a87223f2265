"""The work behind the trusted scripts of a task folder of Long Range Arena: what is written where, and the score.

Data are generated at laptop size unless the folder of raw data holds `lra.yaml`, which names another size, files of the
real benchmark, or a seed that nobody who submits knows. Nothing of it is shown to submitted code.
"""

import argparse
import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from aira_lib.datasets.given_folders import given_folders
from aira_lib.errors import MissingDependency, UserError
from aira_lib.lra.data import LraData, LraSize, LraTask, lra_data
from aira_lib.records.opened import stand_in_facts
from aira_lib.section import Section, Seed
from aira_lib.study.reading import load_section

SETTINGS, ABOUT, ABOUT_FOR_PEOPLE = "lra.yaml", "about.txt", "about.json"
_NEEDED = ("jax", "flax", "optax", "safetensors")
_LABELS, _LABELS_FILE = "test_with_labels", "labels.npy"


class DataSection(Section):
    """lra.yaml: how large the tasks are, where their rows come from (NAME or NAME:FOLDER), and the seed.

    A folder that is no absolute path is one of the folder in which the file lies.
    """

    size: LraSize = "laptop"
    text: str = ""
    listops: str = ""
    retrieval: str = ""
    seed: Seed = 0


def prepare_command(task: LraTask) -> None:
    """prepare.py: write train and validation with labels, and test without."""
    mount, data = _given(task)
    for split in ("train", "validation", "test"):
        shutil.copytree(data.folder / split, mount / split)
    (mount / "test" / _LABELS_FILE).unlink()
    (mount / ABOUT_FOR_PEOPLE).write_text(json.dumps(facts_of(data)), encoding="utf-8")
    (mount / "train" / ABOUT).write_text(f"{told_of(data)}\n", encoding="utf-8")


def evaluate_prepare_command(task: LraTask) -> None:
    """evaluate_prepare.py: write the labels of the test split where only the scorer finds them."""
    mount, data = _given(task)
    labels = mount / _LABELS
    labels.mkdir()
    np.save(labels / _LABELS_FILE, data.test.labels)


def evaluate_command() -> None:
    """evaluate.py: the accuracy of logits in `predictions.npy`, by AIRS-Bench's form."""
    parser = argparse.ArgumentParser(description="Score logits [n, classes].")
    parser.add_argument("--submission-file", type=Path, default=Path("data/predictions.npy"))
    file = parser.parse_args().submission_file
    labels = np.load(Path("data", _LABELS, _LABELS_FILE), allow_pickle=False)
    try:
        logits = np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        parser.error(f"{file.name} cannot be read: {error}")
    if logits.ndim != 2 or len(logits) != len(labels) or not np.isfinite(logits).all():
        parser.error(f"finite logits of {len(labels)} rows are asked for; found the shape {logits.shape}")
    print("\n--- EVALUATION RESULT ---")
    print(json.dumps({"Accuracy": float((logits.argmax(axis=1) == labels).mean())}))


def told_of(data: LraData) -> str:
    """What data are, in a line, without their seed, which could draw the test split."""
    about = data.about
    unit = "tokens" if about.task == "listops" else "bytes"
    source = f"{about.stand_in.what} in the place of {about.stand_in.instead_of}" if about.stand_in else about.source
    ceilings = ", ".join(map(str, about.ceilings))
    return f"{about.task} of {about.max_len} {unit}: {source}; on the test: {ceilings}"


def facts_of(data: LraData) -> dict[str, Any]:
    """What data are, for the record of a search: names with texts and numbers."""
    about = data.about
    return {
        "source": about.source, "size": about.size, "length": about.max_len, "seed": about.seed,
        **stand_in_facts(about.stand_in),
        "ceilings": ", ".join(map(str, about.ceilings)),
    }  # fmt: skip


def _given(task: LraTask) -> tuple[Path, LraData]:
    """The folder to write into, and the data, by the command line."""
    given = given_folders()
    try:
        if any(importlib.util.find_spec(name) is None for name in _NEEDED):
            raise MissingDependency("Long Range Arena", "jax")
        path = given.shared / SETTINGS
        section = load_section(path, DataSection, SETTINGS, "docs/long-range-arena.md") if path.is_file() else None
        return given.mount, _data(task, section or DataSection(), given.shared)
    except UserError as error:
        sys.exit(str(error))


def _data(task: LraTask, section: DataSection, raw: Path) -> LraData:
    name, colon, folder = str(getattr(section, task)).partition(":")
    source = f"{name}{colon}{raw / Path(folder).expanduser()}" if folder else name
    return lra_data(task, section.size, source, section.seed)
