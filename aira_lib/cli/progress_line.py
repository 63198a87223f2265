"""How far something long is, on standard error."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from aira_lib.console import duration, size
from aira_lib.errors import INTERRUPTED
from aira_lib.foreign import harmless

if TYPE_CHECKING:
    from aira_lib.datasets.shards.prepare import Progress

_TELL_SECONDS = 30


def note(text: str) -> None:
    """A line on standard error."""
    print(harmless(text), file=sys.stderr, flush=True)


@contextmanager
def interruptible(then: str) -> Iterator[None]:
    """One line for Ctrl-C inside the block, which says what comes of it, also while modules are imported."""
    try:
        yield
    except KeyboardInterrupt:
        note(f"Interrupted; {then}.")
        raise typer.Exit(INTERRUPTED) from None


class ProgressLine:
    """One line that changes, or in a pipe a line every half minute."""

    def __init__(self) -> None:
        self._changes, self._told, self._width = sys.stderr.isatty(), time.monotonic(), 0

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        if self._width:
            print(file=sys.stderr)

    def show(self, progress: "Progress") -> None:
        """Print how far a preparation of shards is, unless it is too early."""
        self.show_text(_progress_text(progress))

    def show_text(self, text: str) -> None:
        """Print a text of one line in the place of the last, unless it is too early."""
        now = time.monotonic()
        if self._changes:
            shown = harmless(text)
            print(f"\r{shown:{self._width}}", end="", file=sys.stderr, flush=True)
            self._width = len(shown)
        elif now - self._told >= _TELL_SECONDS:
            self._told = now
            note(text)


def _progress_text(progress: "Progress") -> str:
    speed = progress.bytes_here / max(progress.seconds, 1e-3)
    text = f"{progress.parts_done:,} of {progress.parts:,} parts"
    if not progress.bytes:
        return text
    left = progress.bytes - progress.bytes_done
    text += f", {size(progress.bytes_done)} of {size(progress.bytes)}, {speed / 1e6:.1f} MB/s"
    return f"{text}, {duration(left / speed)} left" if speed and left > 0 else text
