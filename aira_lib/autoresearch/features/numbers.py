"""Features with a number or a text: sizes, learning rates, windows, key-value heads."""

import ast
import re
from collections.abc import Callable

from aira_lib.autoresearch.features.alternatives import UNRESOLVED, Value
from aira_lib.autoresearch.features.arithmetic import UNKNOWN
from aira_lib.autoresearch.features.finding import Found, Script, line
from aira_lib.autoresearch.features.layers import attention_classes
from aira_lib.autoresearch.features.source import assignments, keyword, last_name, self_attribute
from aira_lib.autoresearch.features.visiting import walk, written


def constant(name: str) -> Callable[[Script], Found]:
    """The feature that is a module's constant of this name."""

    def of(script: Script) -> Found:
        at, value = script.folder.look("line", name), script.folder.look("constant", name)
        lines = () if at is UNKNOWN else (at,)
        return Found(value if isinstance(value, int | float | str) else UNRESOLVED, lines)

    return of


def n_kv_head(script: Script) -> Found:
    """`=n_head`, a number, or the expression that is passed to the model's configuration.

    Of a script without such a field: what the projections of queries and of keys of its attention give.
    """
    named = [each for each in script.source.classes if "config" in each.name.lower()]
    for call in script.source.calls(*(each.name for each in named)):
        heads, passed = keyword(call, "n_head", "num_heads"), keyword(call, *_KV_HEADS)
        if passed is not None:
            ours, theirs = script.folder.value(passed), script.folder.value(heads)
            expanded = _expanded(script, passed)
            same = heads is not None and expanded == _expanded(script, heads)
            if same or (ours is not UNKNOWN and ours == theirs):
                return Found("=n_head", (line(passed),))
            return Found(ours if isinstance(ours, int) else expanded, (line(passed),))
    fields = {last_name(target) for each in named for target, _, _ in assignments(each)}
    return Found(UNRESOLVED) if fields & set(_KV_HEADS) else _projected(script)


_KV_HEADS = ("n_kv_head", "num_kv_heads")
_QUERY, _KEY = re.compile(r"^(c_|w_?|to_)?(q|query)(_?proj)?$"), re.compile(r"^(c_|w_?|to_)?(k|key)(_?proj)?$")


def _projected(script: Script) -> Found:
    """Heads of keys by the widths of projections: as wide as queries, or a number times the width of a head."""
    found: dict[Value, list[int]] = {}
    for each in attention_classes(script):
        made = [(self_attribute(target), value) for target, value, _ in assignments(each) if self_attribute(target)]
        queries, keys = ([_width(value) for name, value in made if of.match(name)] for of in (_QUERY, _KEY))
        if len(queries) == len(keys) == 1 and queries[0] is not None and keys[0] is not None:
            same = _expanded(script, queries[0]) == _expanded(script, keys[0])
            found.setdefault("=n_head" if same else _heads(script, keys[0]), []).append(line(keys[0]))
    lines = tuple(sorted(number for numbers in found.values() for number in numbers))
    return Found(next(iter(found)) if len(found) == 1 else UNRESOLVED, lines)


def _width(made: ast.expr) -> ast.expr | None:
    """How wide the result of the linear layer is that an expression makes, once or several times alike."""
    calls = [each for each in walk(made) if isinstance(each, ast.Call) and last_name(each.func) == "Linear"]
    if len(calls) != 1:
        return None
    return keyword(calls[0], "out_features") or (calls[0].args[1] if len(calls[0].args) > 1 else None)


def _heads(script: Script, width: ast.expr) -> Value:
    """`2` of `2 * HEAD_DIM`, else the width in text."""
    if isinstance(width, ast.BinOp) and isinstance(width.op, ast.Mult):
        for number, size in ((width.left, width.right), (width.right, width.left)):
            if "head_dim" in last_name(size).lower():
                value = script.folder.value(number)
                return value if isinstance(value, int) else _expanded(script, number)
    return f"{_expanded(script, width)} / head_dim"


def _expanded(script: Script, node: ast.expr) -> str:
    """An expression with the function's own names put in, as far as each is assigned once."""
    text = written(node)
    function = script.source.function_of(node)
    own = assignments(function) if function is not None else []
    for _ in range(4):
        values = [value for target, value, _ in own if isinstance(target, ast.Name) and target.id == text]
        if len(values) != 1:
            break
        text = written(values[0])
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
    return written(node) if value is UNKNOWN else str(value)
