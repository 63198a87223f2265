"""The pages that people read, README.md and docs/*.md, taken apart: links, files they define, commands they show."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").glob("*.md")))
_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"`(?P<name>[\w./-]+)`:\n\n\Z")
_NOT_RUN = re.compile(r"<!-- not run: (?P<why>[^\n]+) -->\n\Z")
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the file that it is, or why it is not run."""

    language: str
    text: str
    file: str = ""
    not_run: str = ""


@dataclass(frozen=True)
class Command:
    """A command, and what the page shows of its output."""

    line: str
    shown: tuple[str, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether what is shown is a refusal, which ends with exit code 2."""
        return bool(self.shown) and self.shown[0].startswith("aira: ")


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        named, skipped = _NAMED.search(text, 0, found.start()), _NOT_RUN.search(text, 0, found.start())
        yield Block(found["language"], found["text"], named["name"] if named else "", skipped["why"] if skipped else "")


def commands(block: Block) -> Iterator[Command]:
    """What a block has a reader do: a script as a whole, or each line after a prompt with the output below it."""
    if block.language == "sh":
        yield Command(block.text)
    elif block.language == "console":
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            line, *shown = part.splitlines()
            yield Command(re.sub(r"\s+#.*", "", line), tuple(shown))


def links(page: Path) -> list[str]:
    """Where a page's links and pictures lead."""
    return [found["target"] for found in _LINK.finditer(page.read_text(encoding="utf-8"))]
