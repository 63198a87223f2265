"""What a search leaves."""

import math
from typing import Any, Literal

from pydantic import SerializerFunctionWrapHandler, model_serializer

from aira_lib.records.evaluation import Evaluation
from aira_lib.records.row import HarmlessText, Row


class Node(Row):
    """One step of a search: a candidate program, what it submitted and how that scored.

    `validation` steers the search; `test` is kept for the record and never shown to the agent. `self_reported` says
    that `validation` is the candidate's own measurement. `island` is set by evolution, `change` (one line) by patches;
    `gain` is the validation less that of the good node it was made from. `analysis` is what the model said of it in
    hindsight, if it was asked; `usage` then counts both calls. `measures` is what was measured of the candidate beside
    its score, by name; journals of tasks that measure nothing else do not have it.
    """

    step: int
    id: str
    parents: tuple[str, ...] = ()
    operator: Literal["draft", "improve", "debug", "crossover"]
    debug_depth: int = 0
    island: int | None = None
    plan: HarmlessText = ""
    code: str = ""
    design: HarmlessText | None = None
    status: Literal["ok", "failed"]
    reason: HarmlessText = ""
    output: HarmlessText = ""
    change: HarmlessText = ""
    validation: float | None = None
    gain: float | None = None
    test: float | None = None
    evaluation: Evaluation | None = None
    self_reported: bool = False
    analysis: HarmlessText = ""
    measures: dict[str, float] = {}
    usage: dict[str, float] = {}
    seconds: float = 0.0

    @model_serializer(mode="wrap")
    def _without_empty_measures(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        told: dict[str, Any] = whole(self)
        if not self.measures:
            told.pop("measures", None)
        return told

    @property
    def good(self) -> bool:
        """Whether it may be improved: it did not fail and its validation fitness is a finite number."""
        return self.status == "ok" and self.validation is not None and math.isfinite(self.validation)

    @property
    def ranks(self) -> bool:
        """Whether it competes for the best: a good node, and not of a training that was stopped early."""
        return self.good and (self.evaluation is None or self.evaluation.stopped_at is None)
