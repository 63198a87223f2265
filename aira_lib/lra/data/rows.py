"""Rows of texts and labels as sources give them, before they are ids."""

from dataclasses import dataclass, field
from typing import Any

from aira_lib.lra.data.ceilings import Ceiling


@dataclass(frozen=True)
class Row:
    """One example: a text (Text) or two (Retrieval), as bytes, and its class."""

    texts: tuple[bytes, ...]
    label: int


@dataclass(frozen=True)
class Rows:
    """The splits of a source.

    Attributes:
        train, validation, test: examples in the order in which they are kept.
        facts: what the source says of itself: plain JSON values.
        ceilings: of readings that only the source knows how to make.
    """

    train: list[Row]
    validation: list[Row]
    test: list[Row]
    facts: dict[str, Any] = field(default_factory=dict)
    ceilings: list[Ceiling] = field(default_factory=list)
