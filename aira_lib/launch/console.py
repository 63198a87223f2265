"""The console that results are printed on: colours and the width of a terminal, plain wide lines in a pipe."""

import os

from rich.console import Console

PIPE_WIDTH = 200


def result_console() -> Console:
    """A console on standard output; in a pipe no line breaks but its own, unless COLUMNS asks for a width."""
    console = Console(highlight=False, emoji=False)  # ":M:" is a ratio's end, not an emoji
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPE_WIDTH
    return console
