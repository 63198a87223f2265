"""The raw data sets that task folders' scripts read."""

import os
from pathlib import Path

from aira_lib.contents import folder_digest
from aira_lib.errors import UserError
from aira_lib.settings import task_data_folder

_MOST_ENTRIES = 10_000


def raw_data() -> Path | None:
    """The folder of raw data sets (AIRA_TASK_DATA), None where none is named.

    Raises:
        UserError: it is no folder.
    """
    folder = task_data_folder()
    if folder is not None and not folder.is_dir():
        raise UserError(f"{folder}: no such folder; AIRA_TASK_DATA must name the folder of raw data sets")
    return folder


def raw_digest() -> str | None:
    """The digest of all raw data, None where none are named. No task says which of them its scripts read.

    Raises:
        UserError: it is no folder, or a file cannot be read.
    """
    folder = raw_data()
    return folder_digest(folder) if folder else None


def lay_links(raw: Path, place: Path, seen_as: Path | None = None) -> None:
    """Make `place` a folder with the same folders as the raw data, and links in the place of their files.

    Scripts find it where they look for raw data. What they write beside what they read, as Hugging Face's `datasets`
    does with everything that `map` and `filter` make, goes into these folders: the raw data, which may be read-only and
    are in the key of every search by what they hold, stay as they are. A folder of more than 10,000 entries is linked
    as a whole: beside its files nothing can be written.

    Args:
        raw: The folder of raw data sets.
        place: A folder that is there or is made.
        seen_as: Where the links find the raw data, if not there.
    """
    place.mkdir(parents=True, exist_ok=True)
    target = seen_as or raw.resolve()
    with os.scandir(raw) as listing:
        entries = sorted(listing, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False) and len(os.listdir(entry.path)) <= _MOST_ENTRIES:
            lay_links(Path(entry.path), place / entry.name, target / entry.name)
        else:
            (place / entry.name).symlink_to(target / entry.name)
