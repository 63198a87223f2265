"""kill -9 at any line: nothing half-written shows, and the next attempt ends with the same record."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("crash_points.py")


def kills(uri: str, scratch: Path, what: str) -> int:
    done = subprocess.run([sys.executable, str(SCRIPT), uri, str(scratch), what], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_killed_at_some_lines(store_uri: str, tmp_path: Path) -> None:
    assert kills(store_uri, tmp_path / "scratch", "1597") >= 3


@pytest.mark.slow
def test_killed_at_many_lines(store_uri: str, tmp_path: Path) -> None:
    """In S3 at fewer: there a request takes as long as hundreds of lines."""
    stride, least = ("233", 60) if store_uri.startswith("file") else ("617", 24)
    assert kills(store_uri, tmp_path / "scratch", stride) >= least


def test_killed_in_the_middle_of_large_writes(store_uri: str, tmp_path: Path) -> None:
    assert kills(store_uri, tmp_path / "scratch", "big") == 4
