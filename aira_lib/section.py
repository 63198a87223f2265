"""What sections of a study are made of: strict and frozen, with numbers and texts that a computer has."""

import re
from collections.abc import Hashable, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

T = TypeVar("T", bound=tuple[Hashable, ...])

_NO_TEXT = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # controls, and halves of characters

LARGEST = 2**63 - 1
"""No whole number of a study is larger: libraries below us count in 64 bits."""


def require_distinct(values: Sequence[Hashable], what: str = "the entries") -> None:
    """Refuse what stands twice in a list.

    Raises:
        ValueError: the first value that does, for the study's reader to add the place.
    """
    seen: set[Hashable] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{what} must be distinct, and {value!r} stands twice")
        seen.add(value)


def _distinct(values: T) -> T:
    require_distinct(values)
    return values


Distinct = AfterValidator(_distinct)
"""Of a field of a section that is a list: equal entries, which would name two units alike, are refused."""

Some = Field(min_length=1)
"""Of a field of a section that is a list: an empty one, which would make nothing, is refused."""

Seed = Annotated[int, Field(ge=0)]
"""Of random numbers: what every generator takes."""


class Section(BaseModel):
    """A part of a study: strict and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)

    @field_validator("*", mode="after")
    @classmethod
    def _as_computers_have_them(cls, value: Any) -> Any:
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, int) and abs(each) > LARGEST:
                raise ValueError(f"a whole number is at most {LARGEST:,}, and this one has {_digits(each):,} digits")
            if isinstance(each, str) and (wrong := _NO_TEXT.search(each)):
                raise ValueError(f"a text holds U+{ord(wrong[0]):04X}, which is no character of a text; take it out")
        return value


def _digits(number: int) -> int:
    return int(abs(number).bit_length() * 0.30103) + 1
