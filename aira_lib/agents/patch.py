"""Patches: a reply that changes its parent's program rather than repeating it.

Two forms are read: search/replace blocks, and unified diffs. Both are applied strictly: the lines to be replaced must
stand in the program exactly as given, in one place (a diff's line number decides between several; else it is only a
hint, since models seldom count lines right). A reply with neither is read as a whole program.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from aira_lib.agents.bounds import MAX_CODE, MAX_PLAN, ReplyError
from aira_lib.agents.compiling import syntax_problem
from aira_lib.agents.reply import Parsed, parse_reply
from aira_lib.agents.spoken import spoken

_SEARCH = re.compile(r"^<{5,9} ?SEARCH\s*$")
_DIVIDER = re.compile(r"^={5,9}\s*$")
_REPLACE = re.compile(r"^>{5,9} ?REPLACE\s*$")
_HUNK = re.compile(r"^@@(?: -(?P<line>\d{1,9})(?:,\d+)? \+\d+(?:,\d+)? @@)?")
_HEADER = re.compile(r"^(diff |index |--- |\+\+\+ )")
_FENCE = re.compile(r"^\s*(`{3,}|~{3,})")
_FENCE_LINE = re.compile(r"^(`{3,}|~{3,})")  # an indented one is a line of the program
_CHANGE = re.compile(r"^[^\w\n]*CHANGE[^\w\n:]*:", re.MULTILINE | re.IGNORECASE)
_NO_WORD = re.compile(r"^\W*")
_MOST_CHANGE = 200  # characters
_MOST_EDITS = 100  # parts of a patch


class PatchError(ReplyError):
    """A patch that does not apply; the text says which part and why."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the patch does not apply: {reason}; the program is still the one before it")


@dataclass(frozen=True)
class Edit:
    """Lines to be replaced and those in their place. `line` is where a diff says they begin, from 0."""

    name: str
    old: list[str]
    new: list[str]
    line: int | None = None


def parse_edit(text: str, program: str, artefact: str = "submission.csv", cut: bool = False) -> Parsed:
    """Find the plan and the changed program in a model's reply to a prompt that showed it a program.

    Args:
        text: The reply, as it came.
        program: The program that the prompt showed.
        artefact: The file that the program has to write.
        cut: Whether the provider is known to have cut the reply off; a patch is then refused, since half of its
            changes may make a program that runs and does something else.

    Raises:
        ReplyError: there is no patch and no program in it, or (PatchError) the patch does not apply.
    """
    lines = spoken(text).split("\n")
    for opening, read in ((_SEARCH, _search_blocks), (_HUNK, _hunks)):
        start = next((number for number, line in enumerate(lines) if opening.match(line)), None)
        if start is not None:
            if cut:
                raise PatchError("it was cut off")
            edits = list(islice(read(lines[start:]), _MOST_EDITS + 1))
            if len(edits) > _MOST_EDITS:
                raise PatchError(f"it has more than {_MOST_EDITS} parts; send the whole program")
            return Parsed(_plan(lines[:start]), apply_edits(program, edits))
    return parse_reply(text, artefact, cut)


def apply_edits(program: str, edits: list[Edit]) -> str:
    """Make the changes, one after the other.

    Raises:
        PatchError: one of them has no place or several, or the result is no other program that compiles.
    """
    text, shift = _joined(program.rstrip("\n").split("\n")), 0
    for edit in edits:
        old = _joined(edit.old)
        place = _place(text, edit, old, shift)
        text = text[:place] + _joined(edit.new) + text[place + len(old) :]
        shift += len(edit.new) - len(edit.old)
        if len(text) > MAX_CODE + 2:
            raise PatchError(f"the program would be longer than {MAX_CODE:,} characters")
    patched = text[1:].rstrip("\n") + "\n"
    if patched == program.rstrip("\n") + "\n":
        raise PatchError("it changes nothing")
    if problem := syntax_problem(patched):
        raise PatchError(f"the program would not compile: {problem}")
    return patched


def change_of(plan: str) -> str:
    """The one line that says what was changed: the one marked CHANGE, else the plan's first."""
    if marked := _CHANGE.search(plan):
        said = _NO_WORD.sub("", plan[marked.end() :], count=1).partition("\n")[0].rstrip(" \t*`")
        if said:
            return said[:_MOST_CHANGE]
    return next((line.strip() for line in plan.split("\n") if line.strip()), "")[:_MOST_CHANGE]


def _joined(lines: list[str]) -> str:
    """Lines as a part of a text in which every line stands between two line ends: Python finds it in linear time."""
    return "".join(f"\n{line}" for line in lines) + "\n"


def _place(text: str, edit: Edit, old: str, shift: int) -> int:
    """Where in a text the old lines begin."""
    stated = None if edit.line is None else _start_of_line(text, edit.line + shift)
    if not edit.old:
        if stated is None:
            raise PatchError(f"{edit.name} names no lines of the program")
        return stated
    first = text.find(old)
    if first < 0:
        raise PatchError(f"the lines of {edit.name} {_why_not_there(text, edit.old)}")
    if text.find(old, first + 1) < 0:
        return first
    if stated is not None and text.startswith(old, stated):
        return stated
    raise PatchError(f"the lines of {edit.name} stand in {_count(text, old)} places of the program; give more lines")


def _start_of_line(text: str, number: int) -> int | None:
    """Where the line end before a line stands, or that after the last line; None where there is no such line."""
    if number < 0:
        return None
    parts = text.split("\n", number + 1)
    return len(text) - len(parts[-1]) - 1 if len(parts) == number + 2 else None


def _why_not_there(text: str, lines: list[str]) -> str:
    there = set(text.split("\n"))
    missing = next((line for line in lines if line not in there), None)
    return "do not stand together" if missing is None else f"are not in the program: {missing.strip()[:80]!r} is not"


def _count(text: str, old: str) -> int:
    """How often lines stand in a text, overlaps included; counted up to a hundred."""
    count, place = 0, text.find(old)
    while place >= 0 and count < 100:
        count, place = count + 1, text.find(old, place + 1)
    return count


def _search_blocks(lines: list[str]) -> Iterator[Edit]:
    count, number = 0, 0
    while number < len(lines):
        if _SEARCH.match(lines[number]):
            count += 1
            divider = _next(lines, number, _DIVIDER, count)
            end = _next(lines, divider, _REPLACE, count)
            yield Edit(f"search/replace block {count}", lines[number + 1 : divider], lines[divider + 1 : end])
            number = end
        number += 1


def _next(lines: list[str], start: int, marker: re.Pattern[str], count: int) -> int:
    for number in range(start + 1, len(lines)):
        if marker.match(lines[number]):
            return number
        if _SEARCH.match(lines[number]):
            break
    raise PatchError(f"search/replace block {count} was cut off")


def _hunks(lines: list[str]) -> Iterator[Edit]:
    starts = (number for number, line in enumerate(lines) if _HUNK.match(line))
    for count, start in enumerate(starts, 1):
        body = list(_body(lines, start + 1, count))
        while body and not body[-1]:
            body.pop()  # blank lines before the end of the block, not of the program
        old = [line[1:] for line in body if line[:1] != "+"]
        new = [line[1:] for line in body if line[:1] != "-"]
        if old == new:
            raise PatchError(f"hunk {count} changes nothing or was cut off")
        header = _HUNK.match(lines[start])
        stated = int(header["line"]) if header and header["line"] else None
        # A hunk without old lines stands after the line it names, any other begins there.
        yield Edit(f"hunk {count}", old, new, stated if stated is None or not old else max(0, stated - 1))


def _body(lines: list[str], start: int, count: int) -> Iterator[str]:
    """The lines of a hunk; empty ones stand for empty lines of the program."""
    for number in range(start, len(lines)):
        line = lines[number]
        following = lines[number + 1] if number + 1 < len(lines) else ""
        another_file = line.startswith("diff ") or (line.startswith("--- ") and following.startswith("+++ "))
        if _HUNK.match(line) or _FENCE_LINE.match(line) or another_file:
            return
        if line[:1] not in ("", " ", "+", "-", "\\"):
            raise PatchError(f"hunk {count}: the line {line[:80]!r} begins with none of space, + and -")
        if line[:1] != "\\":
            yield line


def _plan(before: list[str]) -> str:
    """The prose before a patch, without the fence and the file names that open it."""
    kept = [line for line in before if not _FENCE.match(line) and not _HEADER.match(line)]
    return "\n".join(kept).strip()[:MAX_PLAN]
