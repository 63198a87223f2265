"""A search that fails wherever its seed is 1: what AIRA_PLUGINS names to see a run go on without it."""

from dataclasses import replace
from typing import Any

from aira_lib.errors import UserError
from aira_lib.flow.stage import STAGES, Unit
from aira_lib.study import Study

_ROW = STAGES.named("search")


def make(study: Study, unit: Unit, inputs: list[Any], work: Any) -> None:
    """Search, or fail."""
    if unit.seed == 1:
        raise UserError("this seed brings no luck; choose another")
    _ROW.make(study, unit, inputs, work)


STAGES._entries["search"] = replace(_ROW, make=make)
