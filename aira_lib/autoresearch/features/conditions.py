"""Conditions that a script leaves open, and what one way through it says to them."""

import ast
from collections import Counter

from aira_lib.autoresearch.features.source import names_in
from aira_lib.autoresearch.features.visiting import written

MOST_ASKED = 5  # conditions on one way, so that there are at most 32 ways; later ones stay open
_MOST_CHARACTERS = 1_000  # of a condition

_OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.NotEq: ast.Eq, ast.IsNot: ast.Is, ast.NotIn: ast.In,
}  # fmt: skip


class Answers:
    """The answers of one way: those given, in the order in which they are asked for, and yes to all that follow.

    Attributes:
        asked: The conditions so far with their answers.
    """

    def __init__(self, given: tuple[bool, ...], follows: bool) -> None:
        """Take the first answers; there are none at all unless it `follows` conditions."""
        self._most = MOST_ASKED if follows else 0
        self.asked: list[tuple[str, bool]] = []
        self._given = given
        self._known: dict[str, tuple[bool, set[str]]] = {}
        self._times: Counter[str] = Counter()
        self._texts: dict[ast.expr, tuple[str, bool]] = {}

    def ask(self, test: ast.expr) -> bool | None:
        """Whether a condition holds on this way; None where it is one too many."""
        text, negated = self.text_of(test)
        if len(self.asked) >= self._most or len(text) > _MOST_CHARACTERS:
            return None
        place = len(self.asked)
        answer = self._given[place] if place < len(self._given) else True
        self._times[text] += 1
        again = f" [{self._times[text]}]" if self._times[text] > 1 else ""  # what it hangs on was assigned anew
        self.asked.append((text + again, answer))
        self._known[text] = answer, names_in(test)
        return answer is not negated

    def recall(self, test: ast.expr) -> bool | None:
        """What was answered to a condition; None where it was not asked, or what it hangs on was assigned anew."""
        text, negated = self.text_of(test)
        answer = self.answer(text)
        return None if answer is None else answer is not negated

    def answer(self, text: str) -> bool | None:
        """What was answered to a condition as `text_of` writes it."""
        return self._known[text][0] if text in self._known else None

    def forget(self, name: str) -> None:
        """A name is assigned anew: what hangs on it is open again."""
        if any(name in names for _, names in self._known.values()):
            self._known = {text: known for text, known in self._known.items() if name not in known[1]}

    def text_of(self, test: ast.expr) -> tuple[str, bool]:
        """A condition as it is known by, and whether it is asked the other way round: `a != b` is not `a == b`."""
        if test not in self._texts:
            self._texts[test] = _text_of(test)
        return self._texts[test]


def _text_of(test: ast.expr) -> tuple[str, bool]:
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and type(test.ops[0]) in _OPPOSITE:
        return written(ast.Compare(test.left, [_OPPOSITE[type(test.ops[0])]()], test.comparators)), True
    return written(test), False
