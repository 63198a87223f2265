"""`aira run` where a search fails: the others are made all the same, and the study goes on as far as it may."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.builders import TINY_STUDY

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("plain_kernels")

SEARCHES = [{"scaffold": "one-shot", "model": "offline", "seeds": 3}]
LOST = "one-shot-offline.s1"


def run(folder: Path, failing: bool, **changes: Any) -> subprocess.CompletedProcess[str]:
    study = {**TINY_STUDY, "agents": SEARCHES, "pretrain": {}, "evaluate": {}, **changes}
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    command = [sys.executable, "-m", "aira_lib.cli", "run", str(folder / "study.yaml"), "--tracking", "none"]
    plugins = {"AIRA_PLUGINS": "tests.failing_search", "PYTHONPATH": str(ROOT)} if failing else {}
    env = {**os.environ, "AIRA_STORE": str(folder / "runs"), **plugins}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_study_goes_on_without_a_search_where_it_may_and_makes_it_later(tmp_path: Path) -> None:
    refused = run(tmp_path, failing=True)
    assert refused.returncode == 2
    assert refused.stderr == f"aira: search {LOST}: this seed brings no luck; choose another\n"
    assert len([*tmp_path.glob("runs/tiny/search/*/manifest.json")]) == 2

    without = run(tmp_path, failing=True, resources={"search": {"min_success": 0.6}})
    assert without.returncode == 1, without.stdout + without.stderr
    assert f"✗ search      {LOST}" in without.stdout
    assert f"search {LOST} failed, and the results are without it: this seed brings no luck" in without.stdout
    assert "The same command tries it again." in without.stdout
    (page,) = tmp_path.glob("runs/tiny/report/*/*/report.html")
    assert "1 unit of this study failed" in page.read_text()
    assert LOST in page.read_text()

    whole = run(tmp_path, failing=False)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    assert "2 were there already" in whole.stdout
    (other,) = {*tmp_path.glob("runs/tiny/report/*/*/report.html")} - {page}
    assert "What failed" not in other.read_text()
