"""What a search leaves."""

import math
from typing import Any, Literal

from pydantic import SerializerFunctionWrapHandler, model_serializer

from aira_lib.records.evaluation import Evaluation
from aira_lib.records.row import HarmlessText, Row

# Fields that came later stand in a record only where they say something: records without them keep their bytes.
_LATER = frozenset({"within_noise", "measures", "consulted"})


SAID, DESCRIBED = "said_", "described_"
"""How the names of measures begin that the harness did not measure: by whom they were told, see `Node`."""


class Node(Row):
    """One step of a search: a candidate program, what it submitted and how that scored.

    `validation` steers the search; `test` is kept for the record and never shown to the agent. `self_reported` says
    that `validation` is the candidate's own measurement. `island` is set by evolution, `change` (one line) by patches;
    `gain` is the validation less that of the good node it was made from. `analysis` is what the model said of it in
    hindsight, if it was asked; `usage` then counts both calls. `measures` are what the harness measured beside the
    score, also of a program that failed later; besides, as `described_...`, what a task's own script told of the
    program, and, as `said_...`, what the program said of itself: nobody measured those. `within_noise` says that
    `validation` was better than the best before it by no more than the search's noise floor. The operator "baseline"
    marks a step that no agent made: the task's own program, scored on several seeds, with their mean as `validation`.
    `consulted` is the literature that its prompt showed because the step before had asked for it, by key or key/file.
    """

    step: int
    id: str
    parents: tuple[str, ...] = ()
    operator: Literal["draft", "improve", "debug", "crossover", "baseline"]
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
    usage: dict[str, float] = {}
    seconds: float = 0.0
    measures: dict[str, float] = {}
    within_noise: bool = False
    consulted: tuple[str, ...] = ()

    @model_serializer(mode="wrap")
    def _what_says_something(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = plain(self)
        return {name: value for name, value in fields.items() if value or name not in _LATER}

    @property
    def measured(self) -> dict[str, float]:
        """What the harness measured."""
        return {name: value for name, value in self.measures.items() if not name.startswith((SAID, DESCRIBED))}

    @property
    def said(self) -> dict[str, float]:
        """What was said where the program runs, and measured by nobody."""
        return {name: value for name, value in self.measures.items() if name.startswith((SAID, DESCRIBED))}

    @property
    def good(self) -> bool:
        """Whether it may be improved: it did not fail and its validation fitness is a finite number."""
        return self.status == "ok" and self.validation is not None and math.isfinite(self.validation)

    @property
    def ranks(self) -> bool:
        """Whether it competes for the best: a good node, beyond noise, and not of a training that was stopped early."""
        return self.good and not self.within_noise and (self.evaluation is None or self.evaluation.stopped_at is None)
