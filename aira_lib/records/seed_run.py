"""A program that was scored once more, with another seed of its training: how far scores are noise."""

from typing import Literal

from aira_lib.records.row import HarmlessText, Row

SEED_RUNS = "seeds.jsonl"
"""Beside a journal: all such runs of a search, in the order in which they ended."""


class SeedRun(Row):
    """One program on one seed. `node` is the step's id; of the baseline's runs, the id that its step gets.

    A winner's run that failed has no `validation`, and its `reason`.
    """

    of: Literal["baseline", "winner"]
    node: str
    seed: int
    validation: float | None = None
    test: float | None = None
    measures: dict[str, float] = {}
    reason: HarmlessText = ""
    seconds: float = 0.0
