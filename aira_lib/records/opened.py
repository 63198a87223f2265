"""How the record of a search says where its validation fitness comes from, and where its best submission lies."""

from collections.abc import Mapping
from typing import Any

from aira_lib.records.row import StandIn

OPENED = "task.json"
"""What was told of the task as it was opened; only of tasks whose candidates are programs."""

BASELINE_SEED = "baseline_seed"
"""What is told of a task with a baseline: the seed of its trainings, the first of those that the baseline runs on."""

SUBMISSION = "submission"
"""A folder: the files that the best program submitted."""

SUBMITTED_BY = "by.json"
"""A file in it: the step, and the digest of the program."""


def in_words(told: Mapping[str, Any]) -> str:
    """One line on where the validation fitness comes from; empty where the harness measures it as it always does."""
    match told.get("validation"):
        case "self-reported":
            why = told.get("validation_why") or "no reason is known"
            return f"validation is self-reported by candidates and not measured, since {why}"
        case "held-out":
            return f"validation is measured on {told.get('held_out_rows', 0):,} held-out rows"
        case "measured":
            mind = f"; mind: {told['validation_why']}" if told.get("validation_why") else ""
            rows = told.get("validation_rows", 0)
            return f"validation is measured on {rows:,} rows, apart from what runs submitted code{mind}"
    return ""


def stand_in_facts(stand_in: StandIn | None) -> dict[str, str]:
    """What a task's about.json says of what stands in for its data, for `stand_in_of`; nothing where nothing does."""
    return {"stand-in": stand_in.what, "instead of": stand_in.instead_of} if stand_in else {}


def stand_in_of(told: Mapping[str, Any]) -> StandIn | None:
    """What stands in for a task's data, as its about.json says it; None where it says nothing of a stand-in."""
    data = {name: str(value) for name, value in told.get("data", {}).items()}
    what, instead_of = data.pop("stand-in", ""), data.pop("instead of", "the data that the task is named after")
    detail = "; ".join(f"{name} {value}" for name, value in data.items())
    return StandIn(what=what, instead_of=instead_of, detail=detail) if what else None


def facts_of(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The same as name and value, for a page."""
    said, trusted = in_words(told), told.get("test_why_trusted")
    facts = [("validation", said.removeprefix("validation is "))] if said else []
    facts += [(f"data: {name}", str(value)) for name, value in told.get("data", {}).items()]
    return [*facts, ("test", f"as submitted code says it, since {trusted}")] if trusted else facts
