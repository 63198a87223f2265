"""What was found of a feature: its value, or that it cannot be told, and the lines that say so."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass

from aira_lib.autoresearch.features.alternatives import UNRESOLVED, Value, resolved
from aira_lib.autoresearch.features.arithmetic import UNKNOWN
from aira_lib.autoresearch.features.folding import Folder
from aira_lib.autoresearch.features.source import Source, last_name
from aira_lib.autoresearch.features.visiting import walk


@dataclass(frozen=True)
class Found:
    """A feature's value with evidence.

    Attributes:
        value: A toggle is True or False, others a number or a text; "unresolved" where the script does not tell. A
            choice of these where a condition decides that the script leaves open.
        lines: Of the script, counted from 1: where it is switched on, or what was looked through in vain.
    """

    value: Value
    lines: tuple[int, ...] = ()

    @property
    def resolved(self) -> bool:
        """Whether the script tells."""
        return resolved(self.value)


@dataclass(frozen=True)
class Script:
    """A script with its constants."""

    source: Source
    folder: Folder

    def models(self) -> list[ast.ClassDef]:
        """Its classes that compute something forward."""
        return [each for each in self.source.classes if forward(each) is not None]

    def named(self, *parts: str) -> list[ast.ClassDef]:
        """Its models whose names hold one of these words."""
        return [each for each in self.models() if any(part in each.name.lower() for part in parts)]

    def trains(self) -> list[ast.Call]:
        """Where it computes gradients."""
        return self.source.calls("backward", "value_and_grad", "grad")


Hit = tuple[ast.AST, bool | None]
"""Where a toggle is switched on, and whether that runs (None: cannot be told)."""


def forward(of: ast.ClassDef) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The method of a class that computes."""
    names = ("forward", "__call__")
    return next((each for each in of.body if isinstance(each, ast.FunctionDef) and each.name in names), None)


def toggle(script: Script, hits: Iterable[Hit], looked: Iterable[ast.AST]) -> Found:
    """A toggle of its hits: on if one runs, unresolved if one may, off if what was looked through has none.

    Where nothing could be looked through, it is unresolved.
    """
    by_state: dict[bool | None, list[int]] = {True: [], None: [], False: []}
    for node, state in hits:
        runs = script.folder.alive(node)
        by_state[False if False in (runs, state) else None if None in (runs, state) else True].append(line(node))
    for state, value in ((True, True), (None, UNRESOLVED)):
        if by_state[state]:
            return Found(value, lines_of(by_state[state]))
    places = [line(each) for each in looked]
    return Found(False, lines_of(by_state[False] or places)) if places or by_state[False] else Found(UNRESOLVED)


def lines_of(numbers: Iterable[int]) -> tuple[int, ...]:
    """Lines in order, each once, and no more than a reader looks at."""
    return tuple(sorted(set(numbers)))[:12]


def line(node: ast.AST) -> int:
    """The line of a node."""
    return int(getattr(node, "lineno", 1))


def positive(script: Script, node: ast.AST) -> bool | None:
    """Whether a weight is above zero; None if it is not known."""
    value = script.folder.value(node)
    return None if value is UNKNOWN else value is not None and not isinstance(value, str | tuple | bytes) and value > 0


def weight(script: Script, node: ast.AST) -> bool | None:
    """Whether the factors around a term are above zero: `W * term`, where factors of the run count as such."""
    state: bool | None = True
    below = node
    for each in script.source.within(node):
        if isinstance(each, ast.BinOp) and isinstance(each.op, ast.Mult):
            other = each.right if below is each.left else each.left
            known = positive(script, other)
            settled = known is not None or script.folder.of_settings(other) or isinstance(other, ast.Attribute)
            state = False if known is False else state if known or not settled else None
        elif isinstance(each, ast.stmt):
            break
        below = each
    return state


def tainted(scope: ast.AST, start: set[str], pairs: list[tuple[ast.expr, ast.expr, ast.stmt]]) -> set[str]:
    """Names that hang on some names, through the assignments of a scope, in whatever order."""
    known = set(start)
    for _ in range(8):
        before = len(known)
        known |= {
            last_name(target) for target, value, _ in pairs
            if last_name(target) and any(isinstance(n, ast.Name) and n.id in known for n in walk(value))
        }  # fmt: skip
        if len(known) == before:
            break
    return known
