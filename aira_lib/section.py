"""What sections of a study are made of: strict and frozen, with lists that name nothing twice."""

from collections.abc import Sequence
from typing import TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict

T = TypeVar("T", bound=tuple[object, ...])


def require_distinct(values: Sequence[object], what: str = "the entries") -> None:
    """Refuse what stands twice in a list.

    Raises:
        ValueError: the first value that does, for the study's reader to add the place.
    """
    for place, value in enumerate(values):
        if value in values[:place]:
            raise ValueError(f"{what} must be distinct, and {value!r} stands twice")


def _distinct(values: T) -> T:
    require_distinct(values)
    return values


Distinct = AfterValidator(_distinct)
"""Of a field of a section that is a list: equal entries, which would name two units alike, are refused."""


class Section(BaseModel):
    """A part of a study: strict and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
