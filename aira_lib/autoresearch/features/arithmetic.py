"""What operations of a script come to, bounded so that no text of a few characters costs time or memory."""

import ast
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, Final

MOST_BITS = 256  # of a whole number
MOST_ITEMS = 1_000  # of a text or a sequence


class Unknown:
    """What an expression has whose value is not written in the script."""


UNKNOWN: Final = Unknown()

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow, ast.LShift: operator.lshift,
}  # fmt: skip
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not,
}  # fmt: skip
_CALLS: dict[str, Callable[..., Any]] = {
    "int": int, "float": float, "bool": bool, "max": max, "min": min, "abs": abs, "round": round, "sqrt": math.sqrt,
}  # fmt: skip


def binary(op: ast.operator, left: Any, right: Any) -> Any:
    """An operation on two values, or UNKNOWN.

    Raises:
        ArithmeticError, ValueError, TypeError, LookupError: it has no result.
    """
    if left is UNKNOWN or right is UNKNOWN:
        return UNKNOWN
    if isinstance(op, ast.Mult) and not all(isinstance(each, int | float) for each in (left, right)):
        return UNKNOWN
    if isinstance(op, ast.Mod | ast.LShift) and not isinstance(left, int | float):
        return UNKNOWN
    if isinstance(op, ast.Pow | ast.LShift) and isinstance(left, int) and isinstance(right, int):
        grown = right * (max(1, left.bit_length()) if isinstance(op, ast.Pow) else 1)
        if grown > MOST_BITS or left.bit_length() > MOST_BITS:
            return UNKNOWN
    return _BINARY[type(op)](left, right)


def compared(op: ast.cmpop, left: Any, right: Any) -> Any:
    """A comparison of two known values.

    Raises:
        TypeError, LookupError: they do not compare.
    """
    return _COMPARE[type(op)](left, right)


def called(name: str, values: Sequence[Any]) -> Any:
    """A function of a few built-in ones, or UNKNOWN.

    Raises:
        ArithmeticError, ValueError, TypeError: it has no result.
    """
    return UNKNOWN if name not in _CALLS or UNKNOWN in values else _CALLS[name](*values)


def bounded(value: Any) -> Any:
    """A value, or UNKNOWN where it is too large, or of a kind that is not folded."""
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        return UNKNOWN
    if isinstance(value, str | bytes | tuple) and len(value) > MOST_ITEMS:
        return UNKNOWN
    return value if isinstance(value, int | float | str | bytes | tuple | None) else UNKNOWN
