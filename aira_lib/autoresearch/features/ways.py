"""The ways through a script: its module's statements in order, once for each set of answers to its open conditions.

A condition that cannot be known and decides a constant (`if PROFILE == "gpu": DEPTH = 8`) is asked for. Every way has
other answers; a feature is read on each and becomes a choice of what was found.
"""

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from aira_lib.autoresearch.features.alternatives import UNRESOLVED, Value, either, resolved
from aira_lib.autoresearch.features.arithmetic import UNKNOWN
from aira_lib.autoresearch.features.finding import Found, Script, lines_of
from aira_lib.autoresearch.features.folding import MOST_STEPS, Budget, Folder
from aira_lib.autoresearch.features.source import (
    Function,
    Source,
    Unreadable,
    assignments,
    bound_names,
    names_in,
    own_nodes,
)
from aira_lib.autoresearch.features.visiting import TooManyVisits, visiting, walk, written

MOST_READS = 8  # of a feature that is another one on every way
MOST_VISITS = 1_000_000  # of nodes, for one feature; the baseline's 3,500 take 23,000


def ways_of(source: Source) -> list[Folder]:
    """Every way through a script, those on which a condition holds before those on which it does not.

    Ways that end in an error are none, unless all do. Of a script so long that they would cost too much there is one
    way, on which nothing that is open is answered.

    Raises:
        Unreadable: they would cost far too much.
    """
    budget = Budget()
    module = _Module(source, _deciding(source))
    try:
        with visiting(MOST_VISITS):
            found = _each_way(module, budget)
    except TooManyVisits:
        found = []
    try:
        with visiting(MOST_VISITS):
            found = found or _only_way(module, budget)
    except TooManyVisits:
        raise Unreadable("what its constants hang on takes too long to follow") from None
    budget.renewed()  # for reading features
    return [folder for folder, goes_on in found if goes_on] or [folder for folder, _ in found]


def _each_way(module: "_Module", budget: Budget) -> list[tuple[Folder, bool]]:
    """Ways, and whether each goes on to the end; none where they cost too much."""
    found: list[tuple[Folder, bool]] = []
    left: list[tuple[bool, ...]] = [()]
    while left and budget.left > 0:
        given = left.pop()
        folder = Folder(module.source, given, budget)
        goes_on = _Way(module, folder).take()
        answers = [answer for _, answer in folder.asked]
        left += [(*answers[:place], False) for place in range(len(given), len(answers))]
        found.append((folder, goes_on))
    return found if budget.left > 0 else []


def _only_way(module: "_Module", budget: Budget) -> list[tuple[Folder, bool]]:
    """One on which nothing that is open is answered."""
    folder = Folder(module.source, (), budget.renewed(), follows=False)
    return [(folder, _Way(module, folder).take())]


def found_on(ways: Sequence[Folder], source: Source, read: Callable[[Script], Found]) -> Found:
    """A feature on all ways, unresolved where that takes too long."""
    known: list[tuple[dict[tuple[str, str], Any], Found]] = []
    try:
        with visiting(MOST_VISITS):
            value = joined(ways, [each.value for each in _each_found(ways, source, read, known)])
    except TooManyVisits:
        value = UNRESOLVED
    return Found(value, lines_of(line for _, each in known for line in each.lines))


def _each_found(
    ways: Sequence[Folder], source: Source, read: Callable[[Script], Found],
    known: list[tuple[dict[tuple[str, str], Any], Found]],
) -> Iterator[Found]:  # fmt: skip
    """A feature on each way; read again only where what it looks at is another, which is `known` then."""
    for way in ways:
        found = next((found for seen, found in known if way.agrees(seen)), None)
        if found is None:
            if len(known) == MOST_READS:
                raise TooManyVisits
            way.seen.clear()
            found = read(Script(source, way))
            known.append((dict(way.seen), found))
        yield found


def joined(ways: Sequence[Folder], values: Sequence[Value]) -> Value:
    """One value of those on all ways; "unresolved" where it is on one."""
    return _choice([way.asked for way in ways], values, 0) if all(map(resolved, values)) else UNRESOLVED


def _choice(asked: Sequence[Sequence[tuple[str, bool]]], values: Sequence[Value], depth: int) -> Value:
    if len(values) == 1:
        return values[0]
    halves = []
    for holds in (True, False):
        own = [place for place, answers in enumerate(asked) if answers[depth][1] is holds]
        halves += [_choice([asked[n] for n in own], [values[n] for n in own], depth + 1)] if own else []
    return either(asked[0][depth][0], halves[0], halves[-1])


@dataclass
class _Module:
    """What all ways of a script have in common: the names that matter, and what its statements bind."""

    source: Source
    matters: set[str]
    _bound: dict[ast.stmt, tuple[list[tuple[ast.expr, ast.expr, ast.stmt]], set[str]]] = field(default_factory=dict)

    def bindings(self, statement: ast.stmt) -> tuple[list[tuple[ast.expr, ast.expr, ast.stmt]], set[str]]:
        """The assignments of a statement, and all names that it binds."""
        if statement not in self._bound:
            simple = isinstance(statement, ast.Assign | ast.AnnAssign)
            self._bound[statement] = assignments(statement) if simple else [], bound_names(statement)
        return self._bound[statement]


class _Way:
    """Reads the module on one way, in order."""

    def __init__(self, module: _Module, folder: Folder) -> None:
        self._module, self._folder = module, folder

    def take(self) -> bool:
        """Fill the folder; false where the script ends before its last statement."""
        folder = self._folder
        goes_on = self._run(self._module.source.tree.body)
        for each in self._module.source.nodes:
            if isinstance(each, ast.Global):
                for name in set(each.names) & set(folder.lines):
                    folder.assign(name, UNKNOWN, folder.lines[name])
        folder.asks = True
        folder.fields = self._config_fields()
        folder.asks = False
        return goes_on

    def _run(self, body: Sequence[ast.stmt]) -> bool:
        for each in body:
            if _ends(each):
                return False
            if isinstance(each, ast.If):
                for name in _walruses(each.test):
                    self._folder.assign(name, UNKNOWN, each.lineno)
            if isinstance(each, ast.If) and (holds := self._decided(each)) is not UNKNOWN:
                if not self._run(each.body if holds else each.orelse):
                    return False
            elif isinstance(each, ast.AugAssign) and isinstance(each.target, ast.Name):
                name = each.target.id
                value = ast.BinOp(ast.Name(name, ast.Load()), each.op, each.value)
                self._folder.assign(name, self._worth(name, value), each.lineno)
            elif not isinstance(each, Function | ast.ClassDef):
                self._bind(each)
        return True

    def _decided(self, node: ast.If) -> Any:
        """Which branch is run; asked for where it decides a constant that is written out."""
        known = self._folder.truth(node.test)
        if known is not UNKNOWN or "__name__" in names_in(node.test):
            return known
        decides = any(
            isinstance(target, ast.Name)
            and target.id in self._module.matters
            and self._folder.value(value) is not UNKNOWN
            for target, value, _ in assignments(node)
        )
        return self._folder.truth(node.test, ask=decides)

    def _bind(self, statement: ast.stmt) -> None:
        """Take what a statement assigns; names that it binds in any other way are not known from there on."""
        known: list[tuple[str, ast.expr, Any]] = []
        pairs, names = self._module.bindings(statement)
        for target, value, _ in pairs:
            if isinstance(target, ast.Name):
                whole = target in getattr(statement, "targets", [target]) or value is not getattr(statement, "value", 0)
                known.append((target.id, value, self._worth(target.id, value) if whole else UNKNOWN))
        for name in names - {name for name, _, _ in known}:
            self._folder.assign(name, UNKNOWN, statement.lineno)
        for name, value, worth in known:
            self._folder.assign(name, worth, statement.lineno, by=value)

    def _worth(self, name: str, value: ast.expr) -> Any:
        self._folder.asks = name in self._module.matters
        try:
            return self._folder.value(value)
        finally:
            self._folder.asks = False

    def _config_fields(self) -> dict[str, Any]:
        """Fields of classes named Config: what a call passes, else the default that the class gives."""
        fields: dict[str, Any] = {}
        named = _configurations(self._module.source)
        for each in named:
            for target, value, _ in (pair for statement in each.body for pair in assignments(statement)):
                if isinstance(target, ast.Name):
                    fields[target.id] = self._folder.value(value)
        for call in self._module.source.calls(*(each.name for each in named)):
            fields |= {each.arg: self._folder.value(each.value) for each in call.keywords if each.arg}
        return fields


def _walruses(test: ast.expr) -> set[str]:
    return {each.target.id for each in own_nodes(test) if isinstance(each, ast.NamedExpr)}


def _ends(statement: ast.stmt) -> bool:
    """Whether a statement ends the script."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    leaves = isinstance(call, ast.Call) and written(call.func) in ("sys.exit", "exit", "quit", "os._exit")
    return leaves or isinstance(statement, ast.Raise)


def _configurations(source: Source) -> list[ast.ClassDef]:
    return [each for each in source.classes if each.name.lower().endswith(("config", "hparams"))]


def _deciding(source: Source) -> set[str]:
    """The module's names that a feature may be read off: those in capitals, and what these and configurations hang on.

    Names of functions are among them where one has the same name, which does no harm.
    """
    pairs = [
        (target.id, {each.id for each in walk(value) if isinstance(each, ast.Name)})
        for statement in source.tree.body if not isinstance(statement, Function | ast.ClassDef)
        for target, value, _ in assignments(statement) if isinstance(target, ast.Name)
    ]  # fmt: skip
    named = _configurations(source)
    passed = [each.value for call in source.calls(*(each.name for each in named)) for each in call.keywords]
    found = {each.id for node in (*named, *passed) for each in walk(node) if isinstance(each, ast.Name)}
    found |= {name for name, _ in pairs if name.isupper()}
    for _ in range(MOST_STEPS):
        more = {name for own, names in pairs if own in found for name in names} - found
        if not more:
            break
        found |= more
    return found
