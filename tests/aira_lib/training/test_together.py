"""Ranks that are killed, told to stop, or refuse: who it was is said, nothing hangs, the bits are a whole run's."""

import os
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from aira_lib.errors import UserError
from aira_lib.launch.job import Job
from aira_lib.launch.launcher import Failure, Status
from aira_lib.launch.local import LocalLauncher
from aira_lib.models.language_model import LanguageModel
from aira_lib.pretrain.stage import pretrain
from aira_lib.records import TrainingRun, read_columns, read_row
from aira_lib.study import ResourcesAtScale
from aira_lib.training import checkpoint, together
from aira_lib.training.checkpoint.manifest import finished_steps
from aira_lib.training.curve import read_curve
from aira_lib.training.together import DeadRank
from tests import warm_start
from tests.aira_lib.training import tiny
from tests.builders import small_text, work_in

TWO = ResourcesAtScale(ranks_per_node=2)
STEPS = 30


@pytest.fixture(scope="module", autouse=True)
def environment(tmp_path_factory: pytest.TempPathFactory, plain_kernels: None) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRA_SCRATCH", str(tmp_path_factory.mktemp("scratch")))
        yield


@contextmanager
def once(workspace: Path, steps: int, act: Callable[[], object]) -> Iterator[None]:
    """Act from a thread when a run in a workspace has done so many steps, beyond a finished checkpoint."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            if len(read_curve(workspace)) >= steps and finished_steps(workspace):
                act()
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def kill_rank(rank: int) -> None:
    os.kill(pid_of_rank(rank), signal.SIGKILL)


def pid_of_rank(rank: int) -> int:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            program, variables = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue
        scratch = f"AIRA_SCRATCH={os.environ['AIRA_SCRATCH']}".encode()
        if b"aira_lib.training.rank\0" in program and {f"RANK={rank}".encode(), scratch} <= {*variables.split(b"\0")}:
            return int(folder.name)
    raise AssertionError(f"rank {rank} does not run")


class WarmLauncher:
    """Starts ranks without torchrun, in processes that need not import everything: much less of a machine's time."""

    def __init__(self, root: Path, attached: bool) -> None:
        assert attached

    def submit(self, job: Job) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        group = {"WORLD_SIZE": str(job.ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        module, *arguments = job.command[2:]
        self.ranks = [
            warm_start.start(module, *arguments, env={**os.environ, **group, "RANK": rank, "LOCAL_RANK": rank})
            for rank in map(str, range(job.ranks))
        ]

    def status(self, name: str) -> Status:
        codes = [rank.poll() for rank in self.ranks]
        if None in codes:
            return Status(state="running")
        return Status(state="succeeded" if codes == [0] * len(codes) else "failed")

    def cancel(self, name: str) -> None:
        for rank in self.ranks:
            rank.send_signal(signal.SIGTERM)
        for rank in self.ranks:
            rank.wait(60)


@pytest.fixture
def warm(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(together, "LocalLauncher", WarmLauncher)
    return monkeypatch


def assert_same_record(first: Path, second: Path) -> None:
    """But for what says how fast it was."""
    assert (first / "loss.parquet").read_bytes() == (second / "loss.parquet").read_bytes()
    files = {path.relative_to(first) for path in (first / "checkpoints").rglob("*") if path.is_file()}
    assert files == {path.relative_to(second) for path in (second / "checkpoints").rglob("*") if path.is_file()}
    for name in files:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    times = {"seconds": 0, "tokens_per_second": None, "mfu": None}
    runs = [read_row(each / "run.json", TrainingRun).model_copy(update=times) for each in (first, second)]
    assert runs[0] == runs[1]
    assert (runs[0].status, runs[0].ranks, runs[0].steps) == ("ok", 2, STEPS)


@pytest.mark.slow
def test_a_rank_that_is_killed_is_named_and_the_next_attempt_ends_with_the_bits_of_a_whole_run(
    tmp_path: Path, warm: pytest.MonkeyPatch
) -> None:
    section = tiny.section(trainer="ddp", checkpoint_seconds=0.2, data=small_text(tmp_path / "text"))
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    pretrain(section, tiny.point(STEPS), work_in(whole), TWO)
    pushed: list[str] = []
    work = replace(work_in(cut), push=pushed.append)
    warm.setattr(together, "LocalLauncher", LocalLauncher)
    died = pytest.raises(DeadRank, match=r"rank 1: killed by SIGKILL.*goes on from the last checkpoint")
    with once(cut, 8, lambda: kill_rank(1)), died as dead:
        pretrain(section, tiny.point(STEPS), work, TWO)
    warm.setattr(together, "LocalLauncher", WarmLauncher)
    assert dead.value.exit_code == 75
    assert 8 <= len(read_curve(cut)) < STEPS
    for step in finished_steps(cut):  # what was saved had been pushed, its manifest last
        names = [name for name in pushed if f"step_{step:08d}" in name]
        assert names[-1].endswith("manifest.json")
        assert pushed.index("loss.curve") < pushed.index(names[0])
    pretrain(section, tiny.point(STEPS), work_in(cut), TWO)
    assert_same_record(whole, cut)


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
def test_ranks_that_are_told_to_stop_save_the_step_they_agree_on(tmp_path: Path) -> None:
    section = tiny.section(trainer="fsdp", checkpoint_seconds=0.2, data=small_text(tmp_path / "text"))
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    pretrain(section, tiny.point(STEPS), work_in(whole), TWO)
    with pytest.raises(SystemExit) as told, once(cut, 8, lambda: os.kill(os.getpid(), signal.SIGTERM)):
        pretrain(section, tiny.point(STEPS), work_in(cut), TWO)
    assert told.value.code == 143
    assert 8 <= finished_steps(cut)[-1] == len(read_curve(cut)) < STEPS
    one = shutil.copytree(cut, tmp_path / "one")
    pretrain(section, tiny.point(STEPS), work_in(cut), TWO)
    assert_same_record(whole, cut)
    found = checkpoint.latest(cut, ["model"])  # as whoever scores it reads it, in one process
    assert found
    model = LanguageModel(("A", "M", "Mb"), tiny.SCALE)
    model.load_state_dict(found[1]["model"])
    # What two ranks saved one goes on from.
    pretrain(section, tiny.point(STEPS), work_in(one))
    assert read_row(one / "run.json", TrainingRun).ranks == 1
    losses = [read_columns(each / "loss.parquet")["loss"] for each in (one, whole)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    assert losses[0] != losses[1]


@pytest.mark.parametrize(
    ("failure", "kind", "code", "said"),
    [
        (Failure(reason="rank 1: exit code 2: aira: no text", rank=1, exit_code=2, lines=("x", "aira: no text")),
         UserError, 2, "no text"),
        (Failure(reason="rank 3: killed by SIGTERM", rank=3, exit_code=-15, retryable=True, lines=("step 7",)),
         DeadRank, 75, "p: rank 3: killed by SIGTERM (its last lines: step 7); the same command goes on from the last "
                       "checkpoint"),
        (Failure(reason="rank 0: exit code 1", rank=0, exit_code=1, lines=("Traceback", "KeyError: 'x'")),
         RuntimeError, None, "p: rank 0: exit code 1\nTraceback\nKeyError: 'x'"),
        (Failure(reason="not finished within its deadline of 3.0 h"), UserError, 2,
         "p: not finished within its deadline of 3.0 h; see resources.pretrain"),
        (None, DeadRank, 75, "p: its ranks were cancelled; run the same command again"),
    ],
)  # fmt: skip
def test_how_a_failed_rank_is_told(failure: Failure | None, kind: type, code: int | None, said: str) -> None:
    error = together.error_of(failure, tiny.point(1).model_copy(update={"id": "p"}))
    assert type(error) is kind
    assert str(error) == said
    assert getattr(error, "exit_code", None) == code


def test_a_trainer_of_one_rank_is_refused_for_several(tmp_path: Path) -> None:
    line = "'one-device' trains on one rank, and resources give it 2; valid for several: ddp, fsdp"
    with pytest.raises(UserError, match=line):
        pretrain(tiny.section(), tiny.point(1), work_in(tmp_path), TWO)


def test_one_device_for_several_ranks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRA_DEVICE", "cuda:1")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    section = tiny.section(trainer="ddp", data=small_text(tmp_path / "text"))
    with pytest.raises(UserError, match="AIRA_DEVICE=cuda:1 names one device for 2 ranks"):
        pretrain(section, tiny.point(1), work_in(tmp_path / "run"), TWO)
