"""Constants of a script, folded in the order of its statements; what cannot be known stays unknown."""

import ast
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, Final

from aira_lib.autoresearch.features.source import Function, Source, assignments, last_name, self_attribute

MOST_BITS = 256  # of a whole number
MOST_ITEMS = 1_000  # of a text or a sequence
MOST_STEPS = 20  # from a name to what it was assigned, and on
MOST_LOOKS = 100_000  # expressions looked at in one script; a public one needs a few thousand


class Unknown:
    """What an expression has whose value is not written in the script."""


UNKNOWN: Final = Unknown()

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow, ast.LShift: operator.lshift,
}  # fmt: skip
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not,
}  # fmt: skip
_CALLS: dict[str, Callable[..., Any]] = {
    "int": int, "float": float, "bool": bool, "max": max, "min": min, "abs": abs, "round": round, "sqrt": math.sqrt,
}  # fmt: skip
_SETTINGS = {"config", "cfg", "args", "hparams", "hp", "opt"}  # names of what holds a run's settings


class Folder:
    """Folds expressions of one script. `constants` are its module's names with their values, or UNKNOWN."""

    def __init__(self, source: Source) -> None:
        """Read the module's constants, in order."""
        self._source = source
        self.constants: dict[str, Any] = {}
        self.lines: dict[str, int] = {}
        self.fields: dict[str, Any] = {}
        self._depth, self._looks = 0, 0
        self._locals: dict[Function, list[tuple[ast.expr, ast.expr, ast.stmt]]] = {}
        self._run(source.tree.body)
        for each in source.nodes:
            if isinstance(each, ast.Global):
                self.constants |= {name: UNKNOWN for name in each.names if name in self.constants}
        self.fields = self._config_fields()

    # --- statements ---------------------------------------------------------------------------------------------------

    def _run(self, body: Sequence[ast.stmt]) -> None:
        for each in body:
            if isinstance(each, ast.If) and (test := self.value(each.test)) is not UNKNOWN:
                self._run(each.body if test else each.orelse)
            elif isinstance(each, ast.Assign | ast.AnnAssign):
                for target, value, _ in assignments(each):
                    if isinstance(target, ast.Name):
                        whole = target in getattr(each, "targets", [target]) or value is not each.value
                        self._set(target.id, self.value(value) if whole else UNKNOWN, each.lineno)
            elif isinstance(each, ast.AugAssign) and isinstance(each.target, ast.Name):
                name = each.target.id
                new = self._binary(each.op, self.constants.get(name, UNKNOWN), self.value(each.value))
                self._set(name, new, each.lineno)
            elif isinstance(each, ast.If | ast.Try | ast.With | ast.For | ast.While):
                for target, _, at in assignments(each):
                    if isinstance(target, ast.Name):
                        self._set(target.id, UNKNOWN, at.lineno)

    def _set(self, name: str, value: Any, line: int) -> None:
        self.constants[name], self.lines[name] = value, line

    def _config_fields(self) -> dict[str, Any]:
        """Fields of classes named Config: what a call passes, else the default that the class gives."""
        fields: dict[str, Any] = {}
        named = [each for each in self._source.classes if each.name.lower().endswith(("config", "hparams"))]
        for each in named:
            for target, value, _ in (pair for statement in each.body for pair in assignments(statement)):
                if isinstance(target, ast.Name):
                    fields[target.id] = self.value(value)
        for call in self._source.calls(*(each.name for each in named)):
            fields |= {each.arg: self.value(each.value) for each in call.keywords if each.arg}
        return fields

    # --- expressions --------------------------------------------------------------------------------------------------

    def value(self, node: ast.AST | None) -> Any:
        """What an expression is worth, or UNKNOWN."""
        self._looks += 1
        if node is None or self._depth > MOST_STEPS or self._looks > MOST_LOOKS:
            return UNKNOWN
        self._depth += 1
        try:
            return self._bounded(self._value(node))
        except (ArithmeticError, ValueError, TypeError, LookupError):
            return UNKNOWN
        finally:
            self._depth -= 1

    def _value(self, node: ast.AST) -> Any:
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return self._named(node)
            case ast.Attribute():
                return self._attribute(node)
            case ast.UnaryOp(op=ast.USub()):
                inner = self.value(node.operand)
                return inner if inner is UNKNOWN else -inner
            case ast.UnaryOp(op=ast.Not()):
                inner = self.value(node.operand)
                return inner if inner is UNKNOWN else not inner
            case ast.BinOp():
                return self._binary(node.op, self.value(node.left), self.value(node.right))
            case ast.Compare(ops=[op], comparators=[right]):
                values = self.value(node.left), self.value(right)
                return UNKNOWN if UNKNOWN in values else _COMPARE[type(op)](*values)
            case ast.BoolOp():
                return self._boolean(node)
            case ast.IfExp():
                test = self.value(node.test)
                return UNKNOWN if test is UNKNOWN else self.value(node.body if test else node.orelse)
            case ast.Tuple() | ast.List():
                items = tuple(self.value(each) for each in node.elts)
                return UNKNOWN if UNKNOWN in items else items
            case ast.Call():
                return self._call(node)
        return UNKNOWN

    def _boolean(self, node: ast.BoolOp) -> Any:
        values = [self.value(each) for each in node.values]
        decides = isinstance(node.op, ast.Or)
        if any(each is not UNKNOWN and bool(each) is decides for each in values):
            return decides
        return UNKNOWN if UNKNOWN in values else not decides

    def _binary(self, op: ast.operator, left: Any, right: Any) -> Any:
        if left is UNKNOWN or right is UNKNOWN:
            return UNKNOWN
        if isinstance(op, ast.Mult) and not all(isinstance(each, int | float) for each in (left, right)):
            return UNKNOWN
        if isinstance(op, ast.Mod | ast.LShift) and not isinstance(left, int | float):
            return UNKNOWN
        if isinstance(op, ast.Pow | ast.LShift) and isinstance(left, int) and isinstance(right, int):
            grown = right * (max(1, left.bit_length()) if isinstance(op, ast.Pow) else 1)
            if grown > MOST_BITS or left.bit_length() > MOST_BITS:
                return UNKNOWN
        return _BINARY[type(op)](left, right)

    def _call(self, node: ast.Call) -> Any:
        name = last_name(node.func)
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        if name == "getenv" or (name == "get" and owner is not None and last_name(owner) == "environ"):
            return self.value(node.args[1]) if len(node.args) > 1 else UNKNOWN
        values = [self.value(each) for each in node.args]
        if name not in _CALLS or node.keywords or UNKNOWN in values:
            return UNKNOWN
        return _CALLS[name](*values)

    def _named(self, node: ast.Name) -> Any:
        function = self._source.function_of(node)
        if function is not None:
            if function not in self._locals:
                self._locals[function] = assignments(function)
            known = self._locals[function]
            own = [value for target, value, _ in known if last_name(target) == node.id]
            arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
            if any(each.arg == node.id for each in arguments):
                return UNKNOWN if own else self._argument(function, node.id)
            if own:
                return self.value(own[0]) if len(own) == 1 and node not in ast.walk(own[0]) else UNKNOWN
        return self.constants.get(node.id, UNKNOWN)

    def _argument(self, function: Function, name: str) -> Any:
        """What every call passes by name, or the default; UNKNOWN where that differs, or nothing calls it by name."""
        defaults = dict(
            zip([each.arg for each in function.args.args][::-1], function.args.defaults[::-1], strict=False)
        )
        only = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        defaults |= {argument.arg: default for argument, default in only if default is not None}
        calls = self._source.calls(function.name)
        position = next((i for i, each in enumerate(function.args.args) if each.arg == name), None)
        passed = []
        for call in calls:
            given = next((each.value for each in call.keywords if each.arg == name), None)
            if given is None and position is not None and len(call.args) > position:
                return UNKNOWN
            passed.append(self.value(given if given is not None else defaults.get(name)))
        return passed[0] if passed and all(each == passed[0] for each in passed) else UNKNOWN

    def _attribute(self, node: ast.Attribute) -> Any:
        if node.attr == "training":
            return True
        if last_name(node.value) in _SETTINGS:
            return self.fields.get(node.attr, UNKNOWN)
        owner = self._source.class_of(node)
        if self_attribute(node) and owner is not None:
            own = [value for target, value, _ in assignments(owner) if self_attribute(target) == node.attr]
            return self.value(own[0]) if len(own) == 1 else UNKNOWN
        return {"pi": math.pi, "inf": math.inf}.get(node.attr, UNKNOWN) if last_name(node.value) == "math" else UNKNOWN

    @staticmethod
    def _bounded(value: Any) -> Any:
        if isinstance(value, int) and value.bit_length() > MOST_BITS:
            return UNKNOWN
        if isinstance(value, str | bytes | tuple) and len(value) > MOST_ITEMS:
            return UNKNOWN
        return value if isinstance(value, int | float | str | bytes | tuple | None) else UNKNOWN

    # --- switches -----------------------------------------------------------------------------------------------------

    def alive(self, node: ast.AST) -> bool | None:
        """Whether the conditions around a node let it run; None where a setting that is unknown decides.

        A condition of the run (`if targets is not None`) counts as met.
        """
        found: bool | None = True
        below = node
        for each in self._source.within(node):
            if isinstance(each, ast.If | ast.IfExp | ast.While) and below is not each.test:
                body = each.body if isinstance(each.body, list) else [each.body]
                state = self._state(each.test)
                inside = below in body
                if state is not UNKNOWN and state is not None and bool(state) is not inside:
                    return False
                found = None if state is UNKNOWN else found
            below = each
        return found

    def _state(self, test: ast.expr) -> Any:
        """The value of a condition; UNKNOWN where a setting decides, None where the run does."""
        value = self.value(test)
        return UNKNOWN if value is UNKNOWN and self.of_settings(test) else None if value is UNKNOWN else value

    def of_settings(self, node: ast.AST) -> bool:
        """Whether an expression hangs on settings of the script alone that are not known."""
        names = [each for each in ast.walk(node) if isinstance(each, ast.Name | ast.Attribute)]
        return any(
            (isinstance(each, ast.Attribute) and last_name(each.value) in _SETTINGS and self.value(each) is UNKNOWN)
            or (isinstance(each, ast.Name) and each.id.isupper() and self.constants.get(each.id, "") is UNKNOWN)
            for each in names
        )
