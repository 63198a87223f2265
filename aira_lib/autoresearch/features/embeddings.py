"""Features of embeddings and output heads."""

import ast
import re

from aira_lib.autoresearch.features.arithmetic import UNKNOWN
from aira_lib.autoresearch.features.finding import Found, Hit, Script, forward, positive, toggle, weight
from aira_lib.autoresearch.features.source import assignments, last_name, names_in, self_attribute
from aira_lib.autoresearch.features.visiting import walk, written

_VALUE = re.compile(r"(^|_)(value_emb\w*|ves?|ve_\w*emb\w*|v_emb\w*)$")
_EMBEDS = re.compile(r"wte|emb|tok", re.IGNORECASE)
_HEAD = re.compile(r"head|output|unembed", re.IGNORECASE)
_AUXILIARY = re.compile(r"(^|_)(aux|mtp|auxiliary)(_|\d|$)|(^|_)(aux|mtp)", re.IGNORECASE)


def value_embeds(script: Script) -> Found:
    """Further embeddings of the tokens that forward adds to values, in layers that no function denies to all."""
    hits: list[Hit] = []
    read = {self_attribute(n) for each in script.models() for n in walk(forward(each) or each)} | {
        n.value for each in script.models() for n in walk(forward(each) or each)
        if isinstance(n, ast.Constant) and isinstance(n.value, str)
    }  # fmt: skip
    for each in script.models():
        for target, value, _ in assignments(each):  # another name that forward reads it by
            read |= {self_attribute(n) for n in walk(value)} if self_attribute(target) in read - {""} else set()
        for target, value, at in assignments(each):
            name = self_attribute(target)
            made = any(isinstance(n, ast.Call) and last_name(n.func) == "Embedding" for n in walk(value))
            if name and made and (_VALUE.search(name) or _keyed(value)):
                hits.append((at, (name in read or bool(_keyed(value) & read)) and not _denied(script, value)))
    return toggle(script, hits, _embedders(script))


def _keyed(node: ast.expr) -> set[str]:
    """The keys of value embeddings in a table of modules."""
    keys = [k for each in walk(node) if isinstance(each, ast.Dict) for k in each.keys]
    return {k.value for k in keys if isinstance(k, ast.Constant) and _VALUE.search(str(k.value))}  # type: ignore[misc]


def _denied(script: Script, made: ast.expr) -> bool:
    """Whether the function that says which layers have them says none: by its usual name, or as asked where made."""
    asked = {last_name(call.func) for each in walk(made) if isinstance(each, ast.comprehension)
             for test in each.ifs for call in walk(test) if isinstance(call, ast.Call)}  # fmt: skip
    for each in script.source.functions:
        if each.name in {"has_ve", "has_value_embed", *asked}:
            returned = [script.folder.value(n.value) for n in walk(each) if isinstance(n, ast.Return)]
            return bool(returned) and all(value is not UNKNOWN and not value for value in returned)
    return False


def _embedders(script: Script) -> list[ast.AST]:
    """Models that embed tokens."""
    return [each for each in script.models() if script.source.calls("Embedding", inside=each)]


def weight_tying(script: Script) -> Found:
    """The head has the token embedding's weights, or the logits are a product with these."""
    hits: list[Hit] = []
    for target, value, at in assignments(script.source.tree):
        if last_name(target) == last_name(value) == "weight":
            left, right = written(target), written(value)
            tied = (_HEAD.search(left) and _EMBEDS.search(right)) or (_EMBEDS.search(left) and _HEAD.search(right))
            hits += [(at, True)] if tied else []
    for call in script.source.calls("linear", "as_linear", "attend"):
        if last_name(call.func) != "linear":
            hits += [(call, True)] if _EMBEDS.search(written(call.func)) else []
        elif len(call.args) > 1 and _embedding_weight(call.args[1]):
            hits.append((call, True))
    for node in script.source.nodes:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult) and _embedding_weight(node.right):
            hits.append((node, True))
    return toggle(script, hits, _embedders(script))


def _embedding_weight(node: ast.expr) -> bool:
    """Whether something is the token embedding's weight, transposed or cast or not."""
    names = names_in(node)
    return "weight" in names and any(_EMBEDS.search(name) for name in names) and not any(map(_HEAD.search, names))


def aux_heads(script: Script) -> Found:
    """An output head beside the first, or an auxiliary loss on hidden states."""
    hits: list[Hit] = []
    for each in script.models():
        heads = [
            (self_attribute(target), at) for target, value, at in assignments(each)
            if self_attribute(target) and any(_to_vocabulary(n) for n in walk(value))
        ]  # fmt: skip
        used = {self_attribute(n) for n in walk(each) if isinstance(getattr(n, "ctx", None), ast.Load)}
        hits += [(at, True) for name, at in heads[1:] if name in used]
    for node in script.source.nodes:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            sides = (node.left, node.right)
            terms = [(a, b) for a, b in (sides, sides[::-1]) if _is_loss(a)]
            hits += [(node, positive(script, b) is not False and (weight(script, a))) for a, b in terms]
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Add):
            right = [node.right] if isinstance(node, ast.BinOp) else [node.value]
            hits += [(node, _computed(script, term)) for term in right if _is_loss(term)]
    return toggle(script, hits, _embedders(script))


def _to_vocabulary(node: ast.AST) -> bool:
    wide = isinstance(node, ast.Call) and last_name(node.func) == "Linear" and len(node.args) > 1
    return wide and "vocab" in written(node.args[1])  # type: ignore[attr-defined]


def _computed(script: Script, name: ast.expr) -> bool | None:
    """Whether what has this name is computed, and at no weight of zero."""
    scope = script.source.function_of(name) or script.source.tree
    terms = [v for t, v, _ in assignments(scope) if last_name(t) == last_name(name)]
    terms = [each for each in terms if not isinstance(script.folder.value(each), int | float)]
    factors = [side for each in terms if isinstance(each, ast.BinOp) and isinstance(each.op, ast.Mult)
               for side in (each.left, each.right)]  # fmt: skip
    return bool(terms) and False not in [positive(script, each) for each in factors]


def _is_loss(node: ast.expr) -> bool:
    return bool(_AUXILIARY.search(last_name(node)) and "loss" in last_name(node).lower())


def learned_prefix(script: Script) -> Found:
    """Learned vectors before the text's: a parameter, or an embedding that no token reads, put in front."""
    hits: list[Hit] = []
    for each in script.models():
        learned = {
            self_attribute(target) for target, value, _ in assignments(each)
            if any(isinstance(n, ast.Call) and last_name(n.func) == "Parameter" for n in walk(value))
        } - {""}  # fmt: skip
        method = forward(each)
        own = {last_name(t): v for t, v, _ in assignments(method or each)}
        for call in script.source.calls("cat", "concat", "concatenate", inside=method or each):
            items = getattr(call.args[0], "elts", []) if call.args else []
            if len(items) > 1:
                first = names_in(items[0])
                first |= {name for n in list(first) if n in own for name in names_in(own[n])}
                hits += [(call, True)] if first & learned else []
    return toggle(script, hits, _embedders(script))
