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
def test_many_pairs_leave_one_whole_record_each(store_uri: str, tmp_path: Path) -> None:
    """Fifty in a folder; fewer in S3, where each takes requests for seconds."""
    said = pairs(store_uri, tmp_path / "scratch", 50 if store_uri.startswith("file") else 16)
    assert "killed" in said
    assert "stopped" in said
