"""From what a model sent to a plan and a program, or a reason why not.

Rules, in this order:
1. Reasoning in <think> tags (also <thinking>, <reasoning>) at the start, or up to a closing tag, is dropped.
2. A block opens with a fence of three or more backticks or tildes and any label. It ends at the first fence at which
   the lines in between compile, so a fence inside a string does not end it; if none makes it compile, at the first.
3. Blocks labelled as another language, blocks that do not compile, and mere data (JSON, a pattern) are no programs.
4. Of several programs the last one that names the artefact is taken, else the last. They are not joined: models
   that send several blocks mostly send a snippet or an alternative beside the program, seldom a program in parts.
5. A last block that never ends is taken if it compiles (some models stop before the fence). Otherwise the reply was
   cut off, whatever program stands before it; only an unlabelled one after a program is just a stray fence.
6. A reply without any fence is a program if all of it compiles and does something.
7. Of a reply that its provider cut off only what ends for certain is taken: a closed block.
The plan is the prose before the program, or after it if there is none before.
"""

import ast
import itertools
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

MAX_REPLY = 1_000_000
MAX_CODE = 200_000
MAX_PLAN = 4_000

_PYTHON = frozenset({"", "py", "py3", "python", "python2", "python3", "ipython", "ipython3", "code", "tool_code"})
_OPENING = re.compile(r"^(?P<before>[^`~\n]*?)(?P<fence>`{3,}|~{3,})[ \t]*(?P<label>[^\s`{]*)(?P<rest>[^`\n]*)$")
_REASONING = re.compile(r"\s*<(think|thinking|reasoning)>")
_END_OF_REASONING = re.compile(r"</(?:think|thinking|reasoning)>")
_MOST_ENDS = 32  # fences tried as the end of one block
_MOST_BLOCKS = 50


class ReplyError(Exception):
    """A reply without a usable program; the text says why."""


@dataclass(frozen=True)
class Parsed:
    """A usable reply."""

    plan: str
    code: str


@dataclass(frozen=True)
class _Block:
    """A fenced block; `start` and `end` are line numbers, fences included (end exclusive)."""

    label: str
    code: str
    start: int
    end: int
    closed: bool
    program: bool


def parse_reply(text: str, artefact: str = "submission.csv", cut: bool = False) -> Parsed:
    """Find the plan and the program in a model's reply.

    Args:
        text: The reply, as it came.
        artefact: The file that the program has to write.
        cut: Whether the provider is known to have cut the reply off.

    Raises:
        ReplyError: there is no program in it, with the reason.
    """
    text = spoken(text)
    lines = text.split("\n")
    blocks = list(itertools.islice(_blocks(lines), _MOST_BLOCKS + 1))
    if len(blocks) > _MOST_BLOCKS:
        raise ReplyError(f"the reply holds more than {_MOST_BLOCKS} fenced blocks")
    if not blocks:
        if is_program(text) and not cut:
            return Parsed("", text.strip() + "\n")
        raise ReplyError("the reply holds no fenced block of code")
    chosen = _choose(blocks, artefact, cut)
    if len(chosen.code) > MAX_CODE:
        raise ReplyError(f"the program is longer than {MAX_CODE:,} characters")
    return Parsed(_plan(lines, blocks, chosen), chosen.code)


def ended(finish: str) -> str:
    """Why a provider ended a reply, in words; empty where the model itself ended it."""
    if finish == "length":
        return "its provider cut it off at the limit of tokens a reply (finish_reason length)"
    if finish == "context":
        return "its prompt is longer than the model's context; lower memory_tokens"
    return f"its provider ended it (finish_reason {finish[:40]})" if finish else ""


def spoken(text: str) -> str:
    """A reply, cleaned, without its reasoning.

    Raises:
        ReplyError: nothing is left, or it is too long.
    """
    if len(text) > MAX_REPLY:
        raise ReplyError(f"the reply is longer than {MAX_REPLY:,} characters")
    text = _without_reasoning(cleaned(text))
    if not text.strip():
        raise ReplyError("the reply is empty")
    return text


def cleaned(text: str) -> str:
    """A text with plain line ends and without what UTF-8 or a source file cannot hold."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    return text.encode("utf-8", "replace").decode("utf-8")


def _without_reasoning(text: str) -> str:
    while opened := _REASONING.match(text):
        closed = _END_OF_REASONING.search(text, opened.end())
        if not closed:
            raise ReplyError("the reply was cut off inside its reasoning")
        text = text[closed.end() :]
    # Some servers swallow the opening tag. A closing tag inside a program is the program's own.
    lines = text.split("\n")
    inside = {
        number for block in itertools.islice(_blocks(lines), _MOST_BLOCKS) for number in range(block.start, block.end)
    }
    for number in reversed(range(len(lines))):
        if number not in inside and (closed := _END_OF_REASONING.search(lines[number])):
            return "\n".join([lines[number][closed.end() :], *lines[number + 1 :]])
    return text


def _blocks(lines: list[str]) -> Iterator[_Block]:
    number = 0
    while number < len(lines):
        opening = _OPENING.match(lines[number])
        if not opening or (opening["before"].strip() and opening["rest"].strip()):  # a fence amid prose opens nothing
            number += 1
            continue
        block = _block(lines, number, opening["fence"], opening["label"].lower().rstrip(":"))
        yield block
        number = block.end


def _block(lines: list[str], start: int, fence: str, label: str) -> _Block:
    maybe = label in _PYTHON
    first: tuple[str, int] | None = None
    for end, last in itertools.islice(_ends(lines, start + 1, fence), _MOST_ENDS):
        code = _join([*lines[start + 1 : end], last])
        if maybe and _compiles(code):
            return _Block(label, code, start, end + 1, True, _does_something(code))
        first = first or (code, end + 1)
        if not maybe or not _inside_string(code):
            break
    if first:
        return _Block(label, first[0], start, first[1], True, False)
    code = _join(lines[start + 1 :])
    return _Block(label, code, start, len(lines), False, maybe and is_program(code))


def _ends(lines: list[str], start: int, fence: str) -> Iterator[tuple[int, str]]:
    """The lines that may end a block, each with what stands on it before the fence."""
    for number in range(start, len(lines)):
        line = lines[number].rstrip()
        code = line.rstrip(fence[0])
        if len(line) - len(code) >= len(fence):
            yield number, code.rstrip()


def _inside_string(code: str) -> bool:
    """Whether code seems to end inside a string of several lines, where a fence ends nothing."""
    return bool(code.count('"""') % 2 or code.count("'''") % 2)


def _join(lines: list[str]) -> str:
    """Lines without their common indentation (as textwrap.dedent, whose time explodes with that of one long line)."""
    lines = [line if line.strip(" \t") else "" for line in lines]
    margins = [line[: len(line) - len(line.lstrip(" \t"))] for line in lines if line]
    margin = len(os.path.commonprefix(margins))  # noqa: RUF071 - character by character is meant
    return "\n".join(line[margin:] for line in lines).strip("\n").rstrip() + "\n"


def _choose(blocks: list[_Block], artefact: str, cut: bool) -> _Block:
    programs = [block for block in blocks if block.program]
    last = blocks[-1]
    if not last.closed and last.label in _PYTHON and (cut or (not last.program and (last.label or not programs))):
        raise ReplyError("the reply was cut off inside a block of code")
    if not programs:
        python = [block for block in blocks if block.label in _PYTHON and block.code.strip()]
        problem = syntax_problem(python[-1].code) if python else ""
        raise ReplyError(f"the code does not compile: {problem}" if problem else "the reply holds no Python program")
    return next((block for block in reversed(programs) if artefact in block.code), programs[-1])


def _plan(lines: list[str], blocks: list[_Block], chosen: _Block) -> str:
    inside = {number for block in blocks for number in range(block.start, block.end)}
    before = "\n".join(line for number, line in enumerate(lines[: chosen.start]) if number not in inside)
    opening = _OPENING.match(lines[chosen.start])
    before += "\n" + (opening["before"] if opening else "")
    after = "\n".join(line for number, line in enumerate(lines) if number >= chosen.end and number not in inside)
    return (before.strip() or after.strip())[:MAX_PLAN]


def is_program(code: str) -> bool:
    """Whether code compiles and does something."""
    return _compiles(code) and _does_something(code)


def _compiles(code: str) -> bool:
    return syntax_problem(code) == ""


def syntax_problem(code: str) -> str:
    """Why code does not compile, in one line; empty if it does."""
    if len(code) > MAX_CODE:
        return f"longer than {MAX_CODE:,} characters"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(code, "candidate.py", "exec", dont_inherit=True)
    except SyntaxError as error:
        return f"{error.msg} (line {error.lineno})"
    except (ValueError, OverflowError, MemoryError, RecursionError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _does_something(code: str) -> bool:
    """More than literals and names: JSON, a pattern such as A-M-A or a lone word compile, but run to nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            statements = ast.parse(code).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return any(
        not isinstance(statement, ast.Expr) or any(isinstance(node, ast.Call) for node in ast.walk(statement))
        for statement in statements
    )
