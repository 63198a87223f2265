"""Quantities as Kubernetes writes them."""

import re
from decimal import Decimal, InvalidOperation

from aira_lib.errors import UserError

_POWERS = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


def amount(text: str | int | float) -> Decimal:
    """The number that a quantity stands for: cores, bytes or pieces.

    Raises:
        UserError: it is none.
    """
    found = re.fullmatch(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([A-Za-z]*)", str(text))
    try:
        number = Decimal(found[1]) if found else None
    except InvalidOperation:
        number = None
    if found is None or number is None or found[2] not in {**_POWERS, **_BINARY}:
        raise UserError(f"{text!r} is no quantity of Kubernetes; write such as 500m, 16Gi or 8")
    return number * (Decimal(2) ** _BINARY[found[2]] if found[2] in _BINARY else Decimal(10) ** _POWERS[found[2]])
