"""`aira jobs`: a person finds a job, sees how it is and why it failed, reads what it printed, and ends it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from aira_lib.launch.local import LocalLauncher
from tests.aira_lib.cli.in_process import Ended, aira
from tests.aira_lib.launch.ranks import python
from tests.builders import TINY_STUDY


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A scratch folder with a job of a study that failed, and one of another that waits for nothing and no end."""
    folder = tmp_path_factory.mktemp("scratch")
    local = LocalLauncher(folder / "jobs")
    fails = "print('\\x1b[2Jfirst'); raise SystemExit(75)"
    local.submit(python(fails, "fails", study="tiny", unit="pretrain x@nano", variables=(("OWN", "1"),)))
    local.submit(python("import time; print('up'); time.sleep(600)", "runs", study="other", unit="pretrain y"))
    local.wait("fails")
    yield folder
    local.cancel("runs")


def jobs(folder: Path, *arguments: str) -> Ended:
    return aira("jobs", *arguments, AIRA_SCRATCH=str(folder))


def test_jobs_are_listed_all_of_a_study_or_of_a_folder(folder: Path, tmp_path: Path) -> None:
    lines = jobs(folder, "list").out.splitlines()
    assert lines[0].startswith("fails  failed (")
    assert lines[0].endswith("rank 0: exit code 75: \ufffd[2Jfirst; started again, it may get on  tiny pretrain x@nano")
    assert lines[1].startswith("runs  ")
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY_STUDY))
    assert jobs(folder, "list", str(tmp_path / "tiny.yaml")).out.splitlines() == lines[:1]
    assert jobs(folder, "list", "tiny").out.splitlines() == lines[:1]
    of_folder = jobs(tmp_path, "list", str(folder / "jobs")).out
    assert [line.split()[0] for line in of_folder.splitlines()] == ["fails", "runs"]
    assert jobs(tmp_path, "list").out == ""


def test_a_job_is_shown_with_its_command_its_failure_and_its_last_lines(folder: Path) -> None:
    said = jobs(folder, "show", "fails").out
    assert "of:      tiny pretrain x@nano\nranks:   1\nstate:   failed (" in said
    assert f"files:   {folder}/jobs/fails\n" in said
    assert "OWN=1" in said
    assert said.endswith("  | \ufffd[2Jfirst\n")


def test_the_log_is_printed_and_can_do_nothing_to_a_terminal(folder: Path) -> None:
    assert jobs(folder, "logs", "fails").out == "\ufffd[2Jfirst\n"
    assert jobs(folder, "logs", "fails", "-f").out == "\ufffd[2Jfirst\n"


def test_a_job_is_ended(folder: Path) -> None:
    assert jobs(folder, "cancel", "runs").out.startswith("runs: cancelled")


@pytest.mark.parametrize("command", ["show", "logs", "cancel"])
def test_a_job_that_is_not_there_is_one_line(folder: Path, command: str) -> None:
    ended = jobs(folder, command, "fail")
    assert (ended.code, ended.err) == (2, "aira: there is no job 'fail'; did you mean 'fails'?\n")


def test_a_launcher_that_is_not_there_is_one_line(folder: Path) -> None:
    ended = jobs(folder, "list", "--launcher", "locale")
    assert (ended.code, ended.err) == (2, "aira: unknown launcher 'locale'; did you mean 'local'?\n")
