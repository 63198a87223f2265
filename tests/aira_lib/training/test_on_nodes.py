"""A training on two nodes that share nothing but a store: killed, gone on with elsewhere, the bits of one node."""

import os
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from aira_lib.errors import StoreError, UserError
from aira_lib.launch.job import Job
from aira_lib.launch.launcher import Failure, How, Status
from aira_lib.pretrain.stage import pretrain
from aira_lib.records import Manifest, TrainingRun, read_row
from aira_lib.store import Attempt, RecordFolder, open_store
from aira_lib.study import ResourcesAtScale
from aira_lib.track.log import TrackLog, read_metrics
from aira_lib.training import checkpoint, on_nodes
from aira_lib.training.checkpoint import Checkpoints
from aira_lib.training.on_nodes import train_on_nodes
from aira_lib.training.outcome import Outcome
from aira_lib.training.rank_of_nodes import check_kernels
from aira_lib.training.shared_folder import NodesSpec, SharedFolder, Spread
from aira_lib.training.spread_checkpoints import SpreadCheckpoints
from aira_lib.training.together import DeadRank
from aira_lib.work import Work
from tests import warm_start
from tests.aira_lib.training import tiny
from tests.aira_lib.training.test_together import WarmLauncher
from tests.builders import small_text, work_in

STEPS = 30
TWO_NODES = ResourcesAtScale(nodes=2, ranks_per_node=1)


class Nodes:
    """Starts each node's rank with a disk of its own, which is empty at each start."""

    def __init__(self, disks: Path) -> None:
        self.disks, self.starts = disks, 0
        self.ranks: list[warm_start.Process] = []
        self.kill_when_there_is: SharedFolder | None = None
        """A checkpoint in it: then the second node is lost."""

    def submit(self, job: Job) -> How:
        self.starts += 1
        self.name = job.name
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        self.ranks = [self._node(job, node, port) for node in range(job.nodes)]
        return "started"

    def _node(self, job: Job, node: int, port: str) -> warm_start.Process:
        shutil.rmtree(disk := self.disks / str(node), ignore_errors=True)
        group = {"WORLD_SIZE": str(job.ranks), "LOCAL_WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        own = {"RANK": str(node), "LOCAL_RANK": "0", "GROUP_RANK": str(node), "AIRA_SCRATCH": str(disk)}
        return warm_start.start(*job.command[2:], env={**os.environ, **group, **own})

    def status(self, name: str) -> Status:
        codes = [rank.poll() for rank in self.ranks]
        if self.kill_when_there_is and self.kill_when_there_is.steps() and codes == [None, None]:
            self.ranks[1].kill()
            self.ranks[1].wait()
        if None in codes:
            return Status(state="running")
        if codes == [0, 0]:
            return Status(state="succeeded")
        printed = tuple("".join(rank.communicate()).strip() for rank in self.ranks)
        lost = codes[1] == -signal.SIGKILL
        return Status(state="failed", failure=Failure(reason=f"node 1: {codes}", retryable=lost, lines=printed))

    def logs(self, name: str, follow: bool = False) -> Iterator[str]:
        yield "a line of node 0"

    def cancel(self, name: str) -> None:
        raise AssertionError("a job outlives who waits for it")


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain_kernels: None) -> Nodes:
    made = Nodes(tmp_path / "disks")
    monkeypatch.setattr(on_nodes, "launcher_of_nodes", lambda: made)
    monkeypatch.setattr(on_nodes, "PAUSE", 0.5)
    monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path / "scratch"))
    return made


@contextmanager
def attempt_at(record: RecordFolder, scratch: Path) -> Iterator[tuple[Attempt, Work]]:
    with record.claim(scratch) as attempt:
        assert attempt
        log = TrackLog(attempt.path / "track.jsonl")
        yield attempt, Work(attempt.path, log, attempt.push, shared=attempt.shared, adopt=attempt.adopt)


def manifest() -> Manifest:
    return Manifest(
        stage="pretrain", unit="p", key="0" * 64, study="s", spec_digest="0" * 64, section={}, inputs=(),
        stand_ins=(), versions={}, seconds=1.0, created="2026-01-01T00:00:00",
    )  # fmt: skip


@pytest.mark.slow
def test_a_training_that_loses_a_node_goes_on_from_the_store_and_ends_with_the_bits_of_one_node(
    tmp_path: Path, nodes: Nodes, s3_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = tiny.section(trainer="fsdp", checkpoint_seconds=0.5, data=small_text(tmp_path / "text"))
    whole = tmp_path / "whole"
    monkeypatch.setattr("aira_lib.training.together.LocalLauncher", WarmLauncher)
    pretrain(section, tiny.point(STEPS), work_in(whole), ResourcesAtScale(ranks_per_node=2))

    record = RecordFolder(open_store(s3_uri), "s/pretrain/p")
    shared = SharedFolder(f"{record.uri}/shared")
    nodes.kill_when_there_is = shared
    with pytest.raises(DeadRank), attempt_at(record, tmp_path / "a") as (attempt, work):
        pretrain(section, tiny.point(STEPS), work, TWO_NODES)
    assert 0 < shared.steps()[-1] < STEPS
    first_job = nodes.name

    nodes.kill_when_there_is = None
    with attempt_at(record, tmp_path / "b") as (attempt, work):
        pretrain(section, tiny.point(STEPS), work, TWO_NODES)
        assert not list(attempt.path.glob("checkpoints/*/*/*")), "checkpoints do not pass through who waits"
        assert read_metrics(attempt.path / "track.jsonl")["loss"].keys() >= {STEPS}
        attempt.commit(manifest())
    assert nodes.name == first_job, "whoever waits, it is the same job"
    assert record.store.list("s/pretrain/p/shared") == []
    made = record.fetch(tmp_path / "c")
    assert (made / "loss.parquet").read_bytes() == (whole / "loss.parquet").read_bytes()
    files = {path.relative_to(whole) for path in (whole / "checkpoints").rglob("*") if path.is_file()}
    assert files == {path.relative_to(made) for path in (made / "checkpoints").rglob("*") if path.is_file()}
    assert [name for name in files if (made / name).read_bytes() != (whole / name).read_bytes()] == []
    run = read_row(made / "run.json", TrainingRun)
    assert (run.status, run.ranks, run.steps) == ("ok", 2, STEPS)


class Ended:
    """A launcher whose job has ended as a test says."""

    def __init__(self, status: Status) -> None:
        self.ended_as, self.submitted = status, list[Job]()

    def submit(self, job: Job) -> How:
        self.submitted.append(job)
        return "adopted"

    def status(self, name: str) -> Status:
        return self.ended_as

    def logs(self, name: str, follow: bool = False) -> Iterator[str]:
        raise UserError("no log")


def shared_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, launcher: object) -> Work:
    monkeypatch.setattr(on_nodes, "launcher_of_nodes", lambda: launcher)
    monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path / "scratch"))
    work = work_in(tmp_path / "work")
    work.shared = str(tmp_path / "shared")
    return work


def trained(work: Work) -> Outcome:
    return train_on_nodes(tiny.section(trainer="ddp"), tiny.point(1), work, TWO_NODES)


def leave_outcome(work: Work) -> None:
    assert work.shared
    (Path(work.shared) / "loss.curve").parent.mkdir(parents=True, exist_ok=True)
    (Path(work.shared) / "loss.curve").write_bytes(bytes(48))
    SharedFolder(work.shared).end(Outcome(True, 5.0))


def test_what_stands_in_the_store_says_how_a_training_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waited for it was lost, or the job is said to have failed after its last word."""
    launcher = Ended(Status(state="failed", failure=Failure(reason="node 1: taken away")))
    work = shared_work(tmp_path, monkeypatch, launcher)
    with pytest.raises(UserError, match="node 1: taken away"):
        trained(work)
    leave_outcome(work)
    assert trained(work) == Outcome(True, 5.0)
    assert len(launcher.submitted) == 1  # it is not even asked for
    assert (work.path / "loss.curve").read_bytes() == bytes(48)


def test_a_job_that_ended_well_without_a_result_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = shared_work(tmp_path, monkeypatch, Ended(Status(state="succeeded")))
    with pytest.raises(UserError, match=r"ended well and left no outcome; remove .*shared to train again"):
        trained(work)


def test_who_is_told_to_end_leaves_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Running(Ended):
        def status(self, name: str) -> Status:
            os.kill(os.getpid(), signal.SIGTERM)
            return Status(state="running")

    work = shared_work(tmp_path, monkeypatch, Running(Status(state="running")))  # it has no `cancel` to call
    with pytest.raises(SystemExit) as ended:
        trained(work)
    assert ended.value.code == 143


def test_a_branch_begins_from_the_trunks_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = Ended(Status(state="succeeded"))
    work = shared_work(tmp_path, monkeypatch, launcher)
    (work.path / "loss.curve").write_bytes(bytes(48))
    with Checkpoints(work.path, beside=["loss.curve"]) as saver:
        saver.save(1, {"model": [{"w": torch.ones(2)}]})
    with pytest.raises(UserError, match="left no outcome"):
        trained(work)
    assert work.shared
    shared = SharedFolder(work.shared)
    assert shared.steps() == [1]
    (tmp_path / "node").mkdir()
    shared.get(tmp_path / "node", ["loss.curve", *(entry.name for entry in shared.entries(1))])
    found = checkpoint.latest(tmp_path / "node", beside=["loss.curve"])
    assert found
    assert found[1]["model"]["w"].tolist() == [1, 1]
    leave_outcome(work)
    adopted = list[str]()
    work.adopt = lambda entry: adopted.append(entry.name)
    trained(work)
    assert adopted[-1] == "checkpoints/step_00000001/manifest.json"
    assert not list(work.path.glob("checkpoints/*"))  # the record's are those of the store


def test_a_training_whose_folder_is_anothers_writes_no_more(tmp_path: Path) -> None:
    shared = SharedFolder(str(tmp_path / "shared"))
    spec = NodesSpec(token="a", section=tiny.section(trainer="ddp"), point=tiny.point(1), device="cpu", kernels="torch")
    assert shared.begin(spec) == spec
    assert shared.begin(spec.model_copy(update={"token": "b"})) == spec  # whoever comes later goes on with it
    state = {"model": [{"w": torch.ones(2)}]}
    with SpreadCheckpoints(tmp_path / "node", Spread(shared, "a", 0, 1)) as saver:
        assert saver.save(1, state, asynchronous=False)
        assert saver.save(2, state, asynchronous=False)
        assert saver.save(3, state, asynchronous=False)
        assert shared.steps() == [2, 3]
        assert [path.name for path in (tmp_path / "node/checkpoints").iterdir()] == ["step_00000003"]
        shared.store.write("spec.json", spec.model_copy(update={"token": "b"}).model_dump_json().encode())
        with pytest.raises(UserError, match="another training's now"):
            saver.save(4, state, asynchronous=False)
    assert shared.steps() == [2, 3]


def test_a_checkpoint_that_the_store_refuses_is_given_up_unless_it_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shared = SharedFolder(str(tmp_path / "shared"))
    shared.begin(
        NodesSpec(token="a", section=tiny.section(trainer="ddp"), point=tiny.point(1), device="cpu", kernels="torch")
    )
    state = {"model": [{"w": torch.ones(2)}]}

    def refuse(*_: object) -> None:
        raise StoreError("no space left")

    with SpreadCheckpoints(tmp_path / "node", Spread(shared, "a", 0, 1), patience=0.01) as saver:
        saver.save(1, state, asynchronous=False)
        with monkeypatch.context() as patch:
            patch.setattr(shared, "put", refuse)
            assert saver.save(2, state)
            saver.wait()
            assert "the checkpoint of step 2 is not in the store: no space left" in caplog.text
            with pytest.raises(StoreError, match="no space left"):
                saver.save(3, state, asynchronous=False)
        assert shared.steps() == [1]
        assert saver.save(4, state, asynchronous=False)
    assert shared.steps() == [1, 4]


def test_a_damaged_checkpoint_of_the_store_is_told_and_the_one_before_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shared = SharedFolder(str(tmp_path / "shared"))
    shared.begin(
        NodesSpec(token="a", section=tiny.section(trainer="ddp"), point=tiny.point(1), device="cpu", kernels="torch")
    )
    with SpreadCheckpoints(tmp_path / "node", Spread(shared, "a", 0, 1)) as saver:
        for step in (1, 2):
            saver.save(step, {"model": [{"w": torch.full((2,), float(step))}]}, asynchronous=False)
    damaged = next(name for name in shared.store.list("checkpoints/step_00000002") if name.endswith(".distcp"))
    shared.store.write(damaged, b"x" * len(shared.store.read(damaged)))
    with SpreadCheckpoints(tmp_path / "other", Spread(shared, "a", 0, 1)) as reader:
        found = reader.latest({"model": [{"w": torch.zeros(2)}]})
    assert found
    assert (found[0], found[1]["model"]["w"].tolist()) == (1, [1, 1])
    assert "differs from what manifest.json says; the checkpoint before it is used" in caplog.text


def test_ranks_that_compute_by_other_kernels_than_their_record_is_named_by_refuse(plain_kernels: None) -> None:
    spec = NodesSpec(token="a", section=tiny.section(), point=tiny.point(1), device="cpu", kernels="torch")
    check_kernels(spec)
    with pytest.raises(UserError, match="computes with the kernels torch, and its record is named by fused"):
        check_kernels(spec.model_copy(update={"kernels": "fused"}))


def test_what_cannot_train_on_nodes_is_said_in_one_line(
    tmp_path: Path, nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = tiny.section(trainer="ddp", data=small_text(tmp_path / "text"))
    with pytest.raises(UserError, match="nodes meet in a store, and there is none here"):
        pretrain(section, tiny.point(1), work_in(tmp_path / "run"), TWO_NODES)
    work = work_in(tmp_path / "run")
    work.shared = str(tmp_path / "shared")
    gpus = ResourcesAtScale(nodes=2, gpus_per_node=8)
    with pytest.raises(UserError, match=r"its nodes compute on cuda, and this process.*counts as cpu; set AIRA_DEVICE"):
        pretrain(section, tiny.point(1), work, gpus)
    monkeypatch.undo()
    monkeypatch.delenv("AIRA_CLUSTER", raising=False)
    with pytest.raises(UserError, match="2 nodes, and this is one machine"):
        pretrain(section, tiny.point(1), work, TWO_NODES)
