"""A damaged checkpoint is named and not loaded, whichever byte it is; and nothing of one runs."""

import hashlib
import io
import itertools
import json
import os
import pickle
import random
import shutil
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import torch

from aira_lib.flow.stage import STAGES
from aira_lib.training import checkpoint
from aira_lib.training.checkpoint import Checkpoints, dcp
from aira_lib.training.checkpoint.group import RankFailed
from aira_lib.training.checkpoint.sharded import ShardedCheckpoints

NEWEST = "checkpoints/step_00000020"


def state(step: int) -> dict[str, list[dict[str, Any]]]:
    return {
        "model": [{"w": torch.full((3,), float(step))}],
        "optimizer": [{"moments": torch.full((2,), float(step)), "lr": 0.1, "step": step}],
    }


def empty() -> dict[str, list[dict[str, Any]]]:
    return {
        "model": [{"w": torch.zeros(3)}],
        "optimizer": [{"moments": torch.zeros(2), "lr": 0.0, "step": 0}],
    }


@pytest.fixture(params=[Checkpoints, ShardedCheckpoints])
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Checkpoints of steps 10 and 20."""
    with request.param(tmp_path) as checkpoints:
        for step in (10, 20):
            checkpoints.save(step, state(step), asynchronous=False)
        yield checkpoints


def loaded(checkpoints: Any, parts: Any = None) -> int | None:
    """The step that is loaded, by this class and by the function for one process."""
    wanted = empty() if parts is None else {part: empty()[part] for part in parts}
    found, plain = checkpoints.latest(wanted), checkpoint.latest(checkpoints.workspace, parts)
    assert (found is None) == (plain is None)
    if found is None or plain is None:
        return None
    for step, state_of in (found, plain):
        assert state_of["model"]["w"].tolist() == [float(step)] * 3
        if "optimizer" in state_of:
            assert state_of["optimizer"]["step"] == step
    assert found[0] == plain[0]
    return int(found[0])


def paths(checkpoints: Any) -> list[Path]:
    return sorted(path for path in (checkpoints.workspace / NEWEST).rglob("*") if path.is_file())


def test_a_hundred_flipped_bytes_are_all_named(saved: Any, caplog: pytest.LogCaptureFixture) -> None:
    seeded, files = random.Random(0), paths(saved)
    assert loaded(saved) == 20
    for flip in range(100):
        path = files[flip % len(files)]
        whole = path.read_bytes()
        at = seeded.randrange(len(whole))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ seeded.randrange(1, 256)]) + whole[at + 1 :])
        caplog.clear()
        assert loaded(saved) == 10, (path, at)
        said = [line for line in caplog.messages if "the checkpoint before it is used" in line]
        assert len(said) == 2
        assert all(NEWEST in line and path.relative_to(saved.workspace / NEWEST).as_posix() in line for line in said)
        path.write_bytes(whole)
    assert loaded(saved) == 20


def test_cut_and_missing_files_are_named(saved: Any, caplog: pytest.LogCaptureFixture) -> None:
    for path in paths(saved):
        whole = path.read_bytes()
        for cut in (0, len(whole) // 2, len(whole) - 1, None):
            if cut is None:
                path.unlink()
            else:
                path.write_bytes(whole[:cut])
            caplog.clear()
            assert loaded(saved) == 10
            # One without a manifest was never finished, and is no damage.
            assert path.name in caplog.text or (path.name == "manifest.json" and cut is None)
        path.write_bytes(whole)
    assert loaded(saved) == 20


def test_weights_alone_need_no_whole_optimizer(saved: Any) -> None:
    for path in paths(saved):
        if "optimizer" in path.relative_to(saved.workspace).as_posix():
            path.write_bytes(b"rubbish")
    assert loaded(saved, ("model",)) == 20
    assert loaded(saved) == 10


def test_where_none_is_whole_one_line_says_so(saved: Any, caplog: pytest.LogCaptureFixture) -> None:
    for path in saved.workspace.rglob("*"):
        if path.name.startswith(("model", "__0", ".metadata")) and path.is_file():
            path.write_bytes(path.read_bytes()[:-1])
    caplog.clear()
    assert loaded(saved) is None
    said = [line for line in caplog.messages if "no whole checkpoint is left" in line]
    assert said == [f"{saved.workspace}/checkpoints: no whole checkpoint is left; nothing is resumed from it"] * 2
    # Training begins anew, and its checkpoints are found though those of later steps were there.
    saved.save(5, state(5), asynchronous=False)
    assert loaded(saved) == 5


class Runs:
    """What a pickle could do to its reader."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def rewrite_manifest(folder: Path) -> None:
    """Make the manifest say what the files are."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for file in manifest["files"]:
        data = (folder / file["name"]).read_bytes()
        file |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest) + "\n")


@pytest.fixture
def sharded(tmp_path: Path) -> Iterator[ShardedCheckpoints]:
    with ShardedCheckpoints(tmp_path / "run") as checkpoints:
        for step in (10, 20):
            checkpoints.save(step, state(step), asynchronous=False)
        yield checkpoints


def test_metadata_of_a_wrong_hash_is_not_opened(
    sharded: ShardedCheckpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is a pickle, and its reader would run it."""
    whole, read = sharded.workspace / NEWEST / "model/.metadata", []
    crafted = pickle.dumps(Runs(tmp_path / "ran"))
    whole.write_bytes(crafted + bytes(max(0, whole.stat().st_size - len(crafted))))
    real = dcp._Reader.read_metadata
    monkeypatch.setattr(dcp._Reader, "read_metadata", lambda self: read.append(str(self.path)) or real(self))
    assert loaded(sharded) == 10
    assert read
    assert not [path for path in read if NEWEST in path]
    assert not (tmp_path / "ran").exists()


def test_crafted_metadata_runs_nothing_though_its_hash_is_right(sharded: ShardedCheckpoints, tmp_path: Path) -> None:
    folder = sharded.workspace / NEWEST
    (folder / "model/.metadata").write_bytes(pickle.dumps(Runs(tmp_path / "ran")))
    rewrite_manifest(folder)
    with pytest.raises(pickle.UnpicklingError, match="which no checkpoint needs"):
        checkpoint.latest(sharded.workspace)
    with pytest.raises(RankFailed, match="which no checkpoint needs"):
        sharded.latest(empty())
    assert not (tmp_path / "ran").exists()


def test_crafted_values_run_nothing_though_their_hash_is_right(sharded: ShardedCheckpoints, tmp_path: Path) -> None:
    folder = sharded.workspace / NEWEST
    for path in (folder / "optimizer").iterdir():
        path.unlink()
    crafted = {"moments": torch.zeros(2), "lr": 0.1, "step": Runs(tmp_path / "ran")}
    dcp.write_part(folder / "optimizer", crafted, None)
    rewrite_manifest(folder)
    with pytest.raises(pickle.UnpicklingError):
        checkpoint.latest(sharded.workspace)
    with pytest.raises(RankFailed):
        sharded.latest(empty())
    assert not (tmp_path / "ran").exists()


def test_a_checkpoint_of_another_model_is_refused_in_one_line(sharded: ShardedCheckpoints) -> None:
    for other in ({"w": torch.zeros(4)}, {"w": torch.zeros(3), "v": torch.zeros(1)}):
        with pytest.raises(RankFailed) as error:
            sharded.latest({"model": [other]})
        assert "\n" not in str(error.value)


def test_a_checkpoint_of_one_process_is_no_sharded_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Checkpoints(tmp_path).save(20, state(20), asynchronous=False)
    assert ShardedCheckpoints(tmp_path).latest(empty()) is None
    assert "'model' was written by one process alone" in caplog.text


class _Killed(BaseException):
    """As if the process had ended at this moment: what follows on the disk does not happen either."""


@pytest.mark.parametrize("kind", [Checkpoints, ShardedCheckpoints])
def test_a_process_that_ends_at_any_moment_leaves_a_whole_checkpoint(
    kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[int] = []
    for moment in itertools.count():
        workspace = tmp_path / str(moment)
        kind(workspace, keep=1).save(10, state(10), asynchronous=False)
        with monkeypatch.context() as patch:
            _end_at(moment, patch)
            try:
                kind(workspace, keep=1).save(20, state(20), asynchronous=False)
                ended = False
            except BaseException:
                ended = True
        step, found = checkpoint.latest(workspace)  # type: ignore[misc]
        assert found["model"]["w"].tolist() == [float(step)] * 3
        left.append(step)
        if not ended:
            break
    assert set(left) == {10, 20}
    assert left == sorted(left)
    assert len(left) > 5


def _end_at(moment: int, patch: pytest.MonkeyPatch) -> None:
    """Let all operations on files from the given one on fail."""
    done = itertools.count()

    def counted(real: Any) -> Any:
        def operation(*arguments: Any, **options: Any) -> Any:
            if next(done) >= moment:
                raise _Killed
            return real(*arguments, **options)

        return operation

    for owner, name in ((os, "replace"), (os, "fsync"), (os, "unlink"), (os, "rename"), (shutil, "rmtree")):
        patch.setattr(owner, name, counted(getattr(owner, name)))
    for name in ("mkdir", "unlink", "rename"):
        patch.setattr(Path, name, counted(getattr(Path, name)))


def test_scoring_fetches_no_optimizer_whoever_wrote_it(tmp_path: Path) -> None:
    unread = STAGES.named("evaluate").unread
    for kind in (Checkpoints, ShardedCheckpoints):
        kind(tmp_path / kind.__name__).save(20, state(20), asynchronous=False)
        workspace = tmp_path / kind.__name__
        names = [path.relative_to(workspace).as_posix() for path in workspace.rglob("*") if path.is_file()]
        fetched = {name for name in names if not any(fnmatchcase(name, pattern) for pattern in unread)}
        assert {name for name in names if "optimizer" not in name} == fetched
        assert len(fetched) < len(names)


def test_a_member_of_an_enum_may_be_named_as_an_attribute_and_nothing_else_may() -> None:
    """Python before 3.11.4 pickles members so; what else has attributes is refused."""

    class Named:
        def __init__(self, *of: Any) -> None:
            self.of = of

        def __reduce__(self) -> Any:
            return getattr, self.of

    from torch.distributed.checkpoint.metadata import _MEM_FORMAT_ENCODING as KINDS

    def read(*of: Any) -> Any:
        return dcp._Unpickler(io.BytesIO(pickle.dumps(Named(*of)))).load()

    assert read(KINDS, "TORCH_CHANNELS_LAST") is KINDS.TORCH_CHANNELS_LAST
    for of in ((KINDS, "__class__"), (KINDS, "mro"), (torch.Size, "count"), ("text", "format")):
        with pytest.raises(pickle.UnpicklingError, match="which no checkpoint needs"):
            read(*of)
