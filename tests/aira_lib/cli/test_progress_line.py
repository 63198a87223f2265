"""A line on a terminal that takes the place of the one before it."""

import io
import sys

import pytest

from aira_lib.cli.progress_line import ProgressLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_covers_all_of_the_one_before_as_that_was_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    line = ProgressLine()
    with line:
        for text in ("of \x1b[2Ja name", "longer by far than that", "a\r\nb", "end"):
            line.show_text(text)
    shown = terminal.getvalue().removesuffix("\n").split("\r")[1:]
    assert [each.rstrip() for each in shown] == ["of \N{REPLACEMENT CHARACTER}[2Ja name", "longer by far than that",
                                                 "a\nb", "end"]  # fmt: skip
    assert len(shown[2]) == len("longer by far than that")
    assert len(shown[3]) == len("a\nb")  # and no wider: what is written is what has to be covered
