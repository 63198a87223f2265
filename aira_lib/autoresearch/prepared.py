"""The work behind the trusted scripts of a task folder of Autoresearch: what is written where, and the score.

The profile is a laptop's unless the folder of raw data holds `autoresearch.yaml`, which names the GPU's, or shards of
the original. Nothing of it is shown to submitted code.
"""

import argparse
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from aira_lib.autoresearch.bpb import bits_per_byte, nats_of
from aira_lib.autoresearch.prepare.load import LABELS, SPLITS, TOKENIZER, AutoresearchData, autoresearch_data
from aira_lib.autoresearch.prepare.profiles import Profile, ProfileName, profile_of
from aira_lib.autoresearch.prepare.text import TRAIN_SHARDS, texts_in
from aira_lib.contents import file_digest
from aira_lib.datasets.given_folders import given_folders
from aira_lib.errors import UserError
from aira_lib.records.opened import stand_in_facts
from aira_lib.section import Section
from aira_lib.study.reading import load_section

BASELINE = Path(__file__).with_name("baseline.py")
"""The program that agents start from, whose digest every record has."""

SETTINGS, ABOUT, VOCABULARY = "autoresearch.yaml", "about.json", "vocabulary.json"
_SHARDS, _WITH_LABELS, _PREDICTIONS = "autoresearch", "test_with_labels", "predictions.npy"


class DataSection(Section):
    """autoresearch.yaml: the profile, where the parquet shards lie, and another budget than the profile's.

    A folder that is no absolute path is one of the folder in which the file lies; `autoresearch`, if it is there, needs
    no naming. Without shards botocore's documentation of services stands in.
    """

    profile: ProfileName = "cpu"
    shards: str = ""
    train_shards: int = Field(TRAIN_SHARDS, ge=1)
    budget_seconds: float | None = Field(None, ge=5)


def prepare_command() -> None:
    """prepare.py: write train and validation with labels, the tokenizer beside train, and test without labels."""
    mount, profile, data = _given()
    for split in SPLITS:
        shutil.copytree(data.folder / split, mount / split)
    (mount / "test" / LABELS).unlink()
    shutil.copyfile(data.folder / TOKENIZER, mount / "train" / TOKENIZER)
    seen = {"bos": profile.bos, "bytes": data.vocabulary.byte_counts.tolist()}
    (mount / "train" / VOCABULARY).write_text(json.dumps(seen), encoding="utf-8")
    facts = facts_of(data, profile, file_digest(BASELINE))
    (mount / ABOUT).write_text(json.dumps(facts), encoding="utf-8")


def evaluate_prepare_command() -> None:
    """evaluate_prepare.py: write the labels of the second hidden shard where only the scorer finds them."""
    mount, _, data = _given()
    (mount / _WITH_LABELS).mkdir()
    shutil.copyfile(data.folder / "test" / LABELS, mount / _WITH_LABELS / LABELS)


def evaluate_command() -> None:
    """evaluate.py: bits per byte of logits in `predictions.npy`, by AIRS-Bench's form."""
    parser = argparse.ArgumentParser(description="Score logits [rows, T, V].")
    parser.add_argument("--submission-file", type=Path, default=Path("data") / _PREDICTIONS)
    file = parser.parse_args().submission_file
    labels = np.load(Path("data", _WITH_LABELS, LABELS), allow_pickle=False)
    try:
        logits = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        parser.error(f"{file.name} cannot be read: {error}")
    size = int(labels[..., 0].max()) + 1
    if logits.ndim != 3 or logits.shape[:2] != labels.shape[:2] or logits.shape[2] < size:
        parser.error(f"logits of {labels.shape[:2]} places are asked for; found the shape {logits.shape}")
    if not np.isfinite(logits).all():
        parser.error("some logits are not finite")
    nats = nats_of(logits, labels[..., 0])
    print("\n--- EVALUATION RESULT ---")
    print(json.dumps({"BPB": bits_per_byte(nats, labels[..., 1]).value}))


def facts_of(data: AutoresearchData, profile: Profile, baseline: str) -> dict[str, Any]:
    """What data and baseline are, for the record of a search: names with texts and numbers."""
    about = data.about
    return {
        "profile": profile.name, "vocabulary": profile.vocabulary, "length": profile.length,
        "budget_seconds": profile.budget_seconds, "clock": profile.clock,
        "compile_allowance_seconds": profile.compile_allowance_seconds,
        "paper_allowance_seconds": profile.paper_allowance_seconds, "source": about.source,
        **stand_in_facts(about.stand_in),
        **{f"{split} rows": about.rows[split] for split in SPLITS},
        **{f"{split} bytes": about.bytes[split] for split in SPLITS},
        "data digest": about.data, "tokenizer digest": about.tokenizer, "baseline digest": baseline,
    }  # fmt: skip


def _given() -> tuple[Path, Profile, AutoresearchData]:
    """The folder to write into, and the data, by the command line."""
    given = given_folders()
    try:
        return given.mount, *_data(given.shared)
    except UserError as error:
        sys.exit(str(error))


def _data(raw: Path) -> tuple[Profile, AutoresearchData]:
    path = raw / SETTINGS
    section = load_section(path, DataSection, SETTINGS, "docs/autoresearch.md") if path.is_file() else DataSection()
    shards = raw / Path(section.shards or _SHARDS).expanduser()
    profile = profile_of(section.profile)
    if section.budget_seconds is not None:
        profile = replace(profile, budget_seconds=section.budget_seconds)
    texts = texts_in(shards if section.shards or shards.is_dir() else None, section.train_shards)
    return profile, autoresearch_data(profile, texts, lambda line: print(line, flush=True))
