"""Expressions of a script, folded to what they are worth; what cannot be known stays unknown."""

import ast
import math
from dataclasses import dataclass
from typing import Any

from aira_lib.autoresearch.features.arithmetic import UNKNOWN, binary, bounded, called, compared
from aira_lib.autoresearch.features.conditions import Answers
from aira_lib.autoresearch.features.source import (
    Function,
    Source,
    assignments,
    last_name,
    names_in,
    self_attribute,
)
from aira_lib.autoresearch.features.visiting import walk

MOST_STEPS = 20  # from a name to what it was assigned, and on
MOST_LOOKS = 100_000  # expressions looked at in one script; a public one needs a few thousand


_SETTINGS = {"config", "cfg", "args", "hparams", "hp", "opt"}  # names of what holds a run's settings


@dataclass
class Budget:
    """How many expressions may still be looked at."""

    left: int = MOST_LOOKS

    def renewed(self) -> "Budget":
        """The same, as at the beginning."""
        self.left = MOST_LOOKS
        return self


class Folder:
    """Folds expressions of one script, on one way through it; what reads the module fills it.

    Attributes:
        constants: The module's names with their values, or UNKNOWN.
        lines: Those that set them.
        fields: Of the configuration.
        asks: Whether conditional expressions may ask which way they go.
        seen: What was looked up so far: constants, lines, fields and conditions, with what was found.
    """

    def __init__(self, source: Source, answers: tuple[bool, ...], budget: Budget, follows: bool = True) -> None:
        """Know nothing yet.

        Args:
            source: The script.
            answers: To the first conditions that are asked for; yes to all others.
            budget: What all ways of a script may look at together.
            follows: Whether conditions are answered at all.
        """
        self.constants: dict[str, Any] = {}
        self.lines: dict[str, int] = {}
        self.fields: dict[str, Any] = {}
        self.asks = False
        self.seen: dict[tuple[str, str], Any] = {}
        self._source, self._budget, self._answers, self._depth = source, budget, Answers(answers, follows), 0
        self._defined: dict[str, tuple[ast.expr, set[str]]] = {}
        self._locals: dict[Function, dict[str, list[ast.expr]]] = {}
        self._own: dict[Function, set[str]] = {}

    @property
    def asked(self) -> list[tuple[str, bool]]:
        """The conditions that were asked for, with this way's answers."""
        return self._answers.asked

    def assign(self, name: str, value: Any, line: int, by: ast.expr | None = None) -> None:
        """Set a constant, `by` an expression; what hangs on its old value is open again."""
        self._answers.forget(name)
        if any(name == own or name in names for own, (_, names) in self._defined.items()):
            self._defined = {own: by for own, by in self._defined.items() if name != own and name not in by[1]}
        self.constants[name], self.lines[name] = value, line
        if value is UNKNOWN and isinstance(by, ast.Compare | ast.BoolOp) and name not in (names := names_in(by)):
            self._defined[name] = by, names

    def look(self, kind: str, name: str) -> Any:
        """A "constant", the "line" that sets it, a "field" of the configuration, or the answer to a "condition"."""
        known: dict[str, Any] = {"constant": self.constants, "line": self.lines, "field": self.fields}.get(kind, {})
        found = self._answers.answer(name) if kind == "condition" else known.get(name, UNKNOWN)
        self.seen[kind, name] = found
        return found

    def agrees(self, seen: dict[tuple[str, str], Any]) -> bool:
        """Whether looking up the same would find the same."""
        return all(_same(self.look(kind, name), found) for (kind, name), found in seen.items())

    # --- conditions ---------------------------------------------------------------------------------------------------

    def truth(self, test: ast.expr, ask: bool = False) -> Any:
        """Whether a condition holds, or UNKNOWN.

        With `ask` this way's answer is taken, unless the condition hangs on names of a function.
        """
        match test:
            case ast.UnaryOp(op=ast.Not()):
                inner = self.truth(test.operand, ask)
                return inner if inner is UNKNOWN else not inner
            case ast.BoolOp():
                return self._boolean(test, ask)
        value = self.value(test)
        if value is not UNKNOWN:
            return bool(value)
        if self._of_function(test):
            return UNKNOWN
        if isinstance(test, ast.Name) and test.id in self._defined:
            return self.truth(self._defined[test.id][0], ask)
        known = self._recalled(test)
        return self._ask(test) if known is UNKNOWN and ask else known

    def _boolean(self, node: ast.BoolOp, ask: bool) -> Any:
        decides = isinstance(node.op, ast.Or)
        found = [self.truth(each) for each in node.values]
        for place, each in enumerate(node.values):
            if ask and found[place] is UNKNOWN and decides not in found:
                found[place] = self.truth(each, ask)
        return decides if decides in found else UNKNOWN if UNKNOWN in found else not decides

    def _recalled(self, test: ast.expr) -> Any:
        """What this way answered to the same condition before."""
        if not self.asked or self._of_function(test):
            return UNKNOWN
        self.look("condition", self._answers.text_of(test)[0])
        known = self._answers.recall(test)
        return UNKNOWN if known is None else known

    def _ask(self, test: ast.expr) -> Any:
        known = self._answers.ask(test)
        match test:
            case ast.Compare(left=ast.Name(id=name), ops=[op], comparators=[right]):
                if known is isinstance(op, ast.Eq) and isinstance(op, ast.Eq | ast.NotEq):
                    self.constants[name] = self.value(right)  # what it is compared with, where they are equal
        return UNKNOWN if known is None else known

    def _of_function(self, test: ast.expr) -> bool:
        """Whether an expression has names of the function that it is in."""
        around = [each for each in self._source.within(test) if isinstance(each, Function)]
        names = {each.id for each in walk(test) if isinstance(each, ast.Name)} if around else set()
        return any(names & self._names_of(each) for each in around)

    def _names_of(self, function: Function) -> set[str]:
        if function not in self._own:
            nodes = list(walk(function))
            self._own[function] = {each.arg for each in nodes if isinstance(each, ast.arg)} | {
                each.id for each in nodes if isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load)
            }
        return self._own[function]

    # --- expressions --------------------------------------------------------------------------------------------------

    def may_look(self) -> bool:
        """Count a look at an expression; false where there were too many."""
        self._budget.left -= 1
        return self._budget.left >= 0

    def value(self, node: ast.AST | None) -> Any:
        """What an expression is worth, or UNKNOWN."""
        if not self.may_look() or node is None or self._depth > MOST_STEPS:
            return UNKNOWN
        self._depth += 1
        try:
            return bounded(self._value(node))
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
            case ast.UnaryOp(op=ast.Not()) | ast.BoolOp():
                return self.truth(node)
            case ast.BinOp():
                return binary(node.op, self.value(node.left), self.value(node.right))
            case ast.Compare():
                return self._compared(node)
            case ast.IfExp():
                test = self.truth(node.test, ask=self.asks)
                return UNKNOWN if test is UNKNOWN else self.value(node.body if test else node.orelse)
            case ast.Tuple() | ast.List():
                items = tuple(self.value(each) for each in node.elts)
                return UNKNOWN if UNKNOWN in items else items
            case ast.Call():
                return self._call(node)
        return UNKNOWN

    def _compared(self, node: ast.Compare) -> Any:
        values = [self.value(each) for each in (node.left, *node.comparators)]
        if len(values) > 2 or UNKNOWN in values:
            return self._recalled(node)
        return compared(node.ops[0], *values)

    def _call(self, node: ast.Call) -> Any:
        name = last_name(node.func)
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        if name == "getenv" or (name == "get" and owner is not None and last_name(owner) == "environ"):
            return self.value(node.args[1]) if len(node.args) > 1 else UNKNOWN
        return UNKNOWN if node.keywords else called(name, [self.value(each) for each in node.args])

    def _named(self, node: ast.Name) -> Any:
        function = self._source.function_of(node)
        if function is not None:
            if function not in self._locals:
                self._locals[function] = {}
                for target, value, _ in assignments(function):
                    self._locals[function].setdefault(last_name(target), []).append(value)
            own = self._locals[function].get(node.id, [])
            arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
            if any(each.arg == node.id for each in arguments):
                return UNKNOWN if own else self._argument(function, node.id)
            if own:
                return self.value(own[0]) if len(own) == 1 and node not in walk(own[0]) else UNKNOWN
        return self.look("constant", node.id)

    def _argument(self, function: Function, name: str) -> Any:
        """What every call passes by name, or the default; UNKNOWN where that differs, or nothing calls it by name."""
        defaults = dict(
            zip([each.arg for each in function.args.args][::-1], function.args.defaults[::-1], strict=False)
        )
        only = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        defaults |= {argument.arg: default for argument, default in only if default is not None}
        calls = self._source.calls(function.name) if self._budget.left > 0 else []
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
            return self.look("field", node.attr)
        owner = self._source.class_of(node)
        if self_attribute(node) and owner is not None:
            own = [value for target, value, _ in assignments(owner) if self_attribute(target) == node.attr]
            return self.value(own[0]) if len(own) == 1 else UNKNOWN
        return {"pi": math.pi, "inf": math.inf}.get(node.attr, UNKNOWN) if last_name(node.value) == "math" else UNKNOWN

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
        value = self.truth(test)
        return None if value is UNKNOWN and not self.of_settings(test) else value

    def of_settings(self, node: ast.AST) -> bool:
        """Whether an expression hangs on settings of the script alone that are not known."""
        names = [each for each in walk(node) if isinstance(each, ast.Name | ast.Attribute)]
        return any(
            (isinstance(each, ast.Attribute) and last_name(each.value) in _SETTINGS and self.value(each) is UNKNOWN)
            or (isinstance(each, ast.Name) and each.id.isupper() and self._open(each.id))
            for each in names
        )

    def _open(self, name: str) -> bool:
        """Whether a name is one of the module's, and not known."""
        return self.look("constant", name) is UNKNOWN and self.look("line", name) is not UNKNOWN


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)
