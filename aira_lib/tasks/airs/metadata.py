"""metadata.yaml of an AIRS-Bench task: one typed schema for all the ways in which the public folders are written.

Every key that a public folder has is known here; any other is refused with the nearest name. `shape` comes as text
("(4906,)", "300,1") and as YAML lists; requirements come as lists and, once, as one text ("-sktime").
"""

import ast
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    model_validator,
)

from aira_lib.errors import UserError, nearest
from aira_lib.foreign import harmless, in_a_line

METADATA = "metadata.yaml"
SUBMISSION_CSV = "submission.csv"


class TaskFolderError(UserError):
    """A task folder that cannot be used: the line names the file and what to mend."""


def read_shape(value: Any) -> tuple[int, ...]:
    """The shape of a submission from any of its spellings: "(4906,)", "300,1", 300, [1531].

    Raises:
        ValueError: the value is no list of positive integers.
    """
    read = value
    if isinstance(value, str):
        try:
            read = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            read = None
    sizes = read if isinstance(read, list | tuple) else (read,)
    if not sizes or not all(isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in sizes):
        raise ValueError(f"{value!r} is not a shape; write one or two positive integers, such as (4906,) or [300, 1]")
    return tuple(sizes)


def _names(value: Any) -> Any:
    """A list of names from a list or from one text; a "- " that YAML read as part of the text is dropped."""
    if isinstance(value, str):
        return [name for line in value.splitlines() if (name := line.strip().removeprefix("-").strip())]
    return value


Name = Annotated[str, Field(min_length=1, max_length=1_000, strict=True)]
Text = Annotated[Name, AfterValidator(harmless)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_names)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Sota(_Part):
    """A published best result, in the units of the task's metric. `sota_name`, ours, is what tables call it."""

    sota_paper_url: Text
    sota_score: Finite
    sota_name: Annotated[Text, Field(max_length=40)] | None = None
    sota_paper_title: str | None = None
    sota_year: int | None = None
    sota_venue: str | None = None
    sota_notes: str | None = None


class LoggingInfo(_Part):
    """What a task is about: data, columns, metric. `shape` is that of submission.csv, rows first."""

    name: Text
    dataset: Text
    category: Text
    research_problem: Text
    output_type: Text
    config: Text
    train_split: Text
    test_split: Text
    input_columns: Annotated[Names, Field(min_length=1)]
    scoring_column: Annotated[Names, Field(min_length=1)]
    custom_gold_labels: StrictBool
    custom_rad_class: StrictBool
    metric: Text
    sota: Annotated[tuple[Sota, ...], Field(min_length=1)]
    dataset_paper_url: Text
    shape: Annotated[tuple[int, ...], BeforeValidator(read_shape)] | None = None
    estimated_worst_score: Finite | None = None
    optimal_score: Finite | None = None
    additional_metrics: Names | None = None


class Metadata(_Part):
    """A task's metadata.yaml."""

    metric_lower_is_better: StrictBool
    file_export_globs: Annotated[Names, Field(min_length=1)]
    container_python_requirements: Names
    evaluate_container_python_requirements: Names
    logging_info: LoggingInfo
    prepare_code_python_requirements: Names = ()

    @model_validator(mode="after")
    def _a_table_has_a_shape(self) -> "Metadata":
        if SUBMISSION_CSV in self.file_export_globs and self.logging_info.shape is None:
            raise ValueError(f"logging_info.shape is missing; a task that exports {SUBMISSION_CSV} must state it")
        return self


def load_metadata(path: Path) -> Metadata:
    """Read a metadata.yaml.

    Raises:
        TaskFolderError: one line for the first thing that is wrong, with the key and the nearest valid name.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise TaskFolderError(f"{path}: cannot be read ({reason}); every task folder has one") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        raise TaskFolderError(
            f"{place}: not valid YAML ({in_a_line(str(getattr(error, 'problem', None) or error))})"
        ) from None
    if not isinstance(data, dict):
        raise TaskFolderError(f"{path}: must be a mapping of keys to values, not {type(data).__name__}")
    try:
        return Metadata.model_validate(data)
    except ValidationError as error:
        raise TaskFolderError(f"{path}: {in_a_line(_first_problem(error))}") from None


_MOST_SHOWN = 100  # characters of a key or value that is wrong
_KEYS_OF: dict[str, type[BaseModel]] = {"logging_info": LoggingInfo, "sota": Sota}


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    steps = [str(step) for step in problem["loc"] if not str(step).startswith("function-")]
    place = in_a_line(".".join(steps), _MOST_SHOWN) or "the file"
    match problem["type"]:
        case "extra_forbidden":
            section = next((step for step in reversed(steps[:-1]) if step in _KEYS_OF), "")
            return f"unknown key {place!r}{nearest(steps[-1], _KEYS_OF.get(section, Metadata).model_fields)}"
        case "missing":
            return f"key {place!r} is missing"
        case "value_error" if not problem["loc"]:
            return str(problem["ctx"]["error"])
        case "value_error":
            return f"{place}: {problem['ctx']['error']}"
        case _:
            given = in_a_line(repr(problem["input"]), _MOST_SHOWN)
            return f"{place}: {problem['msg'][0].lower()}{problem['msg'][1:]}, got {given}"
