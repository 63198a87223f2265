"""Where a model attends and where it feeds forward: layers by the names that it gives them."""

import ast
import re
from collections.abc import Iterator

from aira_lib.autoresearch.features.finding import Script
from aira_lib.autoresearch.features.source import assignments, last_name, self_attribute
from aira_lib.autoresearch.features.visiting import walk

ATTENDS = re.compile(r"attn|attention|sdpa", re.IGNORECASE)
FEEDS = re.compile(r"mlp|ffn|feed_?forward|^ff$|moe", re.IGNORECASE)
NORM = re.compile(r"norm|^ln_?\w*$", re.IGNORECASE)


def attention_classes(script: Script) -> list[ast.ClassDef]:
    """Models that attend themselves: their names say so, and they hold no other attention."""
    return [each for each in script.named("attn", "attention") if not _made(each, ATTENDS)]


def _made(of: ast.ClassDef, name: re.Pattern[str]) -> bool:
    return any(name.search(self_attribute(t) or "") and isinstance(v, ast.Call) and last_name(v.func)[:1].isupper()
               and name.search(last_name(v.func)) for t, v, _ in assignments(of))  # fmt: skip


def blocks(script: Script) -> list[ast.ClassDef]:
    """Models that call an attention and a feed-forward layer of theirs, be it one of a list of layers."""
    found = []
    for each in script.models():
        named = [layer for layer in Layers(each).calls() if not NORM.search(layer)]
        if any(map(ATTENDS.search, named)) and any(map(FEEDS.search, named)):
            found.append(each)
    return found


class Layers:
    """The layers that a class or a method of one calls, by the names of the attributes that hold them."""

    def __init__(self, scope: ast.AST) -> None:
        """Find the names that stand for layers: those of a loop over layers, or assigned from a list of them."""
        self._scope = scope
        self._own: dict[str, str] = {}
        for target, value in _given_names(scope):
            if isinstance(target, ast.Name) and (name := _attribute(value)):
                self._own[target.id] = name

    def name(self, call: ast.Call) -> str:
        """`attn` of `self.attn(x)`, `self.attn[i](x)`, of `a(x)` in `for a in self.attn`; empty for anything else."""
        if isinstance(call.func, ast.Name):
            return self._own.get(call.func.id, "")
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        if isinstance(owner, ast.Name) and owner.id in self._own and isinstance(call.func, ast.Attribute):
            return call.func.attr
        return _attribute(call.func)

    def calls(self) -> list[str]:
        """The names of all that is called."""
        return [name for each in walk(self._scope) if isinstance(each, ast.Call) and (name := self.name(each))]


def _attribute(node: ast.AST) -> str:
    """`attn` of `self.attn`, `self.attn[i]`, `self.attn[:4]`."""
    while isinstance(node, ast.Subscript):
        node = node.value
    return self_attribute(node)


def _given_names(scope: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Targets of loops and of assignments, with what each is an item of, or is."""
    for target, value, _ in assignments(scope):
        if isinstance(value, ast.Subscript):
            yield target, value
    for each in walk(scope):
        if isinstance(each, ast.For):
            yield from _looped(each.target, each.iter)


def _looped(target: ast.expr, over: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    called = last_name(over.func) if isinstance(over, ast.Call) else ""
    items = target.elts if isinstance(target, ast.Tuple | ast.List) else []
    if called == "enumerate" and len(items) == 2 and isinstance(over, ast.Call) and over.args:
        yield from _looped(items[1], over.args[0])
    elif called == "zip" and isinstance(over, ast.Call):
        for item, each in zip(items, over.args, strict=False):
            yield from _looped(item, each)
    else:
        yield target, over
