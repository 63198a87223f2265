"""What the feed-forward layer computes: its activation, whether that is squared, whether it gates."""

import ast
from dataclasses import dataclass, field

from aira_lib.autoresearch.features.alternatives import UNRESOLVED
from aira_lib.autoresearch.features.arithmetic import UNKNOWN
from aira_lib.autoresearch.features.finding import Found, Script, forward, line
from aira_lib.autoresearch.features.source import assignments, last_name, self_attribute
from aira_lib.autoresearch.features.visiting import walk, written

_ACTIVATIONS = {
    "relu": "relu", "silu": "silu", "swish": "silu", "gelu": "gelu", "sigmoid": "sigmoid", "tanh": "tanh",
    "mish": "mish", "elu": "elu", "selu": "selu", "softplus": "softplus", "leaky_relu": "leaky_relu",
    "leakyrelu": "leaky_relu", "relu6": "relu6", "hardswish": "hardswish", "relu_": "relu", "silu_": "silu",
    "relu2": "relu2", "relu_squared": "relu2", "squared_relu": "relu2", "relu_sq": "relu2",
}  # fmt: skip
_GATED = {"silu": "swiglu", "gelu": "geglu", "relu": "reglu", "sigmoid": "glu", "": "bilinear", "relu2": "relu2_glu"}
_SHAPING = {"chunk", "split", "view", "reshape", "float", "to", "type_as", "contiguous"}


@dataclass(frozen=True)
class _Kind:
    """What a value came through; `linear` says that it is a projection of the input."""

    name: str = ""
    gated: bool = False
    linear: bool = False
    text: str = field(default="", compare=False)

    def __str__(self) -> str:
        if not self.gated:
            return self.name or "linear"
        return _GATED.get(self.name, f"{self.name}_glu")


class _Doubt(Exception):
    """An activation that cannot be told."""


def mlp_type(script: Script) -> Found:
    """relu2, relu, silu, gelu, swiglu, geglu, reglu, bilinear, relu^p and their like."""
    classes = script.named("mlp", "feedforward", "feed_forward", "ffn", "swiglu", "geglu")
    kinds: dict[str, list[int]] = {}
    for each in classes:
        method = forward(each)
        try:
            kind = str(_Reader(script, each).returned(method)) if method else UNRESOLVED
        except _Doubt:
            kind = UNRESOLVED
        kinds.setdefault(kind, []).extend(_evidence(each))
    if not kinds:
        return Found(UNRESOLVED)
    lines = tuple(sorted({n for numbers in kinds.values() for n in numbers}))[:12]
    return Found(UNRESOLVED if UNRESOLVED in kinds else " or ".join(sorted(kinds)), lines)


def _evidence(of: ast.ClassDef) -> list[int]:
    method = forward(of)
    nodes = list(walk(method)) if method else []
    calls = [n for n in nodes if isinstance(n, ast.Call) and (_activation(n) or last_name(n.func) in ("square", "pow"))]
    return [line(each) for each in calls] or [line(method or of)]


def _activation(call: ast.Call) -> str:
    name = last_name(call.func).lower()
    zero = any(isinstance(each, ast.Constant) and each.value == 0 for each in call.args)
    if (name == "maximum" and zero) or (name in ("clamp", "clamp_min", "clip") and _from_zero(call)):
        return "relu"
    return _ACTIVATIONS.get(name, "")


def _from_zero(call: ast.Call) -> bool:
    low = [each.value for each in call.keywords if each.arg == "min"] or call.args[-1:]
    return any(isinstance(each, ast.Constant) and each.value == 0 for each in low)


class _Reader:
    """Follows values through one forward method."""

    def __init__(self, script: Script, of: ast.ClassDef, depth: int = 0) -> None:
        self._script, self._class, self._depth = script, of, depth
        self._known: dict[str, _Kind] = {}
        self._returned: list[_Kind] = []

    def returned(self, method: ast.FunctionDef | ast.AsyncFunctionDef) -> _Kind:
        self._run(method.body)
        kinds = set(self._returned)
        if len({str(each) for each in kinds}) != 1:
            raise _Doubt
        return kinds.pop()

    def _run(self, body: list[ast.stmt]) -> None:
        for each in body:
            if isinstance(each, ast.If):
                test = self._script.folder.truth(each.test)
                for part, wanted in ((each.body, True), (each.orelse, False)):
                    if test is UNKNOWN or bool(test) is wanted:
                        self._run(part)
                if test is not UNKNOWN and test and any(isinstance(n, ast.Return) for n in each.body):
                    return
            elif isinstance(each, ast.Return) and each.value is not None:
                self._returned.append(self._of(each.value))
                return
            elif isinstance(each, ast.AugAssign):
                self._known[last_name(each.target)] = self._of(ast.BinOp(each.target, each.op, each.value))
            else:
                for target, value, _ in assignments(each):
                    self._known[last_name(target)] = self._of(value)

    def _of(self, node: ast.expr) -> _Kind:
        if not self._script.folder.may_look():
            raise _Doubt
        match node:
            case ast.Name():
                return self._known.get(node.id, _Kind())
            case ast.BinOp(op=ast.Pow()):
                return self._power(self._of(node.left), self._script.folder.value(node.right))
            case ast.BinOp(op=ast.Mult()):
                return self._product(node)
            case ast.BinOp():
                kinds = [self._of(node.left), self._of(node.right)]
                return next((each for each in kinds if each.name or each.gated), kinds[0])
            case ast.Call():
                return self._call(node)
            case ast.Subscript():
                return self._of(node.value)
            case ast.IfExp():
                test = self._script.folder.truth(node.test)
                if test is UNKNOWN:
                    raise _Doubt
                return self._of(node.body if test else node.orelse)
        return _Kind()

    def _power(self, kind: _Kind, power: object) -> _Kind:
        if power is UNKNOWN or not kind.name:
            if power is UNKNOWN and kind.name:
                return _Kind(f"{kind.name}^p")
            return _Kind("square" if power == 2 else kind.name, kind.gated)
        return _Kind(f"{kind.name}2" if power == 2 else f"{kind.name}^{power:g}", kind.gated)

    def _product(self, node: ast.BinOp) -> _Kind:
        left, right = self._of(node.left), self._of(node.right)
        if written(node.left) == written(node.right):
            return self._power(left, 2)
        if self._plain(node.left) or self._plain(node.right):
            return right if self._plain(node.left) else left
        for gate, other, value in ((left, right, node.right), (right, left, node.left)):
            if gate.name == "sigmoid" and not other.name and gate.text and _unscaled(gate.text) == written(value):
                return _Kind("silu")
            if gate.name == "softplus*tanh" and not other.name:
                return _Kind("mish")
            if gate.name and not other.name:
                return _Kind(gate.name, gated=True)
        if left.linear and right.linear:
            return _Kind(gated=True)
        if left.name and right.name:  # an activation that another one gates
            return _Kind("*".join(sorted((str(left), str(right)))))
        return left if left.name else right

    def _plain(self, node: ast.expr) -> bool:
        """Whether a factor is a number or a scalar parameter, and no activation of the layer's input."""
        attribute = isinstance(node, ast.Attribute) and bool(self_attribute(node))
        return attribute or isinstance(self._script.folder.value(node), int | float)

    def _call(self, node: ast.Call) -> _Kind:
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        modules = owner is None or last_name(owner) in ("F", "torch", "nn", "functional", "mx", "jnp", "jax", "self")
        inner = node.args[0] if node.args and (modules or owner is None) else owner if not modules else None
        name = last_name(node.func)
        kind = self._of(inner) if inner is not None else _Kind()
        if isinstance(node.func, ast.Call):  # nn.GELU()(x)
            return _Kind(_activation(node.func) or _doubt())
        if name in ("square", "square_"):
            return self._power(kind, 2)
        if name == "pow":
            power = node.args[-1] if node.args else None
            return self._power(kind, self._script.folder.value(power))
        if own := self_attribute(node.func):
            return self._own(own, kind)
        if found := _activation(node):
            if found == "relu" and name == "maximum":
                inner = next((each for each in node.args if not isinstance(each, ast.Constant)), None)
            if found == "tanh" and kind.name == "softplus":
                return _Kind("softplus*tanh")
            if found.startswith("relu") and kind.gated:
                return kind
            return _Kind(found, text=written(inner) if inner is not None else "")
        if name in _SHAPING or name in ("linear", "dropout", "norm", "rms_norm"):
            return _Kind(kind.name, kind.gated, kind.linear or name == "linear")
        return self._defined(name, kind)

    def _own(self, name: str, kind: _Kind) -> _Kind:
        """A layer of the class: an activation that it made, or a projection, which keeps what it is given."""
        made = [value for target, value, _ in assignments(self._class) if self_attribute(target) == name]
        for each in made:
            inner = each if not isinstance(each, ast.Call) or not _activation(each) else each.func
            if found := _ACTIVATIONS.get(last_name(inner).lower()):
                return _Kind(found)
        if not made or name.startswith("act"):
            raise _Doubt
        return _Kind(kind.name, kind.gated, linear=True)

    def _defined(self, name: str, kind: _Kind) -> _Kind:
        """A function of the script that computes an activation."""
        if self._depth > 1:
            raise _Doubt
        for each in self._script.source.functions:
            if each.name == name and self._script.source.class_of(each) is None:
                found = _Reader(self._script, self._class, self._depth + 1).returned(each)
                return found if found.name or found.gated else kind
        return kind


def _unscaled(text: str) -> str:
    """`x` of `1.702 * x`."""
    return text.rsplit("* ", 1)[-1]


def _doubt() -> str:
    raise _Doubt
