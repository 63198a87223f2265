"""What was asked and answered at each step, for the page: the calls of a transcript, in portions that a page can hold.

A page that held all of 500 prompts of 60 kB would have 30 MB. At most `MOST_TEXT` characters of a text are shown, and
`MOST_PAGE` of all texts of a page together: the longest ones lose their middles first, and each says how much it lost
and which file has it whole. A transcript is read as it grows, and of what was read only these portions are kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from aira_lib.agents.transcript import TRANSCRIPT, Exchange
from aira_lib.foreign import harmless

MOST_TEXT, MOST_PAGE = 20_000, 4_000_000  # characters


@dataclass(frozen=True)
class _Portion:
    """A text, or the start and the end of a long one."""

    length: int
    start: str
    end: str

    @classmethod
    def of(cls, text: str) -> "_Portion":
        half = MOST_TEXT // 2
        return cls(len(text), harmless(text[:half]), harmless(text[max(half, len(text) - half) :]))

    def shown(self, most: int) -> str:
        """It in at most that many characters, beside the words in the place of its middle."""
        if self.length <= most:
            return self.start + self.end
        half = max(most // 2, 1)
        lost = f"{self.length - 2 * half:,} characters are not shown here; {TRANSCRIPT} in the record has them"
        return f"{self.start[:half]}\n[... {lost} ...]\n{self.end[-half:]}"


@dataclass(frozen=True)
class _Call:
    seed: int
    operator: str
    finish: str
    tokens: float | None
    prompt: _Portion
    reply: _Portion


class Exchanges:
    """The calls of a search by step, in the order in which they were made."""

    def __init__(self) -> None:
        """Begin with none."""
        self._steps: dict[int, list[_Call]] = {}
        self._read = 0

    def read_on(self, path: Path) -> None:
        """Take what a transcript has gained since the last time; a line that is being written is left for the next.

        Raises:
            OSError: it cannot be read.
        """
        if path.exists():
            with path.open("rb") as file:
                file.seek(self._read)
                content = file.read()
            whole = content.rfind(b"\n") + 1
            self._read += whole
            self.add(content[:whole])

    def add(self, lines: bytes) -> None:
        """Take whole lines of a transcript; what is no call in it, as of another version, is passed over.

        A step that a kill cut short is done again, with the same seeds: its earlier calls give way to the later ones.
        """
        for each in _calls(lines):
            calls = self._steps.setdefault(each.step, [])
            if each.seed in {call.seed for call in calls}:
                calls.clear()
            texts = _Portion.of(each.prompt), _Portion.of(each.reply)
            calls.append(_Call(each.seed, each.operator, each.finish, each.usage.get("total_tokens"), *texts))

    def most(self) -> int:
        """Characters of each text that the page has room for."""
        lengths = sorted(
            min(text.length, MOST_TEXT) for calls in self._steps.values() for call in calls
            for text in (call.prompt, call.reply)
        )  # fmt: skip
        left = MOST_PAGE
        for number, length in enumerate(lengths):
            share = left // (len(lengths) - number)
            if length > share:
                return share
            left -= length
        return MOST_TEXT

    def of_step(self, step: int, most: int) -> list[dict[str, Any]]:
        """The calls of a step as plain data, each with what it was, its texts and their whole lengths."""
        calls = self._steps.get(step, [])
        asked = [call for call in calls if call.operator != "analyse"]
        return [
            {
                "what": "look back" if call not in asked else _try(call.operator, asked.index(call) + 1, len(asked)),
                "finish": harmless(call.finish),
                "tokens": call.tokens,
                "prompt": [call.prompt.shown(most), call.prompt.length],
                "reply": [call.reply.shown(most), call.reply.length],
            }
            for call in calls
        ]


def _try(operator: str, number: int, tries: int) -> str:
    words = harmless(operator) or "call"
    return words if tries == 1 else f"{words}, try {number} of {tries}"


def _calls(lines: bytes) -> Iterator[Exchange]:
    for line in lines.split(b"\n"):
        if line:
            try:
                yield Exchange.model_validate_json(line)
            except ValidationError:
                continue
