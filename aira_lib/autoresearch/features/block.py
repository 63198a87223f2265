"""Features of the block around attention and the feed-forward layer."""

import ast
import re
from collections.abc import Callable, Sequence

from aira_lib.autoresearch.features.arithmetic import UNKNOWN
from aira_lib.autoresearch.features.finding import Found, Hit, Script, forward, toggle
from aira_lib.autoresearch.features.layers import ATTENDS, FEEDS, NORM, Layers, attention_classes, blocks
from aira_lib.autoresearch.features.source import assignments, last_name, self_attribute
from aira_lib.autoresearch.features.visiting import walk


def parallel_residual(script: Script) -> Found:
    """Whether in a block the feed-forward layer's input hangs not on what attention gave, nor the other way round."""
    hits: list[Hit] = []
    found = blocks(script)
    for each in found:
        method = forward(each)
        layers = Layers(method or each)
        reads = _Dependence(script, layers)
        if method is not None:
            reads.run(method.body, {})
        if reads.layers:
            apart = [call for call, on in reads.layers if not on]
            first = {bool(ATTENDS.search(layers.name(call))) for call, on in reads.layers if not on}
            if len(first) == 2:
                late = [call for call, on in reads.layers if on]
                hits.append((apart[-1], None if late else True))
    return toggle(script, hits, [forward(each) or each for each in found])


class _Dependence:
    """Follows through a block which values hang on a layer of the other kind, also in branches."""

    def __init__(self, script: Script, layers: Layers) -> None:
        self._script, self._layers = script, layers
        self.layers: list[tuple[ast.Call, bool]] = []

    def run(self, body: Sequence[ast.stmt], known: dict[str, set[str]]) -> dict[str, set[str]]:
        for each in body:
            if isinstance(each, ast.If):
                known = self._branch(each, known)
            elif isinstance(each, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Return | ast.Expr) and each.value:
                on = self._of(each.value, known)
                targets = each.targets if isinstance(each, ast.Assign) else [getattr(each, "target", None)]
                for target in targets:
                    for name in walk(target) if target is not None else ():
                        if isinstance(name, ast.Name):
                            more = known.get(name.id, set()) if isinstance(each, ast.AugAssign) else set()
                            known = known | {name.id: on | more}
            elif isinstance(each, ast.For | ast.While | ast.With):
                known = self.run(each.body, known)
        return known

    def _branch(self, node: ast.If, known: dict[str, set[str]]) -> dict[str, set[str]]:
        test = self._script.folder.truth(node.test)
        if test is not UNKNOWN:
            return self.run(node.body if test else node.orelse, known)
        ways = [self.run(node.body, known), self.run(node.orelse, known)]
        return {name: ways[0].get(name, set()) | ways[1].get(name, set()) for name in {*ways[0], *ways[1]}}

    def _of(self, node: ast.AST, known: dict[str, set[str]]) -> set[str]:
        if isinstance(node, ast.Name):
            return known.get(node.id, set())
        on = {each for child in ast.iter_child_nodes(node) for each in self._of(child, known)}
        own = self._layers.name(node) if isinstance(node, ast.Call) else ""
        for kind, other, pattern in (("attention", "feed", ATTENDS), ("feed", "attention", FEEDS)):
            if isinstance(node, ast.Call) and pattern.search(own) and not NORM.search(own):
                self.layers.append((node, other in on))
                on = on | {kind}
        return on


def attn_out_norm(script: Script) -> Found:
    """A norm of what attention gave: before its output projection, or around the layer in the block."""
    hits: list[Hit] = []
    classes = attention_classes(script)
    for each in classes:
        hits += _norms_of(each, lambda call: bool(_ATTENDED.search(last_name(call.func))))
    for each in blocks(script):
        layers = Layers(forward(each) or each)
        hits += _norms_of(each, lambda call, of=layers: bool(ATTENDS.search(of.name(call))))  # type: ignore[misc]
    return toggle(script, hits, [forward(each) or each for each in classes])


_ATTENDED = re.compile(r"attn|attention|sdpa|^softmax$", re.IGNORECASE)


def _norms_of(of: ast.ClassDef, attends: Callable[[ast.Call], bool]) -> list[Hit]:
    """Norms of a value that is attention's own, not of a sum that it was added to."""
    method = forward(of)
    if method is None:
        return []
    names: set[str] = set()
    pairs = [(target, value) for target, value, at in assignments(method) if not isinstance(at, ast.AugAssign)]
    for _ in range(3):
        names |= {last_name(target) for target, value in pairs if _is_own(value, attends, names)}
    return [
        (node, True) for node in walk(method)
        if isinstance(node, ast.Call) and _is_norm(node) and any(_is_own(each, attends, names) for each in node.args)
    ]  # fmt: skip


def _is_norm(node: ast.Call) -> bool:
    name = last_name(node.func)
    plain = isinstance(node.func, ast.Name) or self_attribute(node.func) or name != "norm"
    return bool(plain and NORM.search(name))


def _is_own(node: ast.AST, attends: Callable[[ast.Call], bool], names: set[str]) -> bool:
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        return _is_own(node.left, attends, names)
    if not isinstance(node, ast.Call):
        return False
    if attends(node) and not NORM.search(last_name(node.func)):
        return True
    owner = node.func.value if isinstance(node.func, ast.Attribute) else None
    inner = owner if owner is not None and not self_attribute(node.func) and not node.args else None
    first = [each for each in (inner, owner, *node.args[:1]) if each is not None]
    return any(_is_own(each, attends, names) for each in first)
