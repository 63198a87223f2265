"""The literature of a task whose program.yaml says that agents may consult some."""

from pathlib import Path

from aira_lib.autoresearch.literature.library import Library, open_library
from aira_lib.errors import UserError
from aira_lib.study import TaskSection


def open_literature(section: TaskSection) -> Library:
    """The papers that come with AIRA, and the study's own over them.

    Raises:
        UserError: the study's folder cannot be used; one line.
    """
    own = Path(section.literature).expanduser().resolve() if section.literature else None
    try:
        return open_library(own)
    except UserError as error:
        raise UserError(f"task.literature: {error}") from None
