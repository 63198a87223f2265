"""Values that hang on conditions which a script leaves open, such as a profile's: each of them under its condition.

Two scripts are compared condition by condition, so that a change in one branch alone is a change, and the same values
under the same condition are none.
"""

import ast
from dataclasses import dataclass

UNRESOLVED = "unresolved"

Plain = bool | int | float | str

_MOST_SHOWN = 60  # characters of a condition


@dataclass(frozen=True)
class Either:
    """One of two values, which differ: `then` where the condition holds, else `other`; each may be such a choice."""

    condition: str
    then: "Value"
    other: "Value"

    def __str__(self) -> str:
        return written(self)


Value = Plain | Either


def either(condition: str, then: Value, other: Value) -> Value:
    """A value by a condition, which is left out where it decides nothing."""
    return then if then == other else Either(condition, then, other)


def resolved(value: Value) -> bool:
    """Whether a value is told under every condition."""
    if isinstance(value, Either):
        return resolved(value.then) and resolved(value.other)
    return value != UNRESOLVED


def written(value: Value, on: str = "True", off: str = "False", empty: str = "none") -> str:
    """A value as people read it; a choice as in Python: `8 if PROFILE == 'gpu' else 4`."""
    if isinstance(value, Either):
        then, other = (written(each, on, off, empty) for each in (value.then, value.other))
        condition = value.condition
        if len(condition) > _MOST_SHOWN:
            condition = f"{condition[: _MOST_SHOWN - 3]}..."
        return f"{f'({then})' if isinstance(value.then, Either) else then} if {condition} else {other}"
    return (on if value else off) if isinstance(value, bool) else str(value) or empty


def side_by_side(a: Value, b: Value) -> list[tuple[Plain, Plain]]:
    """The plain values of both under every combination of their conditions."""
    condition = _first_condition(a, b)
    if not condition:
        return [(a, b)]  # type: ignore[list-item]
    return [pair for holds in (True, False) for pair in side_by_side(*_both_given(a, b, condition, holds))]


def change(a: Value, b: Value) -> str:
    """What became what, condition by condition: `8 to 12 if PROFILE == 'gpu' else the same`."""
    return written(_change(a, b), empty="the same")


def _change(a: Value, b: Value) -> Value:
    condition = _first_condition(a, b)
    if not condition:
        return "" if a == b else f"{written(a, 'on', 'off')} to {written(b, 'on', 'off')}"
    then, other = (_change(*_both_given(a, b, condition, holds)) for holds in (True, False))
    return either(condition, then, other)


def _first_condition(a: Value, b: Value) -> str:
    return next((each.condition for each in (a, b) if isinstance(each, Either)), "")


def _both_given(a: Value, b: Value, condition: str, holds: bool) -> tuple[Value, Value]:
    return _given(a, condition, holds), _given(b, condition, holds)


def _given(value: Value, condition: str, holds: bool) -> Value:
    if not isinstance(value, Either):
        return value
    if value.condition == condition:
        return _given(value.then if holds else value.other, condition, holds)
    if holds and _excludes(condition, value.condition):
        return _given(value.other, condition, holds)
    then, other = (_given(each, condition, holds) for each in (value.then, value.other))
    return either(value.condition, then, other)


def _excludes(one: str, other: str) -> bool:
    """Whether a condition cannot hold where another does: the same is compared with two different constants."""
    (of, *equal), (same, *unequal) = one.split(" == "), other.split(" == ")
    try:
        return of == same and ast.literal_eval(*equal) != ast.literal_eval(*unequal)
    except (ValueError, SyntaxError, TypeError):  # no comparison, or one with what is no constant
        return False


def differ(a: Value, b: Value) -> bool | None:
    """Whether two values differ under some condition.

    None where that cannot be told: one of them is not resolved, or each hangs on a condition that the other does not
    know, and some combinations of these would differ and others not.
    """
    if not (resolved(a) and resolved(b)):
        return None
    found = {x != y for x, y in side_by_side(a, b)}
    own, theirs = _conditions(a), _conditions(b)
    return found.pop() if len(found) == 1 else True if own <= theirs or theirs <= own else None


def _conditions(value: Value) -> set[str]:
    if not isinstance(value, Either):
        return set()
    return {value.condition} | _conditions(value.then) | _conditions(value.other)
