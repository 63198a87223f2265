"""A checkpoint is written beside training: with the same bytes, one at a time, and whatever the store does."""

import hashlib
import json
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from aira_lib.errors import StoreError
from aira_lib.store import LostClaim, RecordFolder, open_store
from aira_lib.training import checkpoint
from aira_lib.training.checkpoint import Checkpoints
from aira_lib.training.checkpoint.pushing import LONGEST_PAUSE, PATIENCE, Pushing
from aira_lib.training.checkpoint.sharded import ShardedCheckpoints

KINDS = [Checkpoints, ShardedCheckpoints]  # without torch.distributed, the second has one rank
AnyCheckpoints = Checkpoints | ShardedCheckpoints


def state(value: float) -> dict[str, list[dict[str, Any]]]:
    tied = torch.full((4, 3), value)
    return {
        "model": [{"embedding": tied, "head": tied, "bias": torch.full((2,), value)}],
        "optimizer": [{"moments": {"bias": torch.full((2,), value / 2)}, "lr": value, "betas": [0.9, 0.95]}],
    }


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def saved_value(workspace: Path) -> tuple[int, float] | None:
    found = checkpoint.latest(workspace)
    if found is None:
        return None
    step, parts = found
    assert parts["optimizer"]["betas"] == [0.9, 0.95]
    values = {*parts["model"]["head"].unique().tolist(), *parts["model"]["bias"].unique().tolist()}
    (value,) = {*values, parts["optimizer"]["lr"]}
    assert parts["optimizer"]["moments"]["bias"].tolist() == [value / 2] * 2
    return step, value


class Gate:
    """A push that waits until it is opened, and then notes what it is given."""

    def __init__(self) -> None:
        self.open, self.entered = threading.Event(), threading.Event()
        self.names: list[str] = []

    def __call__(self, name: str) -> None:
        self.entered.set()
        assert self.open.wait(60)
        self.names.append(name)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Pauses between pushes take no time, but are counted."""
    pauses: list[float] = []

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return sum(pauses)

        @staticmethod
        def sleep(seconds: float) -> None:
            pauses.append(seconds)

    monkeypatch.setattr("aira_lib.training.checkpoint.pushing.time", Clock)
    return pauses


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_beside_training_has_the_bytes_of_what_is_written_at_once(kind: Any, tmp_path: Path) -> None:
    gate, beside, at_once = Gate(), tmp_path / "beside", tmp_path / "at-once"
    with kind(beside, gate) as checkpoints:
        weights = state(1.0)
        assert checkpoints.save(5, weights)
        for tensor in (*weights["model"][0].values(), weights["optimizer"][0]["moments"]["bias"]):
            tensor.fill_(7.0)  # training goes on
        gate.open.set()
    with kind(at_once) as checkpoints:
        assert checkpoints.save(5, state(1.0), asynchronous=False)
        assert saved_value(at_once) == (5, 1.0)
    assert files(beside) == files(at_once)
    assert saved_value(beside) == (5, 1.0)
    assert gate.names[-1] == "checkpoints/step_00000005/manifest.json"
    assert sorted(gate.names) == sorted(files(beside))


@pytest.mark.parametrize("kind", KINDS)
def test_one_save_at_a_time(kind: Any, tmp_path: Path) -> None:
    gate = Gate()
    with kind(tmp_path, gate) as checkpoints:
        assert checkpoints.save(1, state(1.0))
        assert gate.entered.wait(60)
        assert not checkpoints.save(2, state(2.0))
        gate.open.set()
        assert checkpoints.save(3, state(3.0), asynchronous=False)
    assert [path.name for path in sorted((tmp_path / "checkpoints").iterdir())] == ["step_00000001", "step_00000003"]
    assert saved_value(tmp_path) == (3, 3.0)


@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_wrong_in_the_thread_is_raised_by_the_next_call(kind: Any, tmp_path: Path) -> None:
    def lost(name: str) -> None:
        raise LostClaim

    for then in (
        lambda each: each.save(2, state(2.0), asynchronous=False),
        lambda each: each.wait(),
        lambda each: each.__exit__(None, None, None),
    ):
        checkpoints = kind(tmp_path, lost)
        assert checkpoints.save(1, state(1.0))
        with pytest.raises(LostClaim):
            then(checkpoints)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_training_is_not_hidden_by_one_of_a_save(kind: Any, tmp_path: Path) -> None:
    def refused(name: str) -> None:
        raise LostClaim

    def train() -> None:
        with kind(tmp_path, refused) as checkpoints:
            checkpoints.save(1, state(1.0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    assert saved_value(tmp_path) == (1, 1.0)  # what had begun was finished on this disk


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("kind", KINDS)
def test_a_state_that_is_not_finite_is_not_saved_and_pushes_nothing_out(
    kind: Any, bad: float, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with kind(tmp_path, keep=1) as checkpoints:
        assert checkpoints.save(10, state(1.0), asynchronous=False)
        broken = state(2.0)
        broken["optimizer"][0]["moments"]["bias"][1] = bad
        assert not checkpoints.save(20, broken, asynchronous=False)
        checkpoints.save(30, broken)
    assert saved_value(tmp_path) == (10, 1.0)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step_00000010"]
    assert "step 20: optimizer['moments']['bias'] is not finite" in caplog.text.replace("[0]", "")


@pytest.mark.parametrize("kind", KINDS)
def test_checkpoints_of_branches_stay(kind: Any, tmp_path: Path) -> None:
    with kind(tmp_path, keep=2, keep_steps=(2, 4, 99)) as checkpoints:
        for step in range(1, 8):
            checkpoints.save(step, state(float(step)), asynchronous=False)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        f"step_{step:08d}" for step in (2, 4, 6, 7)
    ]
    checkpoint.prune(tmp_path, lambda name: None, keep=1, keep_steps=(4,))
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step_00000004", "step_00000007"]


@pytest.mark.parametrize("kind", KINDS)
def test_plain_data_alone_is_saved(kind: Any, tmp_path: Path) -> None:
    with kind(tmp_path) as checkpoints:
        with pytest.raises(TypeError, match=r"model\['a'\]\[1\] is a set"):
            checkpoints.save(1, {"model": [{"a": [1, {2}]}]})
        with pytest.raises(ValueError, match="has no shard"):
            checkpoints.save(1, {"model": []})
        with pytest.raises(ValueError, match="needs a part"):
            checkpoints.save(1, {})
    assert files(tmp_path) == {}


# --- a store that refuses --------------------------------------------------------------------------------------------


class Mirror:
    """A store in memory, to which files are pushed; `refuses` says when it does not take one."""

    def __init__(self, workspace: Path, refuses: Callable[[], bool]) -> None:
        self.workspace, self.refuses = workspace, refuses
        self.files: dict[str, bytes] = {}
        self.whole: list[set[str]] = []

    def __call__(self, name: str) -> None:
        if self.refuses():
            raise StoreError("the bucket is busy")
        path = self.workspace / name
        if path.exists():
            self.files[name] = path.read_bytes()
        else:
            self.files.pop(name, None)
        self.whole.append({name.split("/")[1] for name in self.files if name.endswith("manifest.json")})
        for folder in self.whole[-1]:  # whoever starts from the store at this moment finds no half of a checkpoint
            for file in json.loads(self.files[f"checkpoints/{folder}/manifest.json"])["files"]:
                held = self.files[f"checkpoints/{folder}/{file['name']}"]
                assert hashlib.sha256(held).hexdigest() == file["sha256"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_that_fails_one_request_in_five_delays_and_loses_nothing(
    kind: Any, tmp_path: Path, clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    seeded = random.Random(0)
    mirror = Mirror(tmp_path, lambda: seeded.random() < 0.2)
    with kind(tmp_path, mirror) as checkpoints:
        for step in range(1, 31):
            checkpoints.save(step, state(float(step)), asynchronous=False)
    assert mirror.files == files(tmp_path)
    assert saved_value(tmp_path) == (30, 30.0)
    assert len(clock) > 10  # it did fail
    assert not [record for record in caplog.records if record.name.startswith("aira_lib")]
    first = next(at for at, steps in enumerate(mirror.whole) if steps)
    assert all(mirror.whole[first:])  # from the first checkpoint on the store always had a whole one


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_that_is_away_for_a_while_stops_no_training(
    kind: Any, tmp_path: Path, clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    away = False
    mirror = Mirror(tmp_path, lambda: away)
    with kind(tmp_path, mirror, keep=2) as checkpoints:
        for step in range(1, 10):
            away = 3 <= step <= 7
            begun = sum(clock)
            while not checkpoints.save(step, state(float(step))):
                pass
            checkpoints._background._work.result()  # as if the next step took long
            assert sum(clock) - begun <= PATIENCE
            if away:  # what is there stays there until a newer one is
                assert mirror.whole[-1] == {"step_00000001", "step_00000002"}
    assert mirror.files == files(tmp_path)
    assert saved_value(tmp_path) == (9, 9.0)
    assert sum("not in the store yet: the bucket is busy" in line for line in caplog.messages) == 5
    assert max(clock) <= LONGEST_PAUSE
    assert len(set(clock)) > len(clock) // 2  # pauses are partly random


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_that_is_away_at_the_end_is_an_error(kind: Any, tmp_path: Path, clock: list[float]) -> None:
    away = True
    mirror = Mirror(tmp_path, lambda: away)
    checkpoints = kind(tmp_path, mirror)
    checkpoints.save(1, state(1.0))
    with pytest.raises(StoreError, match="the bucket is busy"):
        checkpoints.wait()
    assert sum(clock) < 60  # no rank waits for longer, that of the thread included
    clock.clear()
    with pytest.raises(StoreError, match="the bucket is busy"):
        checkpoints.save(2, state(2.0), asynchronous=False)
    assert sum(clock) <= PATIENCE
    away = False
    checkpoints.wait()
    assert mirror.files == files(tmp_path)
    assert saved_value(tmp_path) == (2, 2.0)


@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_with_a_checkpoint_is_in_the_store_before_its_manifest(
    kind: Any, tmp_path: Path, clock: list[float]
) -> None:
    mirror = Mirror(tmp_path, lambda: False)
    with kind(tmp_path, mirror, beside=["loss.curve"]) as checkpoints:
        for step in range(1, 4):
            with (tmp_path / "loss.curve").open("a") as curve:
                curve.write(f"{step}\n")
            before = len(mirror.whole)
            checkpoints.save(step, state(float(step)), asynchronous=False)
            assert mirror.files["loss.curve"].split()[-1] == str(step).encode()
            assert f"step_{step:08d}" not in mirror.whole[before]  # the curve went first
    assert mirror.files == files(tmp_path)


def test_a_file_that_was_to_be_copied_and_is_gone_is_not_copied(tmp_path: Path, clock: list[float]) -> None:
    done: list[str] = []
    away = True

    def push(name: str) -> None:
        if away:
            raise StoreError("away")
        done.append(name)

    pushing = Pushing(push)
    pushing.copy(["a", "b"])
    pushing.flush_or_put_off()
    pushing.remove(["a"])
    pushing.copy(["c"])
    assert pushing
    away = False
    pushing.flush()
    assert done == ["b", "c", "a"]
    assert not pushing


def test_a_file_whose_copy_failed_is_pushed_at_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.aira_lib.training.test_checkpoint import MANIFEST

    folder = RecordFolder(open_store((tmp_path / "runs").as_uri()), "study/pretrain/p-1")
    monkeypatch.setattr(type(folder.store), "local", lambda self, prefix, scratch: scratch / prefix)  # as in a bucket
    with folder.claim(tmp_path / "scratch") as attempt:
        assert attempt is not None
        (attempt.path / "a").write_bytes(b"new")
        with monkeypatch.context() as patch:
            patch.setattr(type(folder.store), "put", _refuses)
            with pytest.raises(StoreError):
                attempt.push("a")
        attempt.commit(MANIFEST)
    assert folder.store.read(f"{folder.files()}/a") == b"new"


def _refuses(*arguments: Any) -> None:
    raise StoreError("the bucket is busy")


def test_an_s3_server_that_fails_one_request_in_five_has_all_in_the_end(
    s3_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Really over HTTP, without the retries of boto3."""
    from botocore.awsrequest import AWSResponse

    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("aira_lib.training.checkpoint.pushing.FIRST_PAUSE", 0.01)
    folder = RecordFolder(open_store(s3_uri), "study/pretrain/p-1")
    seeded, failed = random.Random(1), 0

    def fail(request: Any, **more: Any) -> AWSResponse | None:
        nonlocal failed
        if seeded.random() >= 0.2:
            return None
        failed += 1
        return AWSResponse(request.url, 503, {}, _Body(b"<Error><Code>SlowDown</Code></Error>"))

    with folder.claim(tmp_path / "scratch") as attempt:
        assert attempt is not None
        events = folder.store._client.meta.events  # type: ignore[attr-defined]
        with Checkpoints(attempt.path, attempt.push) as checkpoints:
            events.register("before-send.s3", fail)
            for step in range(1, 11):
                checkpoints.save(step, state(float(step)), asynchronous=False)
            events.unregister("before-send.s3", fail)
        prefix = f"study/pretrain/p-1/{attempt.name}"
        there = {name.removeprefix(f"{prefix}/"): folder.store.read(name) for name in folder.store.list(prefix)}
        assert there == files(attempt.path)
    assert failed > 3


class _Body:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def stream(self, *arguments: Any, **options: Any) -> Iterator[bytes]:
        yield self.content
