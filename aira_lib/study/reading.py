"""Read a study from YAML, with one line for the first thing that is wrong: the place, and the nearest valid name."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from aira_lib.errors import SpecError, nearest
from aira_lib.study import Study


def parse_study(data: Any, source: str) -> Study:
    """Build a study from plain data; `source` (a file name) opens every error line.

    Raises:
        SpecError: one line for the first thing that is wrong, with the key and the nearest valid name.
    """
    if not isinstance(data, Mapping):
        raise SpecError(f"{source}: a study is a mapping of keys to values, not {type(data).__name__}")
    try:
        return Study.model_validate(data)
    except ValidationError as error:
        raise SpecError(f"{source}: {_first_problem(error)}") from None


def load_study(path: str | Path) -> Study:
    """Read a study from a YAML (or JSON) file.

    Raises:
        SpecError: the file cannot be read, is not YAML, or is not a study.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise SpecError(
            f"{path}: cannot be read ({reason}); name a study such as pipelines/compose/laptop.yaml"
        ) from None
    try:
        data = yaml.load(text, Loader=_StudyLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise SpecError(f"{place}: not valid YAML ({getattr(error, 'problem', None) or error})") from None
    return parse_study(data, str(path))


class _StudyLoader(yaml.SafeLoader):
    """YAML 1.1 reads 2e19 as text and keeps the last of two equal keys; a study means a number, and one key."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _number(loader: yaml.SafeLoader, node: Any) -> float:
    return float(node.value.replace("_", ""))


_StudyLoader.add_constructor("tag:aira,exponent", _number)
_StudyLoader.add_implicit_resolver(
    "tag:aira,exponent", re.compile(r"^[-+]?\d[\d_]*(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in problem["loc"]) or "the study"
    match problem["type"]:
        case "extra_forbidden":
            return f"unknown key {place!r}{nearest(str(problem['loc'][-1]), _keys_at(problem['loc'][:-1]))}"
        case "missing":
            return f"key {place!r} is missing"
        case "value_error":
            return f"{place}: {problem['ctx']['error']}"
        case _:
            return f"{place}: {problem['msg'][0].lower()}{problem['msg'][1:]}, got {problem['input']!r}"


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    """The valid keys of the section at a place such as ('agents', 0, 'limits')."""
    model: Any = Study
    for part in location:
        if (
            isinstance(part, str)
            and isinstance(model, type)
            and issubclass(model, BaseModel)
            and part in model.model_fields
        ):
            model = _section_of(model.model_fields[part].annotation)
    return list(model.model_fields) if model else []


def _section_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_section_of(argument) for argument in getattr(annotation, "__args__", ()))
    return next((model for model in inner if model), None)
