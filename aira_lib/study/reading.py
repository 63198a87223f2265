"""Read a study from YAML, with one line for the first thing that is wrong: the place, and the nearest valid name."""

import re
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from aira_lib.errors import SpecError, closest, nearest, read_named
from aira_lib.section import LARGEST
from aira_lib.study import Study
from aira_lib.study.optimizer import BY_SCALE, ONE_VALUE

T = TypeVar("T", bound=BaseModel)

LONGEST_STUDY = 1_000_000
"""Characters of a file; the longest of our own has some thousand."""


def parse_study(data: Any, source: str) -> Study:
    """Build a study from plain data; `source` (a file name) opens every error line.

    Raises:
        SpecError: one line for the first thing that is wrong, with the key and the nearest valid name.
    """
    return parse_section(data, Study, "study", source)


def parse_section(data: Any, of: type[T], what: str, source: str) -> T:
    """Build a section from plain data.

    Args:
        data: of it.
        of: which section.
        what: it is called in an error's line.
        source: where the data are from, which opens that line.

    Raises:
        SpecError: one line for the first thing that is wrong, with the key and the nearest valid name.
    """
    if not isinstance(data, Mapping):
        raise SpecError(f"{source}: a {what} is a mapping of keys to values, not {type(data).__name__}")
    try:
        return of.model_validate(data)
    except ValidationError as error:
        raise SpecError(f"{source}: {_first_problem(error, of, what)}") from None


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
    return parse_study(plain_data(text, str(path)), str(path))


def load_section(path: Path, of: type[T], what: str, page: str) -> T:
    """Read a section that is a file of its own (YAML or JSON).

    Args:
        path: the file.
        of: which section.
        what: it is called in an error's line.
        page: that tells of such files.

    Raises:
        UserError: it cannot be read.
        SpecError: one line for the first thing that is wrong.
    """
    return parse_section(plain_data(read_named(path, f"a {what} ({page})"), str(path)), of, what, str(path))


def plain_data(text: str, path: str) -> Any:
    """What YAML says, as a study means it (see `_StudyLoader`); `path` opens the line of an error.

    Raises:
        SpecError: it is not YAML; with the line and the column, where there is one to blame.
    """
    if len(text) > LONGEST_STUDY:
        raise SpecError(f"{path}: {len(text):,} characters are no study; the longest has {LONGEST_STUDY:,}")
    try:
        return yaml.load(text, Loader=_StudyLoader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SpecError(f"{path}:{line}: not valid YAML (U+{ord(text[error.position]):04X} is not allowed)") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else path
        reason = " ".join(str(getattr(error, "problem", None) or error).split())
        raise SpecError(f"{place}: not valid YAML ({reason})") from None
    except RecursionError:
        raise SpecError(f"{path}: lists and mappings in one another, deeper than any study has them") from None


_MERGE = "tag:yaml.org,2002:merge"


class _StudyLoader(yaml.SafeLoader):
    """YAML 1.1 reads 2e19 as text and keeps the last of two equal keys; a study means a number, and one key.

    A hundred characters of aliases of aliases are a thousand million entries, so there are none.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event: Any = self.get_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(
                None, None, f"aliases (*{event.anchor}) are not read; write out what is meant", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key is a word, not a list or a mapping", key_node.start_mark
                )
            if key_node.tag == _MERGE:
                raise yaml.constructor.ConstructorError(
                    None, None, "merge keys (<<) are not read; write the keys out", key_node.start_mark
                )
            key = str(self.construct_object(key_node, deep=True))
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, AttributeError, LookupError, OverflowError):
            # The constructors of numbers and dates take what looks like one, such as 2026-13-40, for one.
            said = f"{node.value!r:.40}" if isinstance(node, yaml.ScalarNode) else "this"
            raise yaml.constructor.ConstructorError(
                None, None, f"{said} is no {node.tag.rpartition(':')[2]}; put a text in quotes", node.start_mark
            ) from None


def _number(loader: yaml.SafeLoader, node: Any) -> float:
    return float(node.value.replace("_", ""))


def _text(loader: yaml.SafeLoader, node: Any) -> Any:
    """A text; two halves of a character, as JSON spells one beyond U+FFFF, are that character."""
    text = loader.construct_scalar(node)
    return _HALVES.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)


def _whole_number(loader: yaml.SafeLoader, node: Any) -> Any:
    number = loader.construct_yaml_int(node)
    if abs(number) > LARGEST:
        raise ValueError
    return number


_HALVES = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_StudyLoader.add_constructor("tag:yaml.org,2002:str", _text)
_StudyLoader.add_constructor("tag:yaml.org,2002:int", _whole_number)
_StudyLoader.add_constructor("tag:aira,exponent", _number)
_StudyLoader.add_implicit_resolver(
    "tag:aira,exponent", re.compile(r"^[-+]?\d[\d_]*(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def _first_problem(error: ValidationError, of: type[BaseModel], what: str) -> str:
    problems = error.errors(include_url=False)
    # A key that is missing was perhaps only misspelt: what is not known says more than what is not there.
    unknown = (each for each in problems if each["type"] == "extra_forbidden")
    return _in_words(next(unknown, problems[0]) if problems[0]["type"] == "missing" else problems[0], of, what)


def _in_words(problem: Any, of: type[BaseModel], what: str) -> str:
    place = ".".join(_part(part) for part in problem["loc"] if part not in (ONE_VALUE, BY_SCALE)) or f"the {what}"
    match problem["type"]:
        case "extra_forbidden":
            return f"unknown key {place!r}{nearest(str(problem['loc'][-1]), _keys_at(of, problem['loc'][:-1]))}"
        case "missing":
            return f"key {place!r} is missing"
        case "value_error":
            return f"{place}: {_one_line(str(problem['ctx']['error']))}"
        case "too_short":
            least = problem["ctx"]["min_length"]
            return f"{place}: at least {least} {'entry is' if least == 1 else 'entries are'} needed"
        case "literal_error":
            close = closest(str(problem["input"]), re.findall(r"'([^']*)'", problem["ctx"]["expected"]))
            return _plainly(place, problem) + (f"; did you mean {close!r}?" if close else "")
        case _:
            return _plainly(place, problem)


def _plainly(place: str, problem: Any) -> str:
    return f"{place}: {problem['msg'][0].lower()}{_one_line(problem['msg'][1:])}, got {_shown(problem['input'])}"


def _part(part: str | int) -> str:
    """A part of a key's place: as it is, unless it would break the line or fill it."""
    text = str(part)
    return text if text.isprintable() and len(text) <= _EDGE.maxstring else _EDGE.repr(text)


def _shown(value: Any) -> str:
    """A value as Python writes it, of a long one the edges alone.

    YAML can name one list ten times in a list, that one ten times in another, and so on: whole, it would never end.
    """
    return _one_line(_EDGE.repr(value))


def _one_line(text: str) -> str:
    return " ".join(text.split())


_EDGE = reprlib.Repr()
_EDGE.maxlevel, _EDGE.maxstring, _EDGE.maxother = 2, 100, 100


def _keys_at(whole: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The valid keys of the section at a place such as ('agents', 0, 'limits')."""
    model: Any = whole
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
