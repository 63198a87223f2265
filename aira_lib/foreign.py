"""Text that others made (a candidate, a model, somebody's task folder), made fit for a record and for a terminal.

It is cleaned where it enters: the texts of a node and of a stand-in when they are made (`aira_lib.records`), what a
candidate printed (`aira_lib.sandbox`), a task folder's metadata, description and overview when they are read
(`aira_lib.tasks`), a user's error when it is said (`aira_lib.errors`); and once more whatever goes to a terminal
through `aira_lib.console`. What others say within a line of ours is bounded besides (`in_a_line`). Programs alone are
kept as they were written: they are run, and shown as data only.
"""

import re

# Control characters but tab and newline; marks that turn the direction of writing; surrogates, which no UTF-8 holds and
# by which Python stands for the bytes of a file's name that are no UTF-8.
_HARMFUL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def harmless(text: str) -> str:
    """The text with U+FFFD for every character that could rewrite what a terminal shows, or that UTF-8 cannot hold."""
    return _HARMFUL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def in_a_line(text: str, most: int = 500) -> str:
    """The text, harmless, on one line of `most` characters at most; what is longer ends in dots."""
    line = " ".join(harmless(text[: 10 * most]).split())  # a text without end takes no time either
    return line if len(line) <= most else f"{line[: most - 3]}..."
