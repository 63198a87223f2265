"""Which downstream tasks a checkpoint is scored on."""

from typing import Annotated, Literal

from pydantic import Field

from aira_lib.section import Distinct, Section, Some


class DownstreamSection(Section):
    """Downstream tasks of final checkpoints, by the definitions of lm-evaluation-harness.

    `tasks` names sets (`six`: the paper's six zero-shot tasks; `core-14`: the fourteen of its Table 7, each with its
    own number of shots and its own metric) and single tasks of these. `data` is the folder that `make eval-data`
    fills; empty: where that puts it. `limit` scores the first items of a fixed permutation of each task's split, the
    same for all checkpoints; None: all. `seed` draws that permutation and the examples that prompts show. Of the points
    those of these `protocols` are scored; the paper scores its isoToken runs.
    """

    tasks: Annotated[tuple[str, ...], Some, Distinct] = ("six",)
    data: str = ""
    limit: int | None = Field(None, ge=1)
    seed: int = Field(0, ge=0)
    batch_tokens: int = Field(16_384, ge=1)
    protocols: Annotated[tuple[Literal["isotoken", "isoflop"], ...], Some, Distinct] = ("isotoken",)
