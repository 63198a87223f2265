"""The raw data sets that task folders' scripts read."""

from pathlib import Path

from aira_lib.contents import folder_digest
from aira_lib.errors import UserError
from aira_lib.settings import task_data_folder


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
