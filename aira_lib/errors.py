"""The errors a user can cause, each one line that says what, where and how to mend it.

A `UserError` ends a command with exit code 2 and no traceback. Anything else that escapes is a bug and keeps its
traceback. Failures of an agent's candidate are not exceptions at all: they are results with a reason.
"""

import difflib
import errno
from collections.abc import Iterable


class UserError(Exception):
    """A mistake of the user or of the machine around us; its text is the one line to show."""

    exit_code = 2


class SpecError(UserError):
    """A study that cannot be understood: the message names the file and the key."""


class PatternError(UserError):
    """A layer pattern that does not parse: the message shows the place."""


class StoreError(UserError):
    """A store that refuses: no such bucket, no permission, no space left."""


class MissingDependency(UserError):
    """A feature whose optional packages are not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs packages that are not installed: pip install 'aira[{extra}]'")


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return the ending of an error line that helps with a misspelt name.

    Either ``; did you mean 'x'?`` when one valid name is close, or a list of all valid names.
    """
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else f"; valid: {', '.join(names)}"


_MENDABLE_OS_ERRORS = {
    errno.ENOSPC: "no space left on the disk; free some, then give the same command again",
    errno.EDQUOT: "the disk quota is used up; free some space, then give the same command again",
    errno.EFBIG: "a file may not grow that large here; raise the limit (ulimit -f), then give the same command again",
    errno.EACCES: "permission denied; choose a folder you may write with --store, or change its permissions",
    errno.EROFS: "the file system is read-only; choose another folder with --store",
}


def from_os_error(error: OSError) -> UserError | None:
    """The one line for a full or forbidding disk; None for an error that a user cannot mend."""
    remedy = _MENDABLE_OS_ERRORS.get(error.errno or 0)
    return UserError(f"{error.filename or 'writing'}: {remedy}") if remedy else None
