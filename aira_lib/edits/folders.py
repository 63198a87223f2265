"""The journals of the searches whose records lie in a folder."""

from pathlib import Path

from aira_lib.store import RecordFolder
from aira_lib.store.attempt import attempts_in
from aira_lib.store.local import FileStore
from aira_lib.watch.nodes import JOURNAL


def journals_in(folder: Path) -> dict[str, Path]:
    """Journals by the folders of their records, however deep they lie.

    Of a record with several attempts it is that of the one which its manifest names, else of the last.

    Raises:
        StoreError: a manifest is damaged.
    """
    return dict(_of(journal.parent) for journal in sorted(folder.rglob(JOURNAL)))


def _of(within: Path) -> tuple[str, Path]:
    """The record that a folder is, or is an attempt of, with its journal."""
    record = within.absolute().parent
    store = FileStore(record.parent)
    if record.name and within.name in attempts_in(store, record.name):
        return str(within.parent), record.parent / RecordFolder(store, record.name).files() / JOURNAL
    return str(within), within / JOURNAL
