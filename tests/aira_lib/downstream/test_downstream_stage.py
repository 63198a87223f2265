"""The stage around its tasks: what fails, what is killed, what diverged. What scores a task is a stand-in."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from aira_lib.downstream import stage
from aira_lib.downstream.kept import ITEMS_SCHEMA
from aira_lib.downstream.scorer import Diverged
from aira_lib.errors import UserError
from aira_lib.records import ITEMS, Downstream, Measured, TaskScore, TrainingRun, read_row
from aira_lib.study import DataSection, DownstreamSection
from aira_lib.work import Work
from tests.aira_lib.test_identity import point
from tests.builders import SilentLog, tiny_study, work_in

SECTION = DownstreamSection(tasks=("six", "copa"))
NAMES = ("hellaswag", "winogrande", "arc_e", "piqa", "sciq", "arc_c", "copa")

pytestmark = pytest.mark.usefixtures("plain_kernels")


class StandIn:
    """Scores tasks at once; `mishaps` happen at a task instead, and `asked` are the tasks that it was asked."""

    asked: list[str]
    mishaps: dict[str, BaseException]

    def __init__(self, *given: Any) -> None:
        pass

    def describe(self) -> dict[str, Any]:
        return {"tokenizer": "bytes 0123", "prefix": 0, "precision": "fp32", "device": "cpu"}

    def score(self, pair: Any, told: Callable[[float, str], None]) -> tuple[TaskScore, list[dict[str, Any]]]:
        task, shots = pair
        self.asked.append(task.name)
        told(0.5, "half of it")
        if task.name in self.mishaps:
            raise self.mishaps[task.name]
        score = TaskScore(
            task=task.name, shots=shots, split="validation", paper_split=task.paper_split, primary="acc",
            metrics={"acc": Measured(value=0.5, stderr=0.1)}, chance=0.25, items=2, available=9, cut=0, constant=False,
            data={"source": "x", "sha256": "0" * 64},
        )  # fmt: skip
        rows = [{"task": task.name, "shots": shots, "item": number, "acc": float(number)} for number in range(2)]
        return score, rows


@pytest.fixture
def scorer(monkeypatch: pytest.MonkeyPatch) -> type[StandIn]:
    StandIn.asked, StandIn.mishaps = [], {}
    monkeypatch.setattr(stage, "Scorer", StandIn)
    return StandIn


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return _record(tmp_path / "run", "ok")


def _record(folder: Path, status: Any) -> Path:
    folder.mkdir()
    run = TrainingRun(
        point=point(tiny_study()), final_train_loss=1.0, steps=7, tokens=7, flops=7.0, status=status, data={}
    )
    (folder / "run.json").write_text(run.json_line())
    return folder


def score(record: Path, work: Work) -> Downstream:
    stage.downstream(SECTION, DataSection(), record, work)
    return read_row(work.path / "downstream.json", Downstream)


def items(work: Work) -> list[dict[str, Any]]:
    table = pq.read_table(work.path / ITEMS)
    assert table.schema == ITEMS_SCHEMA
    return list(table.to_pylist())


def test_all_tasks_make_one_record_in_their_order(scorer: type[StandIn], record: Path, tmp_path: Path) -> None:
    told: list[tuple[float, float, str]] = []
    work = work_in(tmp_path / "work")
    work.progress = lambda *given: told.append(given)
    found = score(record, work)
    assert tuple(each.task for each in found.tasks) == NAMES
    assert [(row["task"], row["item"]) for row in items(work)] == [(name, n) for name in NAMES for n in range(2)]
    assert {path.name for path in work.path.iterdir()} == {"downstream.json", ITEMS}
    assert found.versions.keys() == {"lm-eval", "datasets", "transformers"}
    assert told[0][:2] == (0.5, 7)
    assert told[0][2].startswith("hellaswag 0-shot: half of it, about 0 s left of it")
    assert told[-1] == (1, 1, "7 tasks scored")
    log = work.log
    assert isinstance(log, SilentLog)
    assert ("metrics", (7, {"downstream/copa-0/acc": 0.5})) in log.logged


def test_a_task_that_fails_leaves_the_scores_of_the_others(scorer: type[StandIn], record: Path, tmp_path: Path) -> None:
    scorer.mishaps = {"piqa": ValueError("broken\nitem"), "copa": UserError("no items of copa; fetch them")}
    work = work_in(tmp_path / "work")
    found = score(record, work)
    assert tuple(each.task for each in found.tasks) == tuple(name for name in NAMES if name not in scorer.mishaps)
    reasons = {each.task: each.reason for each in found.failed}
    assert reasons == {"piqa": "ValueError: broken item", "copa": "no items of copa; fetch them"}
    assert {row["task"] for row in items(work)} == {each.task for each in found.tasks}


def test_where_no_task_has_a_score_the_stage_fails(scorer: type[StandIn], record: Path, tmp_path: Path) -> None:
    scorer.mishaps = {name: UserError(f"no items of {name}") for name in NAMES}
    with pytest.raises(UserError, match="no items of hellaswag"):
        score(record, work_in(tmp_path / "work"))


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError()])
def test_what_another_attempt_may_mend_is_no_result(
    error: Exception, scorer: type[StandIn], record: Path, tmp_path: Path
) -> None:
    """A score that is missing for want of memory would be missing for good: the record is found again."""
    scorer.mishaps = {"piqa": error}
    with pytest.raises(type(error)):
        score(record, work_in(tmp_path / "work"))
    assert not (tmp_path / "work" / "downstream.json").exists()
    scorer.mishaps, scorer.asked = {}, []
    found = score(record, work_in(tmp_path / "work"))
    assert tuple(each.task for each in found.tasks) == NAMES
    assert tuple(scorer.asked) == NAMES[3:]


def test_killed_anywhere_it_goes_on_behind_the_last_finished_task(
    scorer: type[StandIn], record: Path, tmp_path: Path
) -> None:
    whole = score(record, work_in(tmp_path / "whole"))
    expected = items(work_in(tmp_path / "whole"))
    for number, kill in enumerate(_moments(tmp_path)):
        work = work_in(tmp_path / f"work-{number}")
        child = os.fork()
        if not child:
            kill(work)
            score(record, work)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        done = len(list(work.path.glob("tasks/*.json")))
        scorer.asked = []
        found = score(record, work_in(work.path))
        assert tuple(scorer.asked) == NAMES[done:]
        assert found.model_copy(update={"seconds": whole.seconds}) == whole
        assert items(work) == expected


def _moments(folder: Path) -> list[Callable[[Work], None]]:
    """What arranges a kill: after each of the first files of tasks, and where the record is put together."""

    def at_push(wanted: int) -> Callable[[Work], None]:
        def arrange(work: Work) -> None:
            left = [wanted]

            def push(name: str) -> None:
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)

            work.push = push

        return arrange

    def at_end(work: Work) -> None:
        stage.FinishedTasks.clear = lambda kept: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]

    return [at_push(1), at_push(2), at_push(5), at_push(14), at_end]


def test_a_torn_file_of_a_task_is_no_score(scorer: type[StandIn], record: Path, tmp_path: Path) -> None:
    scorer.mishaps = {"arc_e": MemoryError()}
    with pytest.raises(MemoryError):
        score(record, work_in(tmp_path / "work"))
    (tmp_path / "work/tasks/hellaswag-0.json").write_text('{"task": "hel')
    (tmp_path / "work/tasks/winogrande-0.parquet").unlink()
    scorer.mishaps, scorer.asked = {}, []
    score(record, work_in(tmp_path / "work"))
    assert tuple(scorer.asked) == NAMES


def test_a_run_that_diverged_is_not_scored(scorer: type[StandIn], tmp_path: Path) -> None:
    work = work_in(tmp_path / "work")
    found = score(_record(tmp_path / "diverged", "diverged"), work)
    assert (found.status, found.tasks, scorer.asked) == ("diverged", (), [])
    assert items(work) == []


def test_answers_that_are_no_numbers_are_a_run_that_diverged(
    scorer: type[StandIn], record: Path, tmp_path: Path
) -> None:
    scorer.mishaps = {"piqa": Diverged()}
    work = work_in(tmp_path / "work")
    found = score(record, work)
    assert (found.status, found.tasks) == ("diverged", ())
    assert json.loads((work.path / "downstream.json").read_text())["failed"] == []
    assert items(work) == []
