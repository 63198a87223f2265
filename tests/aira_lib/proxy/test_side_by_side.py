"""Tasks shared by processes: the same evaluation, failures included, and nobody is left behind."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aira_lib.device import KERNELS_VARIABLE
from aira_lib.errors import UserError
from aira_lib.evaluations.store import _depends_on_machine
from aira_lib.proxy import evaluation, side_by_side
from aira_lib.proxy.evaluation import evaluate
from aira_lib.records import Evaluation, FailureCause
from aira_lib.study import ProxySection

DIFFICULTY = {
    "in-context-recall": {"vocab_size": 8, "seq_len": 24},
    "memorization": {"vocab_size": 16, "seq_len": 16},
    "compression": {"vocab_size": 6, "seq_len": 8},
}


def section(**changes: Any) -> ProxySection:
    return ProxySection.model_validate(
        {
            "tasks": tuple(DIFFICULTY), "difficulty": DIFFICULTY, "d_model": 32, "n_heads": 2, "d_ff": 64,
            "d_state": 16, "train_examples": 40, "test_examples": 16, "batch_size": 16, "epochs": 9,
            "precision": "fp32", **changes,
        }
    )  # fmt: skip


pytestmark = pytest.mark.usefixtures("plain_kernels", "processes")


@pytest.fixture(scope="module")
def processes() -> Iterator[None]:
    """One test leaves them to the next: each takes seconds to start."""
    yield
    side_by_side.end_workers()


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every evaluation with two threads is shared; holds how many processes each one had."""
    made: list[int] = []

    class Watched(side_by_side.SideBySide):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(len(self._workers))

    monkeypatch.setattr(side_by_side, "WORTH_SECONDS", 0.0)
    monkeypatch.setattr(evaluation, "SideBySide", Watched)
    return made


def timeless(result: Evaluation) -> Evaluation:
    return result.model_copy(update={"seconds": 0.0, "training_seconds": 0.0})


@pytest.mark.parametrize(
    ("changes", "kernels"), [({}, "plain"), ({"retrain_for_test": False, "rank_by_accuracy": "macro"}, "fused")]
)
def test_it_is_the_same_evaluation(
    changes: dict[str, Any], kernels: str, shared: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KERNELS_VARIABLE, kernels)
    chosen, seen = section(**changes), []
    alone = evaluate(("Mb", "A"), chosen, 3)
    together = evaluate(("Mb", "A"), chosen, 3, threads=2, progress=lambda *at: seen.append(at))
    assert shared == [2]
    assert timeless(together) == timeless(alone)
    assert [rung.epoch for rung in together.curve] == [1, 3]
    assert list(together.validation_by_task) == list(DIFFICULTY)
    assert seen[-1][:2] == (together.train_steps, together.train_steps)
    assert {note for _, _, note in seen} == set(DIFFICULTY)


def test_processes_compute_as_this_one_would(shared: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Other kernels or threads are other processes; else they stay."""
    seen = []
    for kernels in ("fused", "fused", "plain"):
        monkeypatch.setenv(KERNELS_VARIABLE, kernels)
        evaluate(("A",), section(), 0, threads=2)
        seen.append({worker.process.pid for worker in side_by_side._alive.values()})
    assert seen[0] == seen[1]
    assert not seen[1] & seen[2]


def test_stopping_early_is_decided_over_all_tasks(shared: list[int]) -> None:
    whole = evaluate(("M", "M"), section(), 0)
    bar = whole.curve[1].validation + 1e-9
    chosen = section(stopping={"rule": "learning-curve", "bars": (None, bar)})
    assert timeless(evaluate(("M", "M"), chosen, 0, threads=2)) == timeless(evaluate(("M", "M"), chosen, 0))
    assert evaluate(("M", "M"), chosen, 0, threads=2).stopped_at == 3


def test_a_failure_is_a_result_and_the_next_evaluation_works(shared: list[int]) -> None:
    failed = evaluate(("A",), section(learning_rate=1e30), 0, threads=2)
    assert failed.status == "failed"
    assert re.search(": (the loss|a weight) became", failed.reason)
    assert failed.cause == FailureCause.DIVERGED
    assert evaluate(("A",), section(), 0, threads=2).status == "ok"


def test_what_the_user_can_mend_is_said_as_ever(shared: list[int]) -> None:
    wrong = section(difficulty={**DIFFICULTY, "memorization": {"n_tokens_to_copy": 2}})
    with pytest.raises(UserError, match="n_tokens_to_copy"):
        evaluate(("A",), wrong, 0, threads=2)


def test_a_killed_process_is_a_result_with_a_reason(shared: list[int]) -> None:
    def kill(*_: Any) -> None:
        for worker in side_by_side._alive.values():
            worker.process.kill()

    failed = evaluate(("A",), section(epochs=300), 0, threads=2, progress=kill)
    assert (failed.status, failed.validation) == ("failed", None)
    assert failed.reason.endswith("was killed, perhaps out of memory")
    assert failed.cause == FailureCause.PROCESS_KILLED
    assert _depends_on_machine(failed)  # and so is not kept
    assert evaluate(("A",), section(), 0, threads=2).status == "ok"


def test_an_interruption_ends_the_processes(shared: list[int]) -> None:
    processes: list[subprocess.Popen[bytes]] = []

    def interrupt(*_: Any) -> None:
        processes.extend(worker.process for worker in side_by_side._alive.values())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(("A",), section(epochs=300), 0, threads=2, progress=interrupt)
    assert len(processes) == 2
    assert all(process.poll() == -signal.SIGKILL for process in processes)


def test_small_evaluations_and_single_tasks_stay_here() -> None:
    assert side_by_side.workers_for(("A",) * 16, ProxySection(), 4) == 4
    assert side_by_side.workers_for(("A",) * 16, ProxySection(), 1) == 1
    assert side_by_side.workers_for(("A",), section(epochs=1), 4) == 1
    assert side_by_side.workers_for(("A",) * 16, ProxySection(tasks=("compression",)), 4) == 1
    assert side_by_side.workers_for(("A",) * 16, ProxySection(), 16) == 6


def test_the_longest_tasks_are_shared_out_first() -> None:
    seconds: Any = {"a": 1.0, "b": 8.0, "c": 5.0, "d": 4.0}
    assert side_by_side._shared(seconds, tuple(seconds), 2) == [("b", "a"), ("c", "d")]


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_processes_die_with_the_one_they_work_for(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import os, signal, sys\n"
        "from aira_lib.proxy import side_by_side\n"
        "from aira_lib.proxy.evaluation import evaluate\n"
        "from aira_lib.study import ProxySection\n"
        "def said(*_):\n"
        "    print(*(worker.process.pid for worker in side_by_side._alive.values()), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "side_by_side.WORTH_SECONDS = 0.0\n"
        "evaluate(('A',), ProxySection.model_validate_json(sys.argv[1]), 0, threads=2, progress=said)\n"
    )
    command = [sys.executable, str(program), section(epochs=300).model_dump_json()]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    waiting = done.stdout.split()[:2]
    assert len(waiting) == 2
    for _ in range(300):
        if not any(_alive(pid) for pid in waiting):
            return
        time.sleep(0.1)
    pytest.fail(f"still alive: {waiting}")


def _alive(pid: str) -> bool:
    """A zombie that nobody waits for is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False
