"""ListOps: what nested lists of MIN, MAX, MED and SM (sum modulo 10) come to, one digit.

The generator draws what google-research/long-range-arena draws (lra_benchmarks/data/listops.py; Nangia and Bowman
2018): a node above the lowest depth is an operator with probability 1/4, of 2 to 10 arguments, else a digit; kept are
distinct expressions of more than 500 and fewer than 2,000 tokens (digits, operators and closing brackets). That has no
seed, and orders its splits by hashes of strings; here one seeded `random.Random` draws one after another, and the order
in which they were drawn is kept. An expression that has grown too long is given up at once, which changes no
distribution, for each is drawn anew.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from aira_lib.errors import UserError
from aira_lib.lra.data.tokens import CLOSE, FIRST_DIGIT, FIRST_OPERATOR, operator_names

_OPERATOR_PROBABILITY = 0.25
_IN_VAIN = 20_000  # draws one after another without a new expression


class Expression(NamedTuple):
    """An expression: its ids (see `tokens`), one byte each, and what it comes to, 0 to 9."""

    ids: bytes
    value: int


@dataclass(frozen=True)
class Grammar:
    """Which expressions are drawn; the defaults are those of Long Range Arena.

    Attributes:
        depth: the root is at depth 1; at this depth all are digits.
        arguments: most of an operator; the least are 2.
        shortest, longest: tokens that an expression has at least and at most.
    """

    depth: int = 10
    arguments: int = 10
    shortest: int = 501
    longest: int = 1999


GRAMMARS = {"paper": Grammar(), "laptop": Grammar(6, 5, 30, 200), "smoke": Grammar(4, 4, 8, 64)}


def median(values: Sequence[int]) -> int:
    """The median, cut to a whole number."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) // 2


def sum_modulo(values: Sequence[int]) -> int:
    """The last digit of the sum."""
    return sum(values) % 10


FUNCTIONS: tuple[Callable[[Sequence[int]], int], ...] = (min, max, median, sum_modulo)
"""What the operators do, in the order of their ids."""


def generate(n: int, seed: int, grammar: Grammar) -> list[Expression]:
    """Draw n distinct expressions, which the seed and the grammar determine.

    Raises:
        UserError: there are hardly so many of this grammar.
    """
    found: dict[bytes, int] = {}
    in_vain = 0
    for ids, value in drawn(Random(f"listops {seed}"), grammar):
        if len(found) == n or in_vain > _IN_VAIN:
            break
        in_vain = in_vain + 1 if ids in found else 0
        found[ids] = value
    if len(found) < n:
        raise UserError(f"ListOps: {grammar} has hardly {n} distinct expressions; ask for fewer, or for longer ones")
    return [Expression(ids, value) for ids, value in found.items()]


def drawn(random: Random, grammar: Grammar) -> Iterator[Expression]:
    """Expressions of the lengths that a grammar keeps, without end; one may come again."""
    uniform = random.random
    tokens = bytearray()
    append = tokens.append
    lowest, longest, spread = grammar.depth, grammar.longest, grammar.arguments - 1

    def node(depth: int) -> int:
        if depth == lowest or uniform() > _OPERATOR_PROBABILITY:
            digit = int(10 * uniform())
            append(FIRST_DIGIT + digit)
            return digit
        operator = int(4 * uniform())
        append(FIRST_OPERATOR + operator)
        values = [node(depth + 1) for _ in range(2 + int(spread * uniform()))]
        append(CLOSE)
        if len(tokens) > longest:
            raise _TooLong
        return FUNCTIONS[operator](values)

    while True:
        tokens.clear()
        with suppress(_TooLong):
            value = node(1)
            if grammar.shortest <= len(tokens) <= longest:
                yield Expression(bytes(tokens), value)


class _TooLong(Exception):
    """An expression that has more tokens than are kept, while it grows."""


def text_form(ids: bytes) -> str:
    """An expression as the original's files have it: each argument joined to what is before it by parentheses.

    `[MAX 4 3 ]` is `( ( ( [MAX 4 ) 3 ) ] )`.
    """
    begun: list[str] = []
    for each, name in zip(ids, operator_names(ids), strict=True):
        if FIRST_OPERATOR <= each < CLOSE:
            begun.append(name)
            continue
        text = f"( {begun.pop()} ] )" if each == CLOSE else name
        if not begun:
            return text
        begun[-1] = f"( {begun[-1]} {text} )"
    raise ValueError("an expression that does not end")
