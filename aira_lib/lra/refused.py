"""Why a submission does not count, in one line that its author can use."""

import traceback
from pathlib import Path

from aira_lib.errors import UserError
from aira_lib.foreign import in_a_line


class Refused(UserError):
    """What was submitted breaks the interface, a bound or a rule; the text says which and how to mend it."""


class OutOfMemory(Refused):
    """The accelerator, or the machine, has too little memory for a submission."""


def reason_of(error: BaseException, submission: Path) -> str:
    """What a submission's code raised, with the line of its own file that led there, where one did.

    Args:
        error: As it was caught. Frames of libraries are left out: their lines help nobody who cannot change them.
        submission: The submitted file.
    """
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == submission]
    where = f"{submission.name}, line {own[-1].lineno}: " if own else f"{submission.name}: "
    name = type(error).__name__
    return where + (_IN_WORDS.get(name) or in_a_line(f"{name}: {error}", 400))


_IN_WORDS = {
    "UnexpectedTracerError": "the model reads what an earlier call of it left behind; it has to be a pure function",
    "LazyInitError": "a parameter or variable is made of the inputs' values; it may depend on their shapes alone",
}
"""For errors of JAX and Flax whose own texts are pages, or unclear."""
