"""The numbers in a value of a submission: a number, or a list of them as text, with gaps."""

import math
import re

_BETWEEN = re.compile(r"[\s,;()\[\]]+")
# What pandas and JSON read as no number.
_MISSING = {
    "",
    "nan",
    "na",
    "n/a",
    "none",
    "null",
    "nat",
    "<na>",
    "#na",
    "#n/a",
    "1.#ind",
    "-1.#ind",
    "1.#qnan",
    "-1.#qnan",
}


def gaps(text: str) -> list[bool | None]:
    """For each number in a value whether it is missing or not finite; None for what is no number at all.

    An empty value is one number that is missing, an empty list none. Takes time in proportion to the text.
    """
    parts = [part.strip("\"'") for part in _BETWEEN.split(text) if part]
    return [_missing(part) for part in parts] if parts or _is_list(text) else [True]


def gaps_allowed(text: str) -> int | None:
    """Which numbers of a perfect value are gaps, as the bits of a number; None where it is not made of numbers.

    Only a list can have gaps.
    """
    found = gaps(text)
    if None in found or (any(found) and not _is_list(text)):
        return None
    return sum(1 << place for place, missing in enumerate(found) if missing)


def _is_list(text: str) -> bool:
    return text.lstrip().startswith(("[", "("))


def _missing(part: str) -> bool | None:
    if part.lower() in _MISSING:
        return True
    try:
        return not math.isfinite(float(part))
    except ValueError:
        return None
