"""What a model says to others: its reply without the reasoning before it, and without marks of its own format.

Reasoning is what stands at the start between tags, or before a closing tag whose opening one a server swallowed:

| tags | who writes them |
| --- | --- |
| <think>, <thinking>, <thought>, <reasoning> and the like, <seed:think> | DeepSeek-R1, Qwen, Gemini, Seed-OSS |
| [THINK] | Magistral |
| <|begin_of_thought|>, <|START_THINKING|>, ◁think▷ | Sky-T1, Command A, Kimi |
| <|channel>thought, closed by <channel|> | Gemma 4 |
| <|channel|>analysis<|message|>, or what is left of it, analysis...assistantfinal | gpt-oss (Harmony) |
"""

import re
from itertools import islice

from aira_lib.agents.bounds import MAX_REPLY, ReplyError
from aira_lib.agents.compiling import Allowance
from aira_lib.agents.fences import fenced_blocks

MOST_BLOCKS = 50
"""Fenced blocks of a reply."""

_NAMES = "think|thinking|thoughts?|reasoning|reflection|scratchpad|seed:think"
_TAGS = [
    (rf"<(?:{_NAMES})>", rf"</(?:{_NAMES})>"),
    (rf"\[(?:{_NAMES})\]", rf"\[/(?:{_NAMES})\]"),
    (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),
    (r"<\|START_THINKING\|>", r"<\|END_THINKING\|>"),
    ("◁think▷", "◁/think▷"),
    (r"<\|channel>thought", r"<channel\|>"),
    (
        r"(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)[^<\n]{0,100}<\|message\|>",
        r"<\|channel\|>final[^<\n]{0,100}<\|message\|>",
    ),
]
_PAIRS = [(re.compile(opened, re.IGNORECASE), re.compile(closed, re.IGNORECASE)) for opened, closed in _TAGS]
_CLOSED = re.compile("|".join(closed for _, closed in _TAGS), re.IGNORECASE)
_SPACE = re.compile(r"\s*")
_BARE_ANALYSIS, _BARE_FINAL = "analysis", "assistantfinal"  # Harmony whose marks a server has taken out
_ENDS = ("<|return|>", "<|end|>", "<|call|>", "<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "<|endoftext|>",
         "<turn|>", "<|end_of_solution|>", "<|END_RESPONSE|>", "</s>")  # fmt: skip
_MOST_ENDS = 8  # of them after one reply
_BEGINS = ("<|begin_of_solution|>", "<|START_RESPONSE|>")


def cleaned(text: str) -> str:
    """A text with plain line ends and without what UTF-8 or a source file cannot hold."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    return text.encode("utf-8", "replace").decode("utf-8")


def spoken(text: str, allowance: Allowance | None = None) -> str:
    """A reply, cleaned, without its reasoning.

    Args:
        text: The reply, as it came.
        allowance: What compiling code of this reply may still take.

    Raises:
        ReplyError: nothing is left, or it is too long.
    """
    if len(text) > MAX_REPLY:
        raise ReplyError(f"the reply is longer than {MAX_REPLY:,} characters")
    text = _without_ends(_without_reasoning(cleaned(text), allowance or Allowance()))
    if not text.strip():
        raise ReplyError("the reply is empty")
    return text


def _without_reasoning(text: str, allowance: Allowance) -> str:
    place = 0
    while closing := _opened(text, place):
        opened, closes = closing
        closed = closes.search(text, opened)
        if not closed:
            raise ReplyError("the reply was cut off inside its reasoning")
        place = closed.end()
    text = text[place:]
    if text.lstrip().startswith(_BARE_ANALYSIS) and _BARE_FINAL in text:
        text = text.partition(_BARE_FINAL)[2]
    return _after_closing(text, allowance) if _CLOSED.search(text) else text


def _opened(text: str, place: int) -> tuple[int, re.Pattern[str]] | None:
    """Where reasoning begins that opens at a place, but for white space, and what closes it."""
    place = _SPACE.match(text, place).end()  # type: ignore[union-attr]
    found = ((pair[0].match(text, place), pair[1]) for pair in _PAIRS)
    return next(((opened.end(), closes) for opened, closes in found if opened), None)


def _after_closing(text: str, allowance: Allowance) -> str:
    """What stands after the last closing tag that is no program's own."""
    lines = text.split("\n")
    blocks = islice(fenced_blocks(lines, lambda code: not allowance.check(code).problem), MOST_BLOCKS)
    inside = {number for block in blocks for number in range(block.start + 1, block.end - bool(block.after))}
    for number in reversed(range(len(lines))):
        if number not in inside and (tags := list(_CLOSED.finditer(lines[number]))):
            return "\n".join([lines[number][tags[-1].end() :], *lines[number + 1 :]])
    return text


def _without_ends(text: str) -> str:
    """A text without the marks of its format around it, which some servers let through."""
    end = _end_of_words(text, len(text))
    for _ in range(_MOST_ENDS):
        mark = next((mark for mark in _ENDS if text.endswith(mark, 0, end)), "")
        end = _end_of_words(text, end - len(mark))
    begin = _SPACE.match(text).end()  # type: ignore[union-attr]
    mark = next((mark for mark in _BEGINS if text.startswith(mark, begin)), "")
    return text[begin + len(mark) if mark else 0 : end]


def _end_of_words(text: str, end: int) -> int:
    while end and text[end - 1].isspace():
        end -= 1
    return end
