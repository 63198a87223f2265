"""What a folder's `describe` script says of a submission: numbers by name, from a process that ran submitted code.

The file is hostile. It may lie, since submitted code can change whatever runs beside it; it cannot do more than that.
What a folder allows at most is compared here, where no submitted code runs: a number that is not told is refused, too.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from aira_lib.records.node import DESCRIBED as PREFIX

DESCRIBED = "described.json"
MOST_BYTES = 16_384
_MOST_NUMBERS = 64
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class DescribedError(Exception):
    """The file is something else than was asked for; the text is feedback to the agent."""


def read_described(content: bytes) -> dict[str, float]:
    """The numbers of a described.json, by `described_` and their name.

    Args:
        content: The file: a JSON object of at most 64 names, of lower-case letters, digits and _, with finite numbers.

    Raises:
        DescribedError: it is not; one line.
    """
    try:
        told = json.loads(content.decode("utf-8"), parse_constant=_refused, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise DescribedError(f"{DESCRIBED} is no JSON object of finite numbers with a name each") from None
    if not isinstance(told, dict) or len(told) > _MOST_NUMBERS:
        raise DescribedError(f"{DESCRIBED} must be a JSON object of at most {_MOST_NUMBERS} numbers")
    return {f"{PREFIX}{name}": _number(name, value) for name, value in told.items()}


def beyond(told: Mapping[str, float], most: Mapping[str, float]) -> str:
    """Why numbers are more than a folder allows, in a line; empty where they are not.

    Args:
        told: What `read_described` gave.
        most: By the names of the file, without `described_`.
    """
    for name, bound in most.items():
        found = told.get(f"{PREFIX}{name}")
        if found is None:
            return f"{DESCRIBED} has no {name}, which may be at most {bound:g}; why not, its output says"
        if found > bound:
            return f"{name} is {found:.4g}; at most {bound:g} is allowed"
    return ""


def _number(name: str, value: Any) -> float:
    if not NAME.fullmatch(name):
        raise DescribedError(f"{DESCRIBED}: {name!r:.60} is no name of lower-case letters, digits and _, 40 at most")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DescribedError(f"{DESCRIBED}: {name} is no number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise DescribedError(f"{DESCRIBED}: {name} is not finite")
    return number


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    told = dict(pairs)
    if len(told) < len(pairs):
        raise ValueError("a name comes twice")
    return told


def _refused(constant: str) -> NoReturn:
    raise ValueError(constant)
