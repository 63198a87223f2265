"""A folder that appears whole, or not at all."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aira_lib.errors import UserError, writing
from aira_lib.exchange.file_names import CONFIG, RUN
from aira_lib.store.base import TEMPORARY
from aira_lib.store.files import disk_errors, make_folder, sync_file

EXPORTED = (CONFIG, RUN)
"""What every exported model has; a folder without these is never replaced."""


def check_free(to: Path, force: bool) -> None:
    """Refuse a place where something lies, but for an exported model that may be replaced.

    Raises:
        UserError: what lies there, and what to do.
    """
    if to.is_dir() and not any(to.iterdir()):
        return
    if not os.path.lexists(to):
        return
    if not to.is_dir() or not all((to / name).is_file() for name in EXPORTED):
        raise UserError(f"{to}: is no exported model, and is left alone; name another folder")
    if not force:
        raise UserError(f"{to}: is there already; name another folder, or replace it with --force")


@contextmanager
def whole_folder(to: Path, force: bool) -> Iterator[Path]:
    """A new folder to write in, which takes the place of `to` once the block is through; else nothing changes.

    Raises:
        UserError: see `check_free`.
        StoreError: the disk refuses.
    """
    check_free(to, force)
    make_folder(to.parent)
    mark = secrets.token_hex(4)
    half, old = (to.parent / f".{to.name}.{what}-{mark}{TEMPORARY}" for what in ("new", "old"))
    try:
        with writing(to):
            half.mkdir()
        with disk_errors(to):
            yield half
            for file in sorted(half.iterdir()):
                sync_file(file)
        with writing(to):
            _put_in_place(half, to, old)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _put_in_place(half: Path, to: Path, old: Path) -> None:
    """Move a folder to its place; what was there goes once the new one stands, and comes back if it cannot."""
    if not to.exists():
        os.rename(half, to)
        return
    os.rename(to, old)
    try:
        os.rename(half, to)
    except BaseException:
        os.rename(old, to)
        raise
    shutil.rmtree(old, ignore_errors=True)
