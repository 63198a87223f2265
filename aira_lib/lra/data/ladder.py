"""The shallow ladder of ListOps: how much of it needs no hierarchy.

The root's operator alone gives what LRA's Transformers reach; one or two levels give more than the best that agents
reached. So these accuracies stand beside every score. Each rung is measured on the test, after learning from training
expressions what is typical: the most frequent value of all, of a root by its operator, of a sub-expression by its
operator.

| rung | what it knows |
| --- | --- |
| majority | nothing |
| root operator | the root's operator |
| root and own digits | that, and the root's arguments that are digits: what the operator makes of them |
| one level (two, three) | the root exactly; sub-expressions below so many levels are taken for typical ones |
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from aira_lib.lra.data.ceilings import Ceiling
from aira_lib.lra.data.listops import FUNCTIONS, Expression
from aira_lib.lra.data.tokens import CLOSE, FIRST_DIGIT, FIRST_OPERATOR

_LEVELS = ("one level", "two levels", "three levels")
_LEARNED_FROM = 2_000
"""Training expressions: typical values are settled after some hundreds."""


@dataclass
class Node:
    """An operator of an expression: its number, its arguments (digits or nodes), and what it comes to."""

    operator: int
    arguments: "list[int | Node]" = field(default_factory=list)
    value: int = 0


def parse(ids: bytes) -> "int | Node":
    """The tree of an expression.

    Raises:
        ValueError: it is not one whole expression of ListOps' own tokens.
    """
    begun: list[Node] = []
    for place, each in enumerate(ids):
        if FIRST_OPERATOR <= each < CLOSE:
            begun.append(Node(each - FIRST_OPERATOR))
            continue
        ended = _closed(begun) if each == CLOSE else each - FIRST_DIGIT
        if not begun and place == len(ids) - 1 and each <= CLOSE:
            return ended
        if not begun or each > CLOSE:
            break
        begun[-1].arguments.append(ended)
    raise ValueError("not one whole expression")


def _closed(begun: list[Node]) -> Node:
    if not begun or not begun[-1].arguments:
        raise ValueError("a bracket closes nothing")
    node = begun.pop()
    node.value = FUNCTIONS[node.operator]([_value(each) for each in node.arguments])
    return node


def _value(tree: int | Node) -> int:
    return tree.value if isinstance(tree, Node) else tree


def ladder(train: Sequence[Expression], test: Sequence[Expression]) -> list[Ceiling]:
    """The rungs, in the order above: accuracies on all expressions of the test.

    Only whole expressions can be measured: one with another operator is answered by the majority.
    """
    learned = train[:_LEARNED_FROM]
    trees = [_tree(each) for each in learned]
    majority = _mode(Counter(each.value for each in learned))
    by_root = _typical([(tree, each.value) for tree, each in zip(trees, learned, strict=True) if tree is not None])
    below = _typical([(node, _value(node)) for tree in trees if isinstance(tree, Node) for node in _inner(tree)])
    typical = _Typical(majority, by_root, below)
    readings: dict[str, Callable[[int | Node], int]] = {
        "majority": lambda tree: majority,
        "root operator": typical.of_root,
        "root and own digits": typical.of_own_digits,
    }
    for levels, name in enumerate(_LEVELS, 1):
        readings[name] = partial(typical.of_levels, levels=levels)
    asked = [(_tree(each), each.value) for each in test]
    return [
        Ceiling(
            name=name,
            accuracy=sum((majority if tree is None else reading(tree)) == value for tree, value in asked) / len(asked),
            examples=len(asked),
        )
        for name, reading in readings.items()
    ]


@dataclass(frozen=True)
class _Typical:
    """Values by operator: of roots, and of sub-expressions; a digit stands for itself."""

    majority: int
    root: dict[int, int]
    below: dict[int, int]

    def of_root(self, tree: int | Node) -> int:
        return self.root.get(tree.operator, self.majority) if isinstance(tree, Node) else tree

    def of_own_digits(self, tree: int | Node) -> int:
        if not isinstance(tree, Node):
            return tree
        digits = [each for each in tree.arguments if isinstance(each, int)]
        return FUNCTIONS[tree.operator](digits) if digits else self.of_root(tree)

    def of_levels(self, tree: int | Node, levels: int) -> int:
        if not isinstance(tree, Node):
            return tree
        if not levels:
            return self.below.get(tree.operator, self.majority)
        return FUNCTIONS[tree.operator]([self.of_levels(each, levels - 1) for each in tree.arguments])


def _tree(expression: Expression) -> int | Node | None:
    try:
        return parse(expression.ids)
    except ValueError:
        return None


def _inner(tree: Node) -> list[Node]:
    """All operators of a tree but its root."""
    found: list[Node] = []
    waiting = [tree]
    while waiting:
        nodes = [each for each in waiting.pop().arguments if isinstance(each, Node)]
        found += nodes
        waiting += nodes
    return found


def _typical(valued: "Sequence[tuple[int | Node, int]]") -> dict[int, int]:
    """The most frequent value of each operator."""
    counts: dict[int, Counter[int]] = {}
    for tree, value in valued:
        if isinstance(tree, Node):
            counts.setdefault(tree.operator, Counter())[value] += 1
    return {operator: _mode(values) for operator, values in counts.items()}


def _mode(counts: "Counter[int]") -> int:
    """The most frequent value; of several the smallest."""
    return min(counts, key=lambda value: (-counts[value], value))
