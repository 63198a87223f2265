"""A store from outside is opened by its scheme, and a search keeps its record there through the public way."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

from tests.builders import TINY_STUDY

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

    def searched() -> str:
        command = [sys.executable, "-m", "aira_lib.cli", "search", str(tmp_path / "study.yaml")]
        command += ["--store", f"shelf://{tmp_path / 'shelf'}", "--unit", "one-shot-offline.s0"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert f"shelf://{tmp_path / 'shelf'}/tiny/search/" in searched()
    (manifest,) = (tmp_path / "shelf/tiny/search").glob("*/manifest.json")
    assert list(manifest.parent.glob("*/journal.jsonl"))
    assert list((tmp_path / "scratch/shelf/tiny/search").glob("*/*/journal.jsonl"))
    assert "was there already" in searched()
