"""Libraries keep what they make below AIRA_SCRATCH where the home cannot be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aira_lib.caches import keep_below_scratch

VARIABLES = ("XDG_CACHE_HOME", "MPLCONFIGDIR", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR")


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "set, so that it is put back")
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "none"))
    monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path / "scratch"))


def test_without_a_home_all_of_them_move(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MPLCONFIGDIR", "/own")
    keep_below_scratch()
    assert os.environ["MPLCONFIGDIR"] == "/own"
    assert {Path(os.environ[name]).parent for name in VARIABLES if name != "MPLCONFIGDIR"} == {tmp_path / "scratch"}
    assert len({os.environ[name] for name in VARIABLES}) == len(VARIABLES)
    assert os.environ["HOME"] == str(tmp_path / "none")


@pytest.mark.parametrize("change", [("HOME", "."), ("AIRA_SCRATCH", "")])
def test_a_home_that_can_be_written_or_no_scratch_folder_changes_nothing(
    change: tuple[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(*change)
    keep_below_scratch()
    assert not [name for name in VARIABLES if name in os.environ]


def test_it_is_done_before_a_library_looks() -> None:
    program = "import aira_lib, os; print(os.environ['MPLCONFIGDIR'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{os.environ['AIRA_SCRATCH']}/matplotlib"
