"""Names: of units, exact where they hold a number, and safe as the name of a file; of packages, however written."""

import re
from collections.abc import Iterable
from decimal import Decimal


def exact(number: float) -> str:
    """The shortest text of a number that no other number has, such as 2e19 or 1.25e9."""
    return f"{Decimal(repr(number)).normalize():e}".replace("e+", "e")


def slug(name: str) -> str:
    """A name as a part of file names; names that differ only in signs come out alike (see `alike`)."""
    return re.sub(r"[^A-Za-z0-9@_-]+", "-", name)


def alike(names: Iterable[str]) -> tuple[str, str] | None:
    """The first two names whose files would have one name; None where there are none."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(slug(name), name)
        if other != name:
            return other, name
    return None


def distribution_name(name: str) -> str:
    """A package as an index of packages knows it: lower case, words joined by one dash, as PEP 503 says."""
    return re.sub(r"[-_.]+", "-", name).lower()
