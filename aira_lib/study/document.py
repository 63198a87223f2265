"""Write docs/settings.md, every key of a study, from the sections: `python -m aira_lib.study.document`.

What a key means stands below its field or, for keys that say little by themselves, in `aira_lib.study.meanings`; what
a section means stands in its class. So the page cannot tell of a key, a default or a bound that the code does not have.
"""

import ast
import inspect
import json
import re
import textwrap
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from aira_lib.architecture.scales import SCALE_NAMES, Scale, scale_named
from aira_lib.study.meanings import MEANINGS
from aira_lib.study.study import Study

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
WIDTH = 120
_WORDS: dict[Any, str] = {int: "whole number", float: "number", str: "text", bool: "true or false", type(None): "null"}
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below", "min_length": "not shorter than",
           "max_length": "not longer than"}  # fmt: skip
_HEAD = """\
# Settings of a study

Every key, its type, its default and what it means. A key that a study leaves out has its default; a key that is not
here is refused. `None` in the texts of sections is `null` in a file. How studies are read: [studies](studies.md).
"""
_FOOT = "This page is made from the sections of a study by `python -m aira_lib.study.document`.\n"


def page() -> str:
    """The whole page."""
    sections = (_section(path, model) for path, model in sections_of("", Study))
    return "\n".join([_HEAD, *sections, _built_in_scales(), _FOOT])


def sections_of(path: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """A section and all those in it, each with its place in a study, such as ``agents[].limits``."""
    yield path, model
    for name, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        if inner:
            yield from sections_of(f"{path}.{name}".lstrip(".") + _step(field.annotation), inner)


def meaning(model: type[BaseModel], name: str) -> str:
    """What a key means in a line or more; empty where nothing is written but its section's own text."""
    return _texts_below(model).get(name) or MEANINGS.get(f"{model.__name__}.{name}", "")


def _section(path: str, model: type[BaseModel]) -> str:
    about = inspect.cleandoc(model.__doc__ or "")
    keys = (_key(model, name, field) for name, field in model.model_fields.items())
    return "\n".join([f"## {path or 'The study'}", "", about, "", *keys, ""])


def _key(model: type[BaseModel], name: str, field: FieldInfo) -> str:
    default = "required" if field.is_required() else f"default {_default(field.get_default(call_default_factory=True))}"
    patterns = [f"like `{each.pattern}`" for each in field.metadata if getattr(each, "pattern", None)]
    facts = ", ".join([_type(field.annotation), *_bounds(field.metadata), *patterns])
    words = " ".join(meaning(model, name).split())
    return textwrap.fill(f"- `{name}`: {facts}; {default}. {words}".rstrip(), WIDTH, subsequent_indent="  ",
                         break_long_words=False, break_on_hyphens=False)  # fmt: skip


def _bounds(metadata: Iterable[Any]) -> list[str]:
    parts = [part for each in metadata for part in getattr(each, "metadata", [each])]  # a `Field` holds several
    return [f"{words} {getattr(each, key):,.10g}" for each in parts for key, words in _BOUNDS.items()
            if getattr(each, key, None) is not None]  # fmt: skip


def _type(annotation: Any, each: str = "each ") -> str:
    """What a value is, in words; bounds of the values of a list say that they are of `each`."""
    inner = get_args(annotation)
    match get_origin(annotation):
        case origin if origin is Annotated:
            return ", ".join([_type(inner[0], each), *(f"{each}{bound}" for bound in _bounds(inner[1:]))])
        case None:
            return _WORDS.get(annotation, "section")
        case origin if origin is Literal:
            return " or ".join(f"`{value}`" for value in inner)
        case origin if origin in (Union, types.UnionType):
            return " or ".join(_type(one, "") for one in inner)
        case origin if origin is tuple:
            several = inner[-1] is Ellipsis
            each = "sections" if _model_in(inner[0]) else _type(inner[0])
            return f"list of {each}" if several else f"list of {len(inner)}: {each}"
        case origin if origin is dict:
            what = (
                "sections" if _model_in(inner[1]) else _type(inner[1]) if each else "one"
            )  # of a union, like the others
            return f"{what} by {'name' if inner[0] is str else _type(inner[0])}"
    return _type(inner[0])


def _default(value: Any) -> str:
    if isinstance(value, BaseModel):
        return "as below"
    shown = value if not isinstance(value, tuple) else list(value)
    return f"`{json.dumps(shown, ensure_ascii=False)}`"


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for model in map(_model_in, get_args(annotation)) if model), None)


def _step(annotation: Any) -> str:
    origin = get_origin(annotation)
    return "[]" if origin is tuple else ".NAME" if origin is dict else ""


def _texts_below(model: type[BaseModel]) -> dict[str, str]:
    """The texts that stand below fields, by field."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            match text:
                case ast.Expr(ast.Constant(str(words))):
                    found[field.target.id] = words
    return found


def _built_in_scales() -> str:
    columns = ("d_model", "n_heads", "n_kv_heads", "d_ff", "d_ssm", "d_state", "seq_len", "vocab_size", "n_layers")
    head = [
        "## Scales that are there already",
        "",
        "With MLP widths of a search among two kinds of layer / of three.",
        "",
    ]
    rows = [f"| scale | {' | '.join(columns)} |", "| --- |" + " --- |" * len(columns)]
    for name in SCALE_NAMES:
        two, three = scale_named(name, 2), scale_named(name, 3)
        rows.append(f"| {name} | " + " | ".join(_both(two, three, column) for column in columns) + " |")
    return "\n".join([*head, *rows, ""])


def _both(one: Scale, other: Scale, column: str) -> str:
    values = dict.fromkeys(str(getattr(scale, column) or "") for scale in (one, other))
    return re.sub(r"^$", "by size", " / ".join(values))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
