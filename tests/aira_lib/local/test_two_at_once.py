"""Two commands that want the same record: one makes it, the other says whom it waits for and takes what was made."""

import json
import os
import time
from pathlib import Path

import pytest
import yaml

from tests import warm_start
from tests.builders import TINY_STUDY
from tests.record_tree import files_of

pytestmark = pytest.mark.usefixtures("plain_kernels")

UNIT = "greedy-offline.s0"


def start(store: str, study: Path, *arguments: str) -> warm_start.Process:
    environment = {**os.environ, "AIRA_SCRATCH": str(study.parent / "scratch"), "AIRA_EVALUATIONS": "none"}
    return warm_start.start("aira_lib.cli", *arguments, "--store", store, env=environment)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    agents = [{"scaffold": "greedy", "model": "offline", "seeds": 1, "steps": 6, "n_drafts": 2}]
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps({**TINY_STUDY, "agents": agents, "pretrain": {}}))))
    return path


@pytest.mark.slow
def test_two_searches_of_one_unit_leave_one_journal(store_uri: str, study: Path, tmp_path: Path) -> None:
    """It had twelve lines for six steps, and no archive could be made of it."""
    both = [start(store_uri, study, "search", str(study), "--unit", UNIT) for _ in range(2)]
    said = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("made in" in out for out, _ in said) == 1
    (second,) = [out for out, _ in said if "was there already" in out]
    assert f"search {UNIT}: waiting for process" in second
    archived = start(store_uri, study, "archive", str(study))
    assert archived.communicate(timeout=300)
    assert archived.returncode == 0
    if store_uri.startswith("file"):
        (manifest,) = (tmp_path / "runs/tiny/search").glob("*/manifest.json")
        assert len((files_of(manifest) / "journal.jsonl").read_text().splitlines()) == 6


@pytest.mark.slow
def test_a_run_beside_a_command_of_a_stage_comes_to_its_end(study: Path, tmp_path: Path) -> None:
    store = str(tmp_path / "runs")
    search = start(store, study, "search", str(study), "--unit", UNIT)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "runs").glob("tiny/search/*/*/journal.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.1)
    run = start(store, study, "run", str(study), "--tracking", "none")
    out, err = run.communicate(timeout=500)
    assert run.returncode == 0, out + err
    assert search.communicate(timeout=300)
    assert search.returncode == 0
    (manifest,) = (tmp_path / "runs/tiny/search").glob("*/manifest.json")
    assert len((files_of(manifest) / "journal.jsonl").read_text().splitlines()) == 6
