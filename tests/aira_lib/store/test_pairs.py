"""Two makers of one record, on a folder and on a real S3 server, killed and stopped at random: one whole record."""

import subprocess
import sys
from pathlib import Path

import pytest


def pairs(uri: str, scratch: Path, number: int) -> str:
    command = [sys.executable, "-m", "tests.aira_lib.store.pairs", uri, str(scratch), str(number)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_few_pairs_leave_one_whole_record_each(store_uri: str, tmp_path: Path) -> None:
    assert "adopted" in pairs(store_uri, tmp_path / "scratch", 6)


@pytest.mark.slow
def test_fifty_pairs_leave_one_whole_record_each(store_uri: str, tmp_path: Path) -> None:
    said = pairs(store_uri, tmp_path / "scratch", 50)
    assert "killed" in said
    assert "stopped" in said
