"""A stage is one row: one from outside has a command, runs in the pipeline, is foretold, tracked and reported."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.builders import TINY_STUDY

pytestmark = pytest.mark.usefixtures("plain_kernels")

ROOT = Path(__file__).parents[3]
STUDY = {
    **TINY_STUDY,
    "agents": [{"scaffold": "one-shot", "model": "offline"}],
    "pretrain": {**TINY_STUDY["pretrain"], "isotoken": {"scale": "nano", "tokens": 2048, "seeds": [0]}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    (folder / "study.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(STUDY))))
    return folder


def aira(folder: Path, *arguments: str) -> str:
    environment = {
        **os.environ,
        "AIRA_PLUGINS": "tests.own_stage",
        "PYTHONPATH": str(ROOT),
        "AIRA_SCRATCH": str(folder / "scratch"),
    }
    command = [sys.executable, "-m", "aira_lib.cli", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_stage_from_outside_runs_with_all_others(folder: Path) -> None:
    study, store = str(folder / "study.yaml"), ("--store", str(folder / "runs"))
    plan = aira(folder, "run", study, "--dry-run", *store)
    assert "checkpoints to weigh" in plan
    aira(folder, "run", study, *store)
    records = list((folder / "runs/tiny/weigh").glob("*/*/weight.json"))
    assert len(records) == len(list((folder / "runs/tiny/pretrain").glob("*/manifest.json"))) > 1
    (page,) = (folder / "runs/tiny/report").glob("*/*/report.html")
    weight = json.loads(records[0].read_text())
    assert "Weigh the checkpoints of all points." in page.read_text()
    assert str(weight["bytes"]) in page.read_text()
    # Its command finds what the pipeline made, and the next run recomputes nothing.
    assert "was there already" in aira(folder, "weigh", study, *store)
    assert "Nothing was recomputed" in aira(folder, "run", study, *store)


def test_its_command_has_its_help_and_the_compiled_pipeline_its_component(folder: Path) -> None:
    assert "Weigh the checkpoints of all points." in aira(folder, "--help").replace("\n", " ").replace("│", "")
    aira(folder, "compile", str(folder / "study.yaml"), "-o", str(folder / "pipeline.yaml"), "--store", "s3://b/runs")
    pipeline = next(yaml.safe_load_all((folder / "pipeline.yaml").read_text()))
    assert "comp-weigh" in pipeline["components"]
    report = pipeline["root"]["dag"]["tasks"]["report"]
    assert "further" in report["inputs"]["parameters"]


def test_stages_that_wait_for_each_other_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from aira_lib.flow.stage import STAGES, stages_in_order

    rows = {**STAGES._entries, "archive": replace(STAGES.named("archive"), reads=("aggregate",))}
    monkeypatch.setattr(STAGES, "_entries", rows)
    with pytest.raises(ValueError, match="stages that wait for each other"):
        stages_in_order()
