"""The smoke pipeline, on this machine: every component once, as `kfp.local` runs it, and what a person sees of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aira_lib.records import Manifest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("plain_kernels")]


def test_the_smoke_pipeline_makes_a_report_with_its_artifacts(tmp_path: Path) -> None:
    store, output = tmp_path / "store", tmp_path / "kfp"
    command = [sys.executable, "-m", "pipelines.smoke", "run", "--store", str(store), "--output", str(output)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    records = [Manifest.model_validate_json(path.read_text()) for path in store.glob("smoke/*/*/manifest.json")]
    made = sorted(record.stage for record in records)
    assert made == sorted(
        ["search"] * 2 + ["archive", "aggregate", "extrapolate"] + ["pretrain", "evaluate"] * 2 + ["report"]
    )
    assert "GPU hours" in done.stdout
    (report,) = output.glob("*/report")
    assert (report / "page").read_text().startswith("<!DOCTYPE html>")
    assert list((report / "figures").glob("*.svg"))
    assert list((report / "tables").glob("*.csv"))
    (said,) = report.glob("executor_output.json")
    numbers = json.loads(said.read_text())["artifacts"]["numbers"]["artifacts"][0]["metadata"]
    assert numbers["searches"] == 2.0
    assert numbers["pretraining_runs"] == 2.0
    assert 0 < numbers["best_loss_nats_per_token"] < 10
