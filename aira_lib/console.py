"""The console that results are printed on: colours and the width of a terminal, plain wide lines in a pipe."""

import os
from typing import Any

from rich.console import Console as AnyConsole
from rich.text import Text

from aira_lib.foreign import harmless

PIPE_WIDTH = 200


class Console(AnyConsole):
    """A console on which the text of others cannot do more than stand there: names, errors, ends of logs."""

    def render_str(self, text: str, **settings: Any) -> Text:
        """See `rich.console.Console.render_str`, through which all text goes."""
        return super().render_str(harmless(text), **settings)


def result_console() -> Console:
    """A console on standard output; in a pipe no line breaks but its own, unless COLUMNS asks for a width."""
    console = Console(highlight=False, emoji=False)  # ":M:" is a ratio's end, not an emoji
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPE_WIDTH
    return console


def duration(seconds: float) -> str:
    """A time span for people: 45 s, 7 min, 3.2 h, 12 days."""
    for limit, unit, size in ((90, "s", 1), (90 * 60, "min", 60), (48 * 3600, "h", 3600)):
        if seconds < limit:
            return f"{seconds / size:.1f} {unit}" if unit == "h" else f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} days"


def size(count: float) -> str:
    """A number of bytes for people: 999 bytes, 1.2 kB, 3.4 GB."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError
