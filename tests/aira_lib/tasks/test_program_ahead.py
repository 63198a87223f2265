"""Processes that import what they need before they have what they are asked: nothing submitted runs until then."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aira_lib.errors import UserError
from aira_lib.sandbox.family import family
from aira_lib.tasks.programs.folder import load_program_folder
from aira_lib.tasks.programs.measure import Measure
from aira_lib.tasks.programs.opening import open_programs
from aira_lib.tasks.programs.parts import PartFailure
from tests.aira_lib.tasks.program_folders import SHOWN, rings
from tests.aira_lib.tasks.test_program_attacks import HONEST

pytestmark = SHOWN
SECRETLY = "import time\nprint('it ran at', time.monotonic(), flush=True)\n"


def measure(where: Path, **changes: object) -> Measure:
    folder = load_program_folder(rings(where, **changes))
    return open_programs(folder, 0.2, where / "scratch", None)


def score(opened: Measure, said: Callable[[str], None] = lambda note: None, **files: str) -> float:
    submitted = {"model.py": HONEST, **{f"{name}.py": text for name, text in files.items()}}
    encoded = {name: text.encode() for name, text in submitted.items()}
    return opened.validation(encoded, lambda: 60.0, said).score


def test_a_score_is_the_same_with_and_without(tmp_path: Path) -> None:
    ahead = measure(tmp_path / "ahead", ahead=["numpy", "aira_lib.tensors"])
    assert score(ahead) == score(measure(tmp_path / "plain"))


def test_where_nothing_can_be_started_ahead_it_is_started_when_it_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pods, and where files are copied into a sandbox."""
    opened = measure(tmp_path, ahead=["numpy"])
    monkeypatch.setattr("aira_lib.tasks.programs.running.start_candidate", lambda *given: None)
    assert score(opened) > 0.5


def test_they_run_while_a_training_does_and_nothing_is_left_of_them(tmp_path: Path) -> None:
    opened, before = measure(tmp_path, ahead=["numpy"]), len(family(os.getpid()))
    seen: dict[str, int] = {}

    def said(note: str) -> None:
        time.sleep(0.3)
        seen.setdefault(note, len(family(os.getpid())) - before)

    score(opened, said)
    assert seen["training"] > 0
    assert len(family(os.getpid())) == before
    assert not [each for each in opened.scratch.iterdir() if (each / "submission").exists()]


@pytest.mark.parametrize("when", ["training", "predicting", "asking rows again"])
def test_an_interrupt_ends_them(tmp_path: Path, when: str) -> None:
    opened, before = measure(tmp_path, ahead=["numpy"]), len(family(os.getpid()))

    def said(note: str) -> None:
        if note == when:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(opened, said)
    assert len(family(os.getpid())) == before
    assert not [each for each in opened.scratch.iterdir() if (each / "submission").exists()]


def test_a_submitted_file_is_not_imported_ahead(tmp_path: Path) -> None:
    """It would run in a process of its own while the training does, or while another one is asked."""
    opened = measure(tmp_path, ahead=["fastmath"])
    with pytest.raises(PartFailure, match="No module named 'fastmath'") as failed:
        score(opened, fastmath=SECRETLY)
    assert "it ran" not in failed.value.output


@pytest.mark.parametrize("name", ["numpy", "json", "aira_lib/tensors"])
def test_a_submitted_file_does_not_stand_in_for_a_module(tmp_path: Path, name: str) -> None:
    opened = measure(tmp_path, ahead=["numpy", "json", "aira_lib.tensors"])
    assert score(opened, **{name: "raise SystemExit('a stand-in')"}) > 0.5


@pytest.mark.parametrize("name", ["os; x", "", "torch.", "../x", "a b"])
def test_what_is_no_module_is_refused_in_a_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="is no name of a module") as refused:
        measure(tmp_path, ahead=[name])
    assert "\n" not in str(refused.value)
