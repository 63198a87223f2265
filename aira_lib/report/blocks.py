"""The page as data: sections of sentences, tables and figures. HTML and Markdown are two views of the same content."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aira_lib.report.columns import Table
from aira_lib.study import Study

if TYPE_CHECKING:
    from aira_lib.report.drawing import Figure  # what has no figures needs no matplotlib


@dataclass(frozen=True)
class KeyNumber:
    """What it is of, the number, and the words beside it; what stands between backticks in these is code."""

    title: str
    value: str
    remark: str


@dataclass(frozen=True)
class TableBlock:
    """A table; `folded` closes it until the reader opens it."""

    table: Table
    folded: bool = False
    kind: str = "table"


@dataclass(frozen=True)
class FigureBlock:
    """A figure with its caption, or the sentence in its place; `only_markdown` where HTML draws it in a table."""

    figure: "Figure | None"
    caption: str
    empty: str
    only_markdown: bool = False
    kind: str = "figure"


@dataclass(frozen=True)
class TextBlock:
    """A paragraph."""

    text: str
    kind: str = "text"


@dataclass(frozen=True)
class LinksBlock:
    """Words, and links to pages beside the report: of each the name and the place."""

    text: str
    links: Sequence[tuple[str, str]]
    kind: str = "links"


@dataclass(frozen=True)
class CodeBlock:
    """A program as it stands, closed until the reader opens it; only HTML shows it."""

    title: str
    code: str
    kind: str = "code"


Block = TableBlock | FigureBlock | TextBlock | LinksBlock | CodeBlock


@dataclass(frozen=True)
class Section:
    """A part of the page. `boxed` frames it; `seconds` says that it holds what differs between equal studies."""

    id: str
    title: str
    blocks: Sequence[Block]
    boxed: bool = False
    seconds: bool = False
    primitives: Sequence[str] = ()


@dataclass(frozen=True)
class Content:
    """Everything that the report says. `data_tables` are written as files and not shown."""

    study: Study
    digest: str
    summary: Sequence[str]
    sections: Sequence[Section]
    data_tables: Sequence[Table]
    headline: dict[str, object] = field(default_factory=dict)
    key_numbers: Sequence[KeyNumber] = ()

    def tables(self) -> list[Table]:
        """All tables, shown or not."""
        shown = [b.table for section in self.sections for b in section.blocks if isinstance(b, TableBlock)]
        return [*shown, *self.data_tables]

    def figures(self) -> "list[Figure]":
        """All figures that could be drawn."""
        blocks = [b for section in self.sections for b in section.blocks if isinstance(b, FigureBlock)]
        return [block.figure for block in blocks if block.figure is not None]
