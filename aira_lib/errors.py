"""The errors a user can cause, each one line that says what, where and how to mend it.

A `UserError` ends a command with exit code 2 and no traceback (with 75 where nothing is to be mended, and the same
command may get on when it is started again). Anything else that escapes is a bug and keeps its traceback. Failures of
an agent's candidate are not exceptions at all: they are results with a reason.
"""

import difflib
import errno
import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aira_lib.foreign import harmless

INTERRUPTED = 130
"""Exit code of a command that Ctrl-C has ended."""


class UserError(Exception):
    """A mistake of the user or of the machine around us; its text is the one line to show."""

    exit_code = 2

    def __str__(self) -> str:
        """The line, in which names that others gave are harmless."""
        return harmless(super().__str__())


class SpecError(UserError):
    """A study that cannot be understood: the message names the file and the key."""


class PatternError(UserError):
    """A layer pattern that does not parse: the message shows the place."""


class StoreError(UserError):
    """A store that refuses: no such bucket, no permission, no space left."""


class MissingDependency(UserError):
    """A feature whose optional packages are not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs packages that are not installed: {install_hint(extra)}")


def install_hint(extra: str) -> str:
    """The command that installs an extra, for a shell.

    AIRA comes from a checkout, for no registry has it: what is called `aira` on PyPI is somebody else's.
    """
    root = Path(__file__).resolve().parents[1]
    if not (root / "pyproject.toml").is_file():
        return f"pip install -e '.[{extra}]' in a checkout of AIRA"
    place = "." if root == Path.cwd() else str(root)
    return f"pip install -e {shlex.quote(f'{place}[{extra}]')}"


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return the ending of an error line that helps with a misspelt name.

    Either ``; did you mean 'x'?`` when one valid name is close, or a list of all valid names. Case and signs between
    words do not count: ``D-Model`` is closest to ``d_model``.
    """
    names = sorted(valid)
    close = closest(name, names)
    return f"; did you mean {close!r}?" if close else f"; valid: {', '.join(names) or 'none'}"


def closest(name: str, valid: Iterable[str]) -> str | None:
    """The valid name that a misspelt one most resembles, letter by letter; None where none is close."""
    letters = {_letters(each): each for each in sorted(valid, reverse=True)}
    found = difflib.get_close_matches(_letters(name), letters, n=1, cutoff=0.6)
    return letters[found[0]] if found else None


def _letters(name: str) -> str:
    """A long name is no misspelling of a short one, and comparing it would take time with its square."""
    return "".join(c for c in name[:_LONGEST_NAME].casefold() if c.isalnum()) or name[:_LONGEST_NAME]


_LONGEST_NAME = 200


_REMEDIES = {
    errno.ENOSPC: "no space left on the disk; free some, or choose another folder",
    errno.EDQUOT: "the disk quota is used up; free some space, or choose another folder",
    errno.EFBIG: "the file grew past the limit of this process or disk; raise `ulimit -f`, or choose another folder",
    errno.EACCES: "permission denied; make it writable for this user, or choose another folder",
    errno.EPERM: "operation not permitted; make it writable for this user, or choose another folder",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.ENOTDIR: "a file stands where a folder is needed; move it away, or choose another folder",
    errno.EISDIR: "a folder stands where a file is needed; move it away, or choose another folder",
    errno.EEXIST: "a file stands where a folder is needed; move it away, or choose another folder",
    errno.ENAMETOOLONG: "the name is too long for this file system; choose a shorter one",
    errno.ELOOP: "its links lead round in a circle; choose another folder",
    errno.EIO: "the disk reports an input/output error; check the disk",
    errno.ESTALE: "the network file system lost this file; mount it again, then run the same command",
}


def from_os_error(error: OSError, place: object = "the disk") -> StoreError | None:
    """The one line for what a disk refuses; None for an error that a user cannot mend.

    Args:
        error: what the operating system said.
        place: the file or folder to name where the error names none, or only a temporary file.
    """
    if error.errno not in _REMEDIES:
        return None
    named = isinstance(error.filename, str) and not error.filename.endswith(".tmp")
    return StoreError(f"{error.filename if named else place}: {_REMEDIES[error.errno]}")


@contextmanager
def writing(path: object) -> Iterator[None]:
    """Turn whatever keeps us from writing a file or folder that a user named into one line.

    Raises:
        StoreError: the operating system refuses inside the block.
    """
    try:
        yield
    except FileNotFoundError:
        raise StoreError(f"{path}: its folder does not exist; make it, or name another") from None
    except OSError as error:
        unnamed = OSError(error.errno, error.strerror)  # what the user named says more than a file below it
        raise from_os_error(unnamed, path) or StoreError(f"{path}: {error.strerror}; choose another") from None


def read_named(path: Path, what: str) -> str:
    """The text of a file that a user named.

    Args:
        path: the file.
        what: it holds, such as "designs, one a line".

    Raises:
        UserError: it cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text; name a file of {what}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); name a file of {what}") from None
