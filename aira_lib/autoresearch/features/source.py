"""A training script as a syntax tree with parents, bounded so that hostile text costs no more than honest text."""

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from aira_lib.autoresearch.features.visiting import walk

MOST_CHARACTERS = 200_000
MOST_DEPTH = 120  # levels of the tree; the deepest public training script has less than 40

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Unreadable(Exception):
    """Text that is no training script which can be read; says why in one line."""


@dataclass
class Source:
    """A parsed script: its tree, the parent of every node, its classes and functions."""

    tree: ast.Module
    parents: dict[ast.AST, ast.AST]
    nodes: list[ast.AST]
    classes: list[ast.ClassDef] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)

    def within(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes that enclose a node, the nearest first."""
        while (parent := self.parents.get(node)) is not None:
            yield parent
            node = parent

    def function_of(self, node: ast.AST) -> Function | None:
        """The function that a node is in."""
        return next((each for each in self.within(node) if isinstance(each, Function)), None)

    def class_of(self, node: ast.AST) -> ast.ClassDef | None:
        """The class that a node is in."""
        return next((each for each in self.within(node) if isinstance(each, ast.ClassDef)), None)

    @cached_property
    def _calls_by_name(self) -> dict[str, list[ast.Call]]:
        found: dict[str, list[ast.Call]] = {}
        for node in self.nodes:
            if isinstance(node, ast.Call):
                found.setdefault(last_name(node.func), []).append(node)
        return found

    def calls(self, *names: str, inside: ast.AST | None = None) -> list[ast.Call]:
        """Calls of what has one of these names at its end."""
        if inside is None and len(names) == 1:
            return self._calls_by_name.get(names[0], [])
        nodes = self.nodes if inside is None else walk(inside)
        return [node for node in nodes if isinstance(node, ast.Call) and last_name(node.func) in names]


def read_source(code: str) -> Source:
    """Parse a script.

    Raises:
        Unreadable: it is too long, nested too deeply, or no Python.
    """
    if len(code) > MOST_CHARACTERS:
        raise Unreadable(f"longer than {MOST_CHARACTERS:,} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
    except SyntaxError as error:
        raise Unreadable(f"no Python: {(error.msg or '')[:100]} (line {error.lineno})") from None
    except (ValueError, OverflowError, MemoryError, RecursionError) as error:
        raise Unreadable(f"no Python that can be read: {type(error).__name__}") from None
    return _linked(tree)


def _linked(tree: ast.Module) -> Source:
    source = Source(tree, {}, [])
    level: list[ast.AST] = [tree]
    for _ in range(MOST_DEPTH):
        below = []
        for node in level:
            for child in ast.iter_child_nodes(node):
                if not isinstance(child, ast.expr_context | ast.operator | ast.unaryop | ast.cmpop | ast.boolop):
                    source.parents[child] = node
                    below.append(child)
        level = below
        if not level:
            source.nodes = list(walk(tree))
            source.classes = [node for node in source.nodes if isinstance(node, ast.ClassDef)]
            source.functions = [node for node in source.nodes if isinstance(node, Function)]
            return source
    raise Unreadable(f"nested more than {MOST_DEPTH} levels deep")


def last_name(node: ast.AST) -> str:
    """`square` of `torch.square`, `relu` of `relu`; empty for what has no name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def names_in(node: ast.AST) -> set[str]:
    """All names and attributes in an expression."""
    return {last_name(each) for each in walk(node)} - {""}


def self_attribute(node: ast.AST) -> str:
    """`x` of `self.x`; empty for anything else."""
    plain = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    return node.attr if plain and isinstance(node, ast.Attribute) else ""


def keyword(call: ast.Call, *names: str) -> ast.expr | None:
    """The value of a call's keyword of one of these names."""
    return next((each.value for each in call.keywords if each.arg in names), None)


def method(of: ast.ClassDef, *names: str) -> Function | None:
    """The method of a class with one of these names."""
    return next((each for each in of.body if isinstance(each, Function) and each.name in names), None)


def own_nodes(*nodes: ast.AST) -> Iterator[ast.AST]:
    """Nodes with those below them, without what is in functions, classes and comprehensions: these names are others."""
    left = list(nodes)
    while left:
        node = left.pop()
        yield node
        if not isinstance(node, _SCOPES):
            left += ast.iter_child_nodes(node)


_SCOPES = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp,
    ast.GeneratorExp,
)  # fmt: skip


def bound_names(statement: ast.stmt) -> set[str]:
    """Names that a statement of the module binds or deletes, whatever to."""
    if isinstance(statement, ast.AnnAssign) and statement.value is None:
        return set()
    names = [each for each in own_nodes(statement) if isinstance(each, ast.Name)]
    captured = {
        each.name for each in own_nodes(statement)
        if isinstance(each, ast.MatchAs | ast.MatchStar | ast.ExceptHandler) and each.name
    }  # fmt: skip
    return captured | {each.id for each in names if not isinstance(each.ctx, ast.Load)}


def assignments(node: ast.AST) -> list[tuple[ast.expr, ast.expr, ast.stmt]]:
    """Targets with what is assigned to each, tuples taken apart where both sides are."""
    found: list[tuple[ast.expr, ast.expr, ast.stmt]] = []
    for each in walk(node):
        if isinstance(each, ast.Assign):
            for target in each.targets:
                found += [(left, right, each) for left, right in _pairs(target, each.value)]
        elif isinstance(each, ast.AnnAssign | ast.AugAssign) and each.value is not None:
            found.append((each.target, each.value, each))
    return found


def _pairs(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    if not isinstance(target, ast.Tuple | ast.List):
        return [(target, value)]
    if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
        return [pair for left, right in zip(target.elts, value.elts, strict=True) for pair in _pairs(left, right)]
    return [(left, value) for left in target.elts]
