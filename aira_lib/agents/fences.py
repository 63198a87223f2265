"""Fenced blocks of a reply, in one pass: what it costs grows with the text's length, whatever stands in it."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from aira_lib.agents.bounds import MAX_CODE

PYTHON = frozenset({"", "py", "py3", "python", "python2", "python3", "ipython", "ipython3", "code", "tool_code"})
"""Labels of what may be a Python program."""

_LABEL = re.compile(r"[^\s{]*")
_LANGUAGE = re.compile(r"[a-z]([a-z0-9+#_.-]*[a-z0-9+#])?")  # as it is written directly after a fence
_OUTSIDE = re.compile(r"#[^\n]*|\"\"\"|'''|[\"']")
_INSIDE = {
    quote: re.compile(rf"\\.|{quote}" if len(quote) == 3 else rf"\\.|{quote}|\n", re.DOTALL)
    for quote in ('"', "'", '"""', "'''")
}
_MOST_DOUBTS = 4  # blocks of a reply whose first fence may be part of a string

Compiles = Callable[[str], bool]


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        label: What stands after its opening fence, in small letters.
        code: What stands in it.
        start: The number of its first line, that of the fence.
        end: The number of the first line after it.
        before: What stands before the opening fence on its line.
        after: Words after the closing fence on its line.
        closed: Whether it ends, rather than the text.
    """

    label: str
    code: str
    start: int
    end: int
    before: str = ""
    after: str = ""
    closed: bool = True


@dataclass(frozen=True)
class _End:
    """A line that may end a block: the code before its fence, and whether it ends it or begins the next one."""

    number: int
    code: str
    kind: Literal["end", "next"]
    words: str = ""


def fenced_blocks(lines: list[str], compiles: Compiles) -> Iterator[Block]:
    """Find the blocks of a text, one after the other.

    Args:
        lines: The text's lines, without their ends.
        compiles: Whether code is Python. It is asked only where a fence may be part of a string, a few times a text.
    """
    number = doubts = 0
    while number < len(lines):
        opening = _opening(lines[number])
        if not opening:
            number += 1
            continue
        before, fence, label = opening
        first, end = _end(lines, number + 1, fence, strings=label in PYTHON and doubts < _MOST_DOUBTS)
        if first != end:
            doubts += 1
            end = end if end and compiles(_code(lines, number, end)) else first
        yield _block(lines, number, end, label, before)
        number = len(lines) if end is None else end.number + (end.kind == "end")


def _opening(line: str) -> tuple[str, str, str] | None:
    """What stands before an opening fence, the fence, and its label; None where the line opens no block."""
    if "```" not in line and "~~~" not in line:
        return None
    place = min(place for place in (line.find("`"), line.find("~")) if place >= 0)
    rest = line[place:].lstrip(line[place])
    fence = line[place : len(line) - len(rest)]
    if len(fence) < 3 or "`" in rest:
        return None
    rest = rest.lstrip(" \t")
    label = _LABEL.match(rest)
    assert label is not None
    if line[:place].strip() and rest[label.end() :].strip():  # a fence amid prose opens nothing
        return None
    return line[:place], fence, label[0].lower().rstrip(":")


def _end(lines: list[str], start: int, fence: str, strings: bool) -> tuple[_End | None, _End | None]:
    """The first line that may end a block, and the first that does so outside of Python's strings, as far as is seen.

    The two differ only where `strings` are looked for, and where the first stands in one.
    """
    first: _End | None = None
    quote, done, size = "", start, 0
    for number in range(start, len(lines)):
        if fence not in lines[number]:
            continue
        found = _ending(lines[number], number, fence)
        if found is None:
            continue
        first = first or found
        if not strings:
            return first, first
        passed = "".join(line + "\n" for line in lines[done:number])
        quote, done, size = open_quote(passed, quote), number, size + len(passed)
        if not open_quote(found.code, quote):
            return first, found
        if size > MAX_CODE:
            break
    return first, None if first else first


def _ending(line: str, number: int, fence: str) -> _End | None:
    bare = line.rstrip()
    code = bare.rstrip(fence[0])
    if len(bare) - len(code) >= len(fence):
        return _End(number, code.rstrip(), "end")
    begun = bare.lstrip(" \t")
    if not begun.startswith(fence):
        return None
    rest = begun.lstrip(fence[0])
    if "`" in rest:
        return None
    word, *more = rest.split(maxsplit=1)
    label = word.lower().rstrip(":")
    if label and label in PYTHON and not (more and rest[0].isspace()):
        return _End(number, "", "next")
    if not more and not rest[0].isspace() and _LANGUAGE.fullmatch(word):
        return _End(number, "", "next")
    return _End(number, "", "end", rest.strip())


def open_quote(code: str, quote: str = "") -> str:
    """The quotes of the string that Python code ends in; empty where it ends outside of all strings.

    Args:
        code: Whole lines, or the beginning of one. Fields of f-strings are taken for text.
        quote: The quotes of the string in which the code begins.
    """
    place = 0
    while found := (_INSIDE[quote] if quote else _OUTSIDE).search(code, place):
        place = found.end()
        if not quote:
            quote = "" if found[0][0] == "#" else found[0]
        elif found[0] in (quote, "\n"):
            quote = ""
    return quote


def _code(lines: list[str], start: int, end: _End) -> str:
    return dedented([*lines[start + 1 : end.number], end.code])


def _block(lines: list[str], start: int, end: _End | None, label: str, before: str) -> Block:
    if end is None:
        return Block(label, dedented(lines[start + 1 :]), start, len(lines), before, closed=False)
    return Block(label, _code(lines, start, end), start, end.number + (end.kind == "end"), before, end.words)


def dedented(lines: list[str]) -> str:
    """Lines without their common indentation (as textwrap.dedent, whose time explodes with that of one long line)."""
    lines = [line if line.strip(" \t") else "" for line in lines]
    margins = [line[: len(line) - len(line.lstrip(" \t"))] for line in lines if line]
    margin = len(os.path.commonprefix(margins))  # noqa: RUF071 - character by character is meant
    return "\n".join(line[margin:] for line in lines).strip("\n").rstrip() + "\n"
