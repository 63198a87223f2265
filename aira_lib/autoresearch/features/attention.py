"""Features of the attention layer."""

import ast
import re

from aira_lib.autoresearch.features.arithmetic import UNKNOWN
from aira_lib.autoresearch.features.finding import Found, Hit, Script, forward, line, positive, tainted, toggle
from aira_lib.autoresearch.features.layers import attention_classes
from aira_lib.autoresearch.features.source import assignments, keyword, last_name, names_in, self_attribute
from aira_lib.autoresearch.features.visiting import walk, written

_ROTATES = re.compile(r"rotary|rope|rotated|rotation", re.IGNORECASE)
_SCORED = {"q", "k", "query", "key", "scores", "score", "att", "attn", "attn_scores", "attn_weights", "logits"}
_SCALES = ("scale", "softmax_scale", "sm_scale")
_WARM = re.compile(r"temp(erature)?($|_)|^tau$|_tau$", re.IGNORECASE)


def attn_temperature(script: Script) -> Found:
    """A learned or annealed factor on queries, keys or scores; a constant such as 1/sqrt(head_dim) is none."""
    hits: list[Hit] = []
    classes = attention_classes(script)
    for each in classes:
        learned = _parameters(each)
        for node in walk(forward(each) or each):
            factors: list[ast.expr] = []
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
                sides = (node.left, node.right)
                factors = [b for a, b in (sides, sides[::-1]) if _scored(a) and not _scored(b)]
            elif isinstance(node, ast.Call) and (scale := keyword(node, *_SCALES)) is not None:
                factors = [scale]
            hits += [(node, True) for factor in factors if _moves(script, factor, learned)]
    return toggle(script, hits, [forward(each) or each for each in classes])


def _scored(node: ast.expr) -> bool:
    """Whether a value is queries, keys, or their product."""
    if isinstance(node, ast.Call):
        return bool(node.args) and not self_attribute(node.func) and _scored(node.args[0])
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.MatMult) and _scored(node.left)
    return isinstance(node, ast.Name) and node.id.lower() in _SCORED


def _moves(script: Script, factor: ast.expr, learned: set[str]) -> bool:
    if script.folder.value(factor) is not UNKNOWN:
        return False
    inside = names_in(factor)
    method = script.source.function_of(factor)
    if method is not None:
        own = {last_name(t): v for t, v, _ in assignments(method)}
        inside |= {name for each in list(inside) if each in own for name in names_in(own[each])}
    return bool(inside & learned) or any(_WARM.search(each) for each in inside)


def _parameters(of: ast.ClassDef) -> set[str]:
    """Attributes that are learned tensors of the class."""
    return {
        self_attribute(target) for target, value, _ in assignments(of)
        if self_attribute(target) and any(last_name(n.func) == "Parameter" for n in walk(value)
                                          if isinstance(n, ast.Call))
    }  # fmt: skip


def attn_dropout(script: Script) -> Found:
    """Dropout of attention's weights or of its output, at a rate above zero."""
    hits: list[Hit] = []
    classes = attention_classes(script)
    hits += [
        (each, positive(script, rate)) for each in script.source.nodes
        if isinstance(each, ast.Call) and (rate := keyword(each, "dropout_p", "attn_dropout_p")) is not None
    ]  # fmt: skip
    for each in classes:
        for call in script.source.calls("Dropout", "dropout", inside=each):
            passed = keyword(call, "p") or (call.args[0] if last_name(call.func) == "Dropout" and call.args else None)
            passed = passed or (call.args[1] if len(call.args) > 1 else None)
            if not self_attribute(call.func):
                hits.append((call, True if passed is None else positive(script, passed)))
    return toggle(script, hits, [forward(each) or each for each in classes])


# --- rotary embeddings ------------------------------------------------------------------------------------------------


def partial_rope(script: Script) -> Found:
    """Rotation of a slice of each head: the rest goes past it."""
    hits: list[Hit] = []
    classes = attention_classes(script)
    functions = [each for each in script.source.functions if _ROTATES.search(each.name)]
    for call in (node for node in script.source.nodes if isinstance(node, ast.Call)):
        if _ROTATES.search(last_name(call.func)) and script.source.function_of(call) is not None:
            hits += [(call, _part(script, each)) for each in call.args if _sliced(script, each)]
    for each in functions:
        given = {argument.arg for argument in each.args.args}
        for call in script.source.calls("cat", "concat", "concatenate", inside=each):
            for item in getattr(call.args[0], "elts", []) if call.args else []:
                if (piece := _sliced(script, item)) is not None and _root(piece) in given:
                    hits.append((call, _part(script, piece)))
    return toggle(script, hits, [*functions, *(forward(each) or each for each in classes)] if classes else [])


def _sliced(script: Script, node: ast.expr) -> ast.expr | None:
    """The slice of the last axis that a value is, itself or by the name that it has."""
    if isinstance(node, ast.Name):
        function = script.source.function_of(node)
        own = assignments(function) if function is not None else []
        values = [value for target, value, _ in own if isinstance(target, ast.Name) and target.id == node.id]
        return _sliced(script, values[0]) if len(values) == 1 and not isinstance(values[0], ast.Name) else None
    if isinstance(node, ast.Subscript):
        last = node.slice.elts[-1] if isinstance(node.slice, ast.Tuple) and node.slice.elts else None
        return node if isinstance(last, ast.Slice) else None
    split = isinstance(node, ast.Call) and last_name(node.func) == "split" and isinstance(node.func, ast.Attribute)
    return node if split else None


def _part(script: Script, node: ast.expr) -> bool | None:
    """Whether a slice is less than the whole; the share of it may be a constant of the script."""
    factors = [each for each in walk(node) if isinstance(each, ast.Name) and each.id.isupper()]
    shares = [script.folder.value(each) for each in factors]
    return False if 1.0 in [s for s in shares if isinstance(s, float)] else None if UNKNOWN in shares else True


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Subscript | ast.Attribute | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return last_name(node)


def dual_rope_bases(script: Script) -> Found:
    """More than one base of the rotation, by layer or by head."""
    makers = [each for each in script.source.functions if _base(each)]
    names = {each.name for each in makers}
    bases: dict[str, ast.AST] = {}
    hits: list[Hit] = []
    for each in makers:
        for call in script.source.calls(each.name):
            passed = _passed(each, call)
            if passed is not None and script.folder.alive(call) is not False:
                value = script.folder.value(passed)
                bases.setdefault(written(passed) if value is UNKNOWN else str(float(value)), call)
                hits += [(call, True)] if value is UNKNOWN and _chosen(script, passed) else []
    if len(bases) > 1:
        hits += [(each, True) for each in bases.values()]
    looked = makers if names else [n for n in script.source.calls("outer") if script.models()]
    return toggle(script, hits, looked or [each for each in attention_classes(script) if line(each)])


def _base(of: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    names = [each.arg for each in [*of.args.args, *of.args.kwonlyargs]]
    rotates = _ROTATES.search(of.name) or {"inv_freq", "freqs"} & names_in(of)
    return next((each for each in names if each in ("base", "theta", "rope_base", "rope_theta")), "") if rotates else ""


def _passed(of: ast.FunctionDef | ast.AsyncFunctionDef, call: ast.Call) -> ast.expr | None:
    name, arguments = _base(of), [each.arg for each in of.args.args]
    at = arguments.index(name) - (arguments[0] == "self") if name in arguments else len(call.args)
    default = dict(zip(arguments[::-1], of.args.defaults[::-1], strict=False)).get(name)
    return keyword(call, name) or (call.args[at] if at < len(call.args) else default)


def _chosen(script: Script, node: ast.expr) -> bool:
    """Whether a base is chosen by layer: one of two, or each of a list."""
    if isinstance(node, ast.IfExp):
        return script.folder.truth(node.test) is UNKNOWN
    if not isinstance(node, ast.Name):
        return False
    scope = script.source.function_of(node) or script.source.tree
    loops = [each for each in walk(scope) if isinstance(each, ast.For | ast.comprehension)]
    many = [each.iter for each in loops if node.id in tainted(scope, names_in(each.target), [])]
    own = [value for target, value, _ in assignments(scope) if last_name(target) == node.id]
    listed = any(isinstance(v, tuple) and len(set(v)) > 1 for v in map(script.folder.value, many))
    steps = {name for each in loops for name in names_in(each.target)}
    listed = listed or any(names_in(each) & steps for each in own)
    return listed or len({written(each) for each in own}) > 1 or any(isinstance(each, ast.IfExp) for each in own)
