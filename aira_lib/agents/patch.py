"""Patches: a reply that changes its parent's program rather than repeating it.

Two forms are read: search/replace blocks, and unified diffs. Both are applied strictly: the lines to be replaced must
stand in the program exactly as given, in one place (a diff's line number decides between several; else it is only a
hint, since models seldom count lines right). A reply with neither is read as a whole program.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from aira_lib.agents.reply import MAX_PLAN, Parsed, ReplyError, parse_reply, spoken, syntax_problem

_SEARCH = re.compile(r"^<{5,9} ?SEARCH\s*$")
_DIVIDER = re.compile(r"^={5,9}\s*$")
_REPLACE = re.compile(r"^>{5,9} ?REPLACE\s*$")
_HUNK = re.compile(r"^@@(?: -(?P<line>\d+)(?:,\d+)? \+\d+(?:,\d+)? @@.*|.*)$")
_HEADER = re.compile(r"^(diff |index |--- |\+\+\+ )")
_FENCE = re.compile(r"^\s*(`{3,}|~{3,})")
_FENCE_LINE = re.compile(r"^(`{3,}|~{3,})")  # an indented one is a line of the program
_CHANGE = re.compile(r"^\W*CHANGE\W*?:\W*(?P<text>.+?)[\s*`]*$", re.MULTILINE | re.IGNORECASE)
_MOST_CHANGE = 200  # characters


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
            return Parsed(_plan(lines[:start]), apply_edits(program, list(read(lines[start:]))))
    return parse_reply(text, artefact, cut)


def apply_edits(program: str, edits: list[Edit]) -> str:
    """Make the changes, one after the other.

    Raises:
        PatchError: one of them has no place or several, or the result is no other program that compiles.
    """
    lines, shift = program.rstrip("\n").split("\n"), 0
    for edit in edits:
        place = _place(lines, edit, shift)
        lines[place : place + len(edit.old)] = edit.new
        shift += len(edit.new) - len(edit.old)
    patched = "\n".join(lines).rstrip("\n") + "\n"
    if patched == program.rstrip("\n") + "\n":
        raise PatchError("it changes nothing")
    if problem := syntax_problem(patched):
        raise PatchError(f"the program would not compile: {problem}")
    return patched


def change_of(plan: str) -> str:
    """The one line that says what was changed: the one marked CHANGE, else the plan's first."""
    marked = _CHANGE.search(plan)
    first = next((line.strip() for line in plan.split("\n") if line.strip()), "")
    return (marked["text"] if marked else first)[:_MOST_CHANGE]


def _place(lines: list[str], edit: Edit, shift: int) -> int:
    stated = None if edit.line is None else edit.line + shift
    if not edit.old:
        if stated is None or not 0 <= stated <= len(lines):
            raise PatchError(f"{edit.name} names no lines of the program")
        return stated
    n = len(edit.old)
    places = [i for i in range(len(lines) - n + 1) if lines[i : i + n] == edit.old]
    if len(places) == 1:
        return places[0]
    if stated in places:
        return stated
    if places:
        raise PatchError(f"the lines of {edit.name} stand in {len(places)} places of the program; give more lines")
    missing = next((line for line in edit.old if line not in lines), None)
    why = "do not stand together" if missing is None else f"are not in the program: {missing.strip()[:80]!r} is not"
    raise PatchError(f"the lines of {edit.name} {why}")


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
    starts = [number for number, line in enumerate(lines) if _HUNK.match(line)]
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
    for number, line in enumerate(lines[start:], start):
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
