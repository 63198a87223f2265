"""Features with a number or a text: sizes, learning rates, windows, key-value heads."""

import ast
from collections.abc import Callable

from aira_lib.autoresearch.features.finding import UNRESOLVED, Found, Script, line
from aira_lib.autoresearch.features.folding import UNKNOWN
from aira_lib.autoresearch.features.source import assignments, keyword, last_name


def constant(name: str) -> Callable[[Script], Found]:
    """The feature that is a module's constant of this name."""

    def of(script: Script) -> Found:
        at = (script.folder.lines[name],) if name in script.folder.lines else ()
        value = script.folder.constants.get(name, UNKNOWN)
        return Found(value, at) if isinstance(value, int | float | str) else Found(UNRESOLVED, at)

    return of


def n_kv_head(script: Script) -> Found:
    """`=n_head`, a number, or the expression that is passed to the model's configuration."""
    for call in script.source.calls(*(each.name for each in script.source.classes if "config" in each.name.lower())):
        heads, passed = keyword(call, "n_head", "num_heads"), keyword(call, "n_kv_head", "num_kv_heads")
        if passed is not None:
            ours, theirs = script.folder.value(passed), script.folder.value(heads)
            expanded = _expanded(script, passed)
            same = heads is not None and expanded == _expanded(script, heads)
            if same or (ours is not UNKNOWN and ours == theirs):
                return Found("=n_head", (line(passed),))
            return Found(ours if isinstance(ours, int) else expanded, (line(passed),))
    return Found(UNRESOLVED)


def _expanded(script: Script, node: ast.expr) -> str:
    """An expression with the function's own names put in, as far as each is assigned once."""
    text = ast.unparse(node)
    function = script.source.function_of(node)
    own = assignments(function) if function is not None else []
    for _ in range(4):
        values = [value for target, value, _ in own if isinstance(target, ast.Name) and target.id == text]
        if len(values) != 1:
            break
        text = ast.unparse(values[0])
    return text


def window_pattern(script: Script) -> Found:
    """The pattern, and where it has short windows how long these are."""
    pattern = constant("WINDOW_PATTERN")(script)
    if not pattern.resolved or "S" not in str(pattern.value).upper():
        return pattern
    short = [
        (value, at) for target, value, at in assignments(script.source.tree)
        if last_name(target).lower() in ("short_window", "short_win", "window_short")
    ]  # fmt: skip
    if not short:
        short = [(value, value) for value in _short_entries(script)]  # type: ignore[misc]
    if not short:
        return Found(UNRESOLVED, pattern.lines)
    known = sorted({_text(script, value) for value, _ in short})
    return Found(f"{pattern.value}, S = {' or '.join(known)}", (*pattern.lines, *(at.lineno for _, at in short)))


def _short_entries(script: Script) -> list[ast.expr]:
    """What a table from letters to windows has for S."""
    return [
        value for each in script.source.nodes if isinstance(each, ast.Dict)
        for key, value in zip(each.keys, each.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == "S"
    ]  # fmt: skip


def _text(script: Script, node: ast.expr) -> str:
    value = script.folder.value(node)
    return ast.unparse(node) if value is UNKNOWN else str(value)
