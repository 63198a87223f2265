"""The store's copy of what ranks write into a workspace, kept by the process that started them."""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from aira_lib.store import LostClaim
from aira_lib.store.base import MANIFEST, is_temporary
from aira_lib.training.checkpoint.background import Background
from aira_lib.training.checkpoint.manifest import finished_steps, folder_of, name_in_store
from aira_lib.training.checkpoint.pushing import Push, Pushing
from aira_lib.training.curve import FILE


class Mirror:
    """Pushes checkpoints once they are finished, in a thread, and has those go that are gone here.

    A store that is so slow that a checkpoint is removed here before it is there never gets it, but the next one.
    """

    def __init__(self, workspace: Path, push: Push) -> None:
        """Take note of what is there: the store has it."""
        self._workspace = workspace
        self._pushing = Pushing(_unless_gone(push))
        self._background: Background[bool] = Background("mirror")
        self._there = {step: self._names(step) for step in finished_steps(workspace)}

    def follow(self) -> None:
        """Begin to push what is new, unless that of before is still on its way.

        Raises:
            LostClaim: another has taken over the record.
        """
        if not self._background.busy:
            self._background.collect()
            if self._look():
                self._background.start(self._pushing.flush_or_put_off)

    def __enter__(self) -> "Mirror":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Have the store get all that is finished.

        Raises:
            LostClaim: another has taken over the record.
            StoreError: the store refuses; told in a warning where there is an error already.
        """
        try:
            self._background.collect()
            self._look()
            if kind is None:
                self._pushing.flush()
            elif not issubclass(kind, LostClaim):
                self._pushing.flush_or_put_off()
        finally:
            self._background.close()

    def _look(self) -> bool:
        """Note what is new and what is gone; whether there is something to do."""
        finished = finished_steps(self._workspace)
        for step in (step for step in finished if step not in self._there):
            self._there[step] = self._names(step)
            self._pushing.copy([FILE, *self._there[step]])
        for step in [step for step in self._there if step not in finished]:
            self._pushing.remove(reversed(self._there.pop(step)))
        return bool(self._pushing)

    def _names(self, step: int) -> list[str]:
        """The files of a checkpoint as the store calls them, its manifest last."""
        folder = folder_of(self._workspace, step)
        paths = sorted(path for path in folder.rglob("*") if path.is_file() and not is_temporary(path.name))
        paths.sort(key=lambda path: path.name == MANIFEST)
        return [name_in_store(folder, path.relative_to(folder).as_posix()) for path in paths]


def _unless_gone(push: Push) -> Callable[[str], None]:
    """Whoever writes may remove a file while it is pushed: its removal is pushed with the next look."""

    def pushed(name: str) -> None:
        try:
            push(name)
        except FileNotFoundError:
            return

    return pushed
