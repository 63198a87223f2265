"""What a study will take, before anything is started: candidates, training runs, FLOPs and time.

FLOPs follow the paper's convention. Times are assumptions for one worker, a core of a laptop: nothing is measured.
"""

from dataclasses import dataclass

from aira_lib.architecture.cost import flops_per_token
from aira_lib.architecture.reference import baseline_layers
from aira_lib.architecture.scales import Scale
from aira_lib.extrapolate.depth import layers_for_scale
from aira_lib.flow.units import need_designs, scales
from aira_lib.records import StageName
from aira_lib.study import AgentSection, Study
from aira_lib.tasks.section import family_of

# One core of a laptop on models of 10 to 100 thousand parameters, where the overhead of single operations rules.
CPU_FLOPS_PER_SECOND = 1e10
# An H100 at about 40 % of its dense bf16 peak of 989 TFLOP/s.
GPU_FLOPS_PER_SECOND = 4e14
# Starting a process and importing torch.
OVERHEAD_SECONDS = {"search": 4.0, "pretrain": 3.0, "evaluate": 3.0}


@dataclass(frozen=True)
class StageEstimate:
    """One row of the plan. `flops` and `seconds` are sums over units; seconds are those of one core.

    `size` is the stage's work in the measure of its progress: candidates of a search, else units.
    """

    stage: StageName
    units: int
    size: int
    what: str
    flops: float
    seconds: float


def estimate(study: Study) -> list[StageEstimate]:
    """Estimate every stage of a study.

    Raises:
        UserError: the study's task has no designs, so there is nothing after its searches.
    """
    need_designs(study)
    points, training, scoring = _pretraining(study)
    searches = estimate_searches(study)
    assert searches is not None, "a family with designs says what scoring one takes"
    rows: list[tuple[StageName, int, int, str, float, float]] = [
        ("archive", 1, 1, "one table of distinct designs", 0.0, 0.0),
        ("aggregate", 1, 1, f"{len(study.aggregate)} base patterns", 0.0, 0.0),
        ("extrapolate", 1, 1, f"{_designs(study)} designs at each scale", 0.0, 0.0),
        ("pretrain", points, points, "training runs at most", training, training / CPU_FLOPS_PER_SECOND),
        ("evaluate", points, points, "checkpoints", scoring, scoring / CPU_FLOPS_PER_SECOND),
        ("report", 1, 1, "one page", 0.0, 3.0),
    ]
    return [
        searches,
        *(
            StageEstimate(stage, units, size, what, flops, seconds + units * OVERHEAD_SECONDS.get(stage, 2.0))
            for stage, units, size, what, flops, seconds in rows
        ),
    ]


def estimate_searches(study: Study) -> StageEstimate | None:
    """Estimate the searches alone; None where nobody knows what the scoring of a candidate takes.

    Raises:
        UserError: there is no such task.
    """
    cost = family_of(study.task).cost(study.task, study.proxy)
    if cost is None:
        return None
    units = sum(len(agent.seeds) for agent in study.agents)
    candidates = sum(len(agent.seeds) * _steps(agent) for agent in study.agents)
    seconds = candidates * cost.seconds + units * OVERHEAD_SECONDS["search"]
    what = f"{candidates} candidates at most"
    return StageEstimate("search", units, candidates, what, candidates * cost.flops, seconds)


def _steps(agent: AgentSection) -> int:
    return 1 if agent.scaffold == "one-shot" else agent.steps


def _designs(study: Study) -> int:
    return len(study.aggregate) * len(study.extrapolate.methods) + len(study.extrapolate.baselines)


def _pretraining(study: Study) -> tuple[int, float, float]:
    """Training runs if no two designs coincide, the FLOPs of training them, and of scoring them."""
    section, samples = study.pretrain, study.evaluate.samples
    designs = len(study.aggregate) * len(section.methods) + len(study.extrapolate.baselines)
    points, training, scoring = 0, 0.0, 0.0
    if section.isotoken:
        scale = scales(study, [section.isotoken.scale])[0]
        points = designs * len(section.isotoken.seeds)
        training = points * section.isotoken.tokens * _typical_flops(scale)
        scoring = points * samples * scale.seq_len * _typical_flops(scale) / 3
    if section.isoflop:
        for scale in scales(study, section.isoflop.scales):
            runs = designs * len(section.isoflop.seeds) * len(section.isoflop.budgets)
            points += runs
            training += designs * len(section.isoflop.seeds) * sum(section.isoflop.budgets)
            scoring += runs * samples * scale.seq_len * _typical_flops(scale) / 3
    return points, training, scoring


def _typical_flops(scale: Scale) -> float:
    return flops_per_token(layers_for_scale(lambda n: baseline_layers("Llama 3.2", n), scale), scale)
