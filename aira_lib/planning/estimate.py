"""What a study will take, before anything is started: what each stage says of itself."""

from dataclasses import dataclass

from aira_lib.flow.stage import STAGES, Estimate, stages_of
from aira_lib.study import Study
from aira_lib.tasks.section import family_of

# An H100 at about 40 % of its dense bf16 peak of 989 TFLOP/s.
GPU_FLOPS_PER_SECOND = 4e14


@dataclass(frozen=True, kw_only=True)
class StageEstimate(Estimate):
    """One row of the plan."""

    stage: str


def estimate(study: Study) -> list[StageEstimate]:
    """Estimate every stage that a study asks for.

    Raises:
        UserError: there is no such task.
    """
    return [StageEstimate(stage=stage.name, **vars(stage.estimate(study))) for stage in stages_of(study)]


def estimate_searches(study: Study) -> Estimate | None:
    """Estimate the searches alone; None where nobody knows what the scoring of a candidate takes.

    Raises:
        UserError: there is no such task.
    """
    if family_of(study.task).cost(study.task, study.proxy) is None:
        return None
    return STAGES.named("search").estimate(study)
