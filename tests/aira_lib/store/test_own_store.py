"""A store from outside is opened by its scheme, and a search keeps its record there through the public way."""

import os
from pathlib import Path

import pytest
import yaml

from tests.aira_lib.cli.in_process import aira_elsewhere
from tests.builders import TINY_STUDY

pytestmark = pytest.mark.usefixtures("plain_kernels")

ROOT = Path(__file__).parents[3]


def test_a_search_keeps_its_record_in_a_store_from_outside(tmp_path: Path) -> None:
    study = {**TINY_STUDY, "agents": [{"scaffold": "one-shot", "model": "offline"}]}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    environment = {
        **os.environ,
        "AIRA_PLUGINS": "tests.own_store",
        "PYTHONPATH": str(ROOT),
        "AIRA_SCRATCH": str(tmp_path / "scratch"),
    }

    search = ["search", str(tmp_path / "study.yaml"), "--store", f"shelf://{tmp_path / 'shelf'}"]
    search += ["--unit", "one-shot-offline.s0"]
    first, again = aira_elsewhere(environment, tmp_path, search, search)
    assert (first.code, again.code) == (0, 0), first.err + again.err
    assert f"shelf://{tmp_path / 'shelf'}/tiny/search/" in first.out
    (manifest,) = (tmp_path / "shelf/tiny/search").glob("*/manifest.json")
    assert list(manifest.parent.glob("*/journal.jsonl"))
    assert list((tmp_path / "scratch/shelf/tiny/search").glob("*/*/journal.jsonl"))
    assert "was there already" in again.out
