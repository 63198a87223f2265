"""What ranks write reaches the store: whole checkpoints, manifests last; what is gone here goes there."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from aira_lib.errors import StoreError
from aira_lib.store import LostClaim
from aira_lib.training.checkpoint.manifest import folder_of
from aira_lib.training.curve import FILE
from aira_lib.training.mirror import Mirror


def save(workspace: Path, step: int) -> None:
    folder = folder_of(workspace, step)
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "__0_0.distcp").write_text(str(step))
    (folder / "manifest.json").write_text(f"{step}")


def drop(workspace: Path, step: int) -> None:
    shutil.rmtree(folder_of(workspace, step))


def names(step: int) -> list[str]:
    return [f"checkpoints/step_{step:08d}/{name}" for name in ("model/__0_0.distcp", "manifest.json")]


class Copy:
    """A store's side of a workspace, in the order in which it came about."""

    def __init__(self, workspace: Path, refuse: Callable[[str], None] = lambda name: None) -> None:
        self.workspace, self.refuse = workspace, refuse
        self.done: list[tuple[str, str]] = []

    def push(self, name: str) -> None:
        self.refuse(name)
        self.done.append(("put" if (self.workspace / name).exists() else "remove", name))


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / FILE).write_bytes(b"x")
    save(tmp_path, 1)  # of the attempt before, which the store has
    return tmp_path


def test_new_checkpoints_go_with_the_curve_before_and_their_manifest_last(workspace: Path) -> None:
    copy = Copy(workspace)
    with Mirror(workspace, copy.push):
        save(workspace, 5)
        folder_of(workspace, 7).mkdir()  # not finished
    assert copy.done == [("put", name) for name in (FILE, *names(5))]


def test_old_checkpoints_go_when_the_new_one_is_there_and_their_manifest_first(workspace: Path) -> None:
    copy = Copy(workspace)
    with Mirror(workspace, copy.push):
        save(workspace, 5)
        drop(workspace, 1)
    removed = [("remove", name) for name in reversed(names(1))]
    assert copy.done == [*(("put", name) for name in (FILE, *names(5))), *removed]


def test_a_store_that_refuses_for_a_while_gets_all_in_the_end(workspace: Path) -> None:
    left = 3

    def refuse(name: str) -> None:
        nonlocal left
        if left:
            left -= 1
            raise StoreError("try again")

    copy = Copy(workspace, refuse)
    with Mirror(workspace, copy.push) as mirror:
        save(workspace, 5)
        mirror.follow()
    assert [name for _, name in copy.done] == [FILE, *names(5)]


def test_a_file_that_goes_while_it_is_pushed_is_no_error(workspace: Path) -> None:
    def refuse(name: str) -> None:
        if name == names(5)[0]:
            drop(workspace, 5)
            raise FileNotFoundError(name)

    copy = Copy(workspace, refuse)
    with Mirror(workspace, copy.push):
        save(workspace, 5)
    assert ("put", names(5)[1]) not in copy.done


def test_a_lost_claim_is_told_and_nothing_more_is_pushed(workspace: Path) -> None:
    def refuse(name: str) -> None:
        raise LostClaim

    copy = Copy(workspace, refuse)
    with pytest.raises(LostClaim), Mirror(workspace, copy.push):
        save(workspace, 5)
    assert copy.done == []


def test_what_ranks_saved_before_they_failed_is_pushed(workspace: Path) -> None:
    copy = Copy(workspace)

    def die() -> None:
        save(workspace, 5)
        raise RuntimeError("a rank died")

    with pytest.raises(RuntimeError, match="a rank died"), Mirror(workspace, copy.push):
        die()
    assert [name for _, name in copy.done] == [FILE, *names(5)]
