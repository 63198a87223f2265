"""Features of the loss and of the training loop."""

import ast
import re

from aira_lib.autoresearch.features.arithmetic import UNKNOWN
from aira_lib.autoresearch.features.finding import Found, Hit, Script, positive, tainted, toggle, weight
from aira_lib.autoresearch.features.source import assignments, keyword, last_name, names_in
from aira_lib.autoresearch.features.visiting import walk, written

_SMOOTHING = re.compile(r"^(label_?smooth(ing)?(_eps)?|smoothing|ls_eps)$", re.IGNORECASE)
_AVERAGED = re.compile(r"(^|_)(ema|swa|shadow|polyak)(_|$)", re.IGNORECASE)
_NO_COPY = re.compile(r"beta|decay|loss|start|every|frac|alpha|rate|step", re.IGNORECASE)
_INPUT = {"x", "idx", "inputs", "input_ids", "tokens", "ids", "xb", "x_in"}
_SIZE = re.compile(
    r"^(curriculum|cur|curr|current|train|active|eff|effective)?_?(seq_?len\w*|sequence_len\w*|ctx_?len\w*|context_len\w*|len(gth)?|"
    r"batch_size|device_batch\w*|(grad_)?accum\w*)$",
    re.IGNORECASE,
)
_PROGRESS = {"progress", "step", "frac", "elapsed", "total_training_time", "pct_done", "global_step"}


def _scopes(script: Script) -> list[ast.AST]:
    """The functions, and the module without looking into them again."""
    return [*script.source.functions, script.source.tree]


def _functions(script: Script) -> list[ast.AST]:
    """The functions, or the module where there is none."""
    return list(script.source.functions) or [script.source.tree]


def label_smoothing(script: Script) -> Found:
    """Cross entropy with smoothed targets, at a share above zero."""
    hits: list[Hit] = []
    known: dict[ast.AST, set[str]] = {}
    for node in script.source.nodes:
        if isinstance(node, ast.Call) and (share := keyword(node, "label_smoothing")) is not None:
            hits.append((node, True if _scheduled(script, share, known) else positive(script, share)))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            hits += [
                (node, positive(script, each)) for each in (node.left, node.right) if _SMOOTHING.match(last_name(each))
            ]
    return toggle(script, hits, _losses(script))


def _scheduled(script: Script, node: ast.expr, known: dict[ast.AST, set[str]]) -> bool:
    """Whether a value hangs on how far training is; `known` are the names that do, by scope, as far as looked up."""
    scope = script.source.function_of(node) or script.source.tree
    if scope not in known:
        known[scope] = tainted(scope, _PROGRESS, assignments(scope))
    return bool(_names(node) & known[scope])


def _losses(script: Script) -> list[ast.Call]:
    return script.source.calls("cross_entropy", "CrossEntropyLoss", "nll_loss", "log_softmax", "logsumexp", "softmax_"
                               "cross_entropy_with_integer_labels")  # fmt: skip


def z_loss(script: Script) -> Found:
    """A penalty on the squared logarithm of the softmax's sum, at a weight above zero."""
    hits: list[Hit] = []
    for scope in _functions(script):
        pairs = assignments(scope)
        sums = {last_name(t) for t, v, _ in pairs if _logsumexp(v, set())} - {""}
        squares = [node for node in walk(scope) if _squared(node, sums)]
        if squares:
            held = _held_by(pairs)
            uses = _weights_of_uses(script, scope, {name for node in squares for name in held.get(node, ())})
            for node in squares:
                states = {weight(script, node)}.union(*(uses.get(name, ()) for name in held.get(node, ())))
                hits.append((node, False if False in states else None if None in states else True))
    return toggle(script, hits, _losses(script))


def _held_by(pairs: list[tuple[ast.expr, ast.expr, ast.stmt]]) -> dict[ast.AST, set[str]]:
    """Of each node of what is assigned, the names that it is assigned to."""
    held: dict[ast.AST, set[str]] = {}
    for target, value, _ in pairs:
        for node in walk(value) if last_name(target) else ():
            held.setdefault(node, set()).add(last_name(target))
    return held


def _weights_of_uses(script: Script, scope: ast.AST, names: set[str]) -> dict[str, set[bool | None]]:
    """The weights at which names are read."""
    found: dict[str, set[bool | None]] = {}
    for node in walk(scope):
        if isinstance(node, ast.Name) and node.id in names and isinstance(node.ctx, ast.Load):
            found.setdefault(node.id, set()).add(weight(script, node))
    return found


def _logsumexp(node: ast.AST, names: set[str]) -> bool:
    if isinstance(node, ast.Name):
        return node.id in names
    return isinstance(node, ast.Call) and last_name(node.func) == "logsumexp"


def _squared(node: ast.AST, names: set[str]) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow | ast.Mult):
        two = isinstance(node.right, ast.Constant) and node.right.value == 2
        same = isinstance(node.op, ast.Mult) and written(node.left) == written(node.right)
        return (same or (two and isinstance(node.op, ast.Pow))) and _logsumexp(node.left, names)
    if isinstance(node, ast.Call) and last_name(node.func) in ("square", "pow"):
        owner = node.func.value if isinstance(node.func, ast.Attribute) else node
        return any(_logsumexp(each, names) for each in (owner, *node.args[:1]))
    return False


def grad_clipping(script: Script) -> Found:
    """Gradients that are clipped by their norm or value."""
    names = "clip_grad_norm_", "clip_grad_value_", "clip_grad_norm", "clip_by_global_norm", "clip_grads_with_norm_"
    hits: list[Hit] = []
    for call in script.source.calls(*names):
        bound = keyword(call, "max_norm", "clip_value") or (call.args[1] if len(call.args) > 1 else None)
        value = script.folder.value(bound)
        hits.append((call, value is not None and value != float("inf")))
    return toggle(script, hits, script.trains())


def agc(script: Script) -> Found:
    """Adaptive clipping: gradients are scaled by the ratio of the norm of parameters to theirs, one by one."""
    hits: list[Hit] = []
    for scope in _scopes(script):
        pairs = assignments(scope)
        gradients = {last_name(t) for t, v, _ in pairs if _norm_of(v, True)} - {""}
        weights = {last_name(t) for t, v, _ in pairs if _norm_of(v, False)} - {""}
        if gradients or weights:
            gradients, weights = tainted(scope, gradients, pairs), tainted(scope, weights, pairs)
        for node in walk(scope):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
                sides = [
                    (
                        bool(_names(each) & gradients) or _any_norm(each, True),
                        bool(_names(each) & weights) or _any_norm(each, False),
                    )
                    for each in (node.left, node.right)
                ]
                if (sides[0][1] and sides[1][0]) or (sides[0][0] and sides[1][1] and not sides[1][0]):
                    hits.append((node, True))
    return toggle(script, hits, script.trains())


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in walk(node) if isinstance(each, ast.Name)}


def _any_norm(node: ast.AST, gradient: bool) -> bool:
    return any(_norm_of(each, gradient) for each in walk(node) if isinstance(each, ast.Call))


def _norm_of(node: ast.AST, gradient: bool) -> bool:
    """Whether a value is the norm of a gradient, or else of a parameter."""
    for call in walk(node):
        name = last_name(call.func) if isinstance(call, ast.Call) else ""
        if isinstance(call, ast.Call) and name in ("norm", "vector_norm", "unitwise_norm", "_unitwise_norm"):
            library = isinstance(call.func, ast.Name) or written(call.func.value) in ("torch", "torch.linalg", "mx")  # type: ignore[attr-defined]
            of = call.args[0] if library and call.args else getattr(call.func, "value", call)
            names = names_in(of)
            is_gradient = any(each in ("g", "grad", "grads") or "grad" in each for each in names)
            is_weight = bool(names & {"p", "param", "w", "weight", "parameter", "data"})
            if is_gradient if gradient else is_weight and not is_gradient:
                return True
    return False


def ema(script: Script) -> Found:
    """An averaged copy of the parameters; an average of the loss is none."""
    hits: list[Hit] = [(each, True) for each in script.source.calls("AveragedModel", "ExponentialMovingAverage", "EMA")]
    copies = {"parameters", "named_parameters", "state_dict", "deepcopy", "clone", "tree_map"}
    for target, value, at in assignments(script.source.tree):
        name = last_name(target.value if isinstance(target, ast.Subscript) else target)
        if _AVERAGED.search(name) and not _NO_COPY.search(name) and names_in(value) & copies:
            hits.append((at, True))
    for call in script.source.calls("lerp_", "add_"):
        into = call.func.value if isinstance(call.func, ast.Attribute) else call
        mixed = last_name(call.func) == "lerp_" or (
            isinstance(into, ast.Call) and last_name(into.func) == "mul_" and keyword(call, "alpha") is not None
        )
        if mixed and call.args and _is_parameter(call.args[0]):
            hits.append((call, True))
    return toggle(script, hits, script.trains())


def _is_parameter(node: ast.AST) -> bool:
    """`p`, `param.data`, `layer.weight` and their like, but no gradient."""
    while isinstance(node, ast.Attribute | ast.Call):
        if last_name(node) in ("grad", "weight"):
            return last_name(node) == "weight"
        node = node.func if isinstance(node, ast.Call) else node.value
    return isinstance(node, ast.Name) and node.id in ("p", "param", "p_model", "model_p", "parameter")


def token_corruption(script: Script) -> Found:
    """Input tokens that are replaced at random in training."""
    hits: list[Hit] = []
    drawn = {"rand", "randint", "rand_like", "randint_like", "bernoulli", "bernoulli_", "randperm"}
    for scope in _scopes(script):
        owner = script.source.class_of(scope)
        inputs = _INPUT if owner is None else {"idx", "input_ids", "tokens", "ids"}
        pairs = assignments(scope)
        chance = tainted(scope, {last_name(t) for t, v, _ in pairs if names_in(v) & drawn} - {""}, pairs)
        for node in walk(scope):
            if isinstance(node, ast.Call) and last_name(node.func) in ("where", "masked_fill", "masked_fill_"):
                parts = [*node.args, getattr(node.func, "value", node)]
                touches = any(isinstance(each, ast.Name) and each.id in inputs for each in parts)
                random = any(names_in(each) & (chance - inputs | drawn) for each in node.args)
                hits += [(node, _rate(script, scope, node.args, drawn))] if touches and random else []
            elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                random = bool(names_in(node.slice) & (chance - inputs | drawn))
                if last_name(node.value) in inputs and random:
                    hits.append((node, _rate(script, scope, [node.slice], drawn)))
    return toggle(script, hits, script.trains())


def _rate(script: Script, scope: ast.AST, parts: list[ast.expr], drawn: set[str]) -> bool | None:
    """Whether the share that is replaced is above zero: what random numbers are compared with."""
    names = {name for each in parts for name in names_in(each)}
    values = [*parts, *(value for target, value, _ in assignments(scope) if last_name(target) in names)]
    for node in (each for value in values for each in walk(value)):
        if isinstance(node, ast.Compare) and names_in(node.left) & drawn:
            state = positive(script, node.comparators[0])
            return state if state is not None or script.folder.of_settings(node.comparators[0]) else True
    return True


def curriculum(script: Script) -> Found:
    """A length or a batch that grows or shrinks with progress."""
    hits: list[Hit] = []
    known: dict[ast.AST, set[str]] = {}
    for target, value, at in assignments(script.source.tree):
        if _SIZE.match(last_name(target)):
            tests = [each.test for each in script.source.within(at) if isinstance(each, ast.If)]
            by_progress = any(_names(each) & _PROGRESS for each in (value, *tests))
            changes = script.folder.value(value) is UNKNOWN or any(_names(each) & _PROGRESS for each in tests)
            hits += [(at, True)] if by_progress and changes else []
    for node in script.source.nodes:
        if isinstance(node, ast.Subscript) and last_name(node.value) in ("x", "y", "inputs", "targets"):
            bounds = [each.upper for each in walk(node.slice) if isinstance(each, ast.Slice) and each.upper]
            hits += [(node, True) for each in bounds if _scheduled(script, each, known)]
    return toggle(script, hits, script.trains())


def pos_loss_weight(script: Script) -> Found:
    """Losses of tokens that are weighted by position."""
    hits: list[Hit] = []
    for scope in _functions(script):
        pairs = assignments(scope)
        losses = tainted(scope, {last_name(t) for t, v, _ in pairs if _by_token(v)} - {""}, pairs)
        ramps = {last_name(t) for t, v, _ in pairs if names_in(v) & {"arange", "linspace"}} | {"pos_weight", "pos_w"}
        ramps = tainted(scope, ramps - {""}, pairs) - losses
        for node in walk(scope):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
                sides = [(each, names_in(each)) for each in (node.left, node.right)]
                found = any((a & losses or _by_token(term)) and (b & (ramps | {"arange", "linspace"}) or _says(b))
                            for (term, a), (_, b) in (sides, sides[::-1]))  # fmt: skip
                hits += [(node, True)] if found else []
    return toggle(script, hits, _losses(script))


def _by_token(node: ast.AST) -> bool:
    for call in walk(node):
        if isinstance(call, ast.Call) and last_name(call.func) == "cross_entropy":
            kind = keyword(call, "reduction")
            return not (kind is None or (isinstance(kind, ast.Constant) and kind.value != "none"))
    return False


def _says(names: set[str]) -> bool:
    return any(re.search(r"pos(ition)?_(loss_)?w(eight)?s?$", each, re.IGNORECASE) for each in names)
