"""Walks over a syntax tree, counted: in hostile text a look through the whole for each of its lines takes hours."""

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_WRITING = 4  # a node is written out in as much time as so many are visited


class TooManyVisits(Exception):
    """More nodes were visited than may be."""


class _Visits:
    """How many may still be made."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise TooManyVisits


_COUNTED: ContextVar[_Visits | None] = ContextVar("visits", default=None)


@contextmanager
def visiting(most: int) -> Iterator[None]:
    """Within, nodes are visited so many times at the most: `walk` and `written` raise TooManyVisits then."""
    before = _COUNTED.set(_Visits(most))
    try:
        yield
    finally:
        _COUNTED.reset(before)


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all below it, as `ast.walk` gives them."""
    visits = _COUNTED.get()
    for each in ast.walk(node):
        if visits:
            visits.take(1)
        yield each


def written(node: ast.AST) -> str:
    """A node as text: the same for what does the same."""
    if visits := _COUNTED.get():
        visits.take(_WRITING * sum(1 for _ in ast.walk(node)))
    return ast.unparse(node)
