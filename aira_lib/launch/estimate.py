"""What a study will take, before anything is started: candidates, training runs, FLOPs and time.

FLOPs follow the paper's convention. Time is FLOPs over a rate that is an assumption until the store holds finished
work of this machine to measure by; the plan says which of the two it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aira_lib import plan
from aira_lib.architecture.cost import flops_per_token
from aira_lib.architecture.reference import baseline_layers
from aira_lib.architecture.scales import Scale
from aira_lib.extrapolate.depth import layers_for_scale
from aira_lib.records import Manifest, StageName
from aira_lib.spec import Study

# One core of a laptop on models this small, where the overhead of single operations rules.
ASSUMED_FLOPS_PER_SECOND = 4e9
OVERHEAD_SECONDS = {"search": 4.0, "pretrain": 5.0, "evaluate": 4.0}


@dataclass(frozen=True)
class StageEstimate:
    """One row of the plan. `flops` and `seconds` are sums over units; seconds are those of one core."""

    stage: StageName
    units: int
    what: str
    flops: float
    seconds: float


def estimate(study: Study, rate: float = ASSUMED_FLOPS_PER_SECOND) -> list[StageEstimate]:
    """Estimate every stage of a study.

    Args:
        study: the study.
        rate: FLOPs a second of one worker.
    """
    searches = sum(len(agent.seeds) for agent in study.agents)
    candidates = sum(len(agent.seeds) * _steps(agent) for agent in study.agents)
    points, training = _pretraining(study)
    scoring = points * study.evaluate.samples * 1e4
    rows: list[tuple[StageName, int, str, float]] = [
        ("search", searches, f"{candidates} candidates at most", candidates * candidate_flops(study)),
        ("archive", 1, "one table of distinct designs", 0.0),
        ("aggregate", 1, f"{len(study.aggregate)} base patterns", 0.0),
        ("extrapolate", 1, f"{_designs(study)} designs at each scale", 0.0),
        ("pretrain", points, "training runs at most", training),
        ("evaluate", points, "checkpoints", scoring),
        ("report", 1, "one page", 0.0),
    ]
    return [
        StageEstimate(stage, units, what, flops, flops / rate + units * OVERHEAD_SECONDS.get(stage, 2.0))
        for stage, units, what, flops in rows
    ]


def _steps(agent: object) -> int:
    return 1 if getattr(agent, "scaffold", "") == "one-shot" else int(getattr(agent, "steps", 1))


def candidate_flops(study: Study) -> float:
    """Training FLOPs of one proxy evaluation of a design with equal shares of the task's primitives."""
    from aira_lib.proxy.cost import evaluation_flops

    primitives = plan.task_named(study.task.name).primitives
    layers = tuple(primitives[i % len(primitives)] for i in range(study.task.layers))
    return float(evaluation_flops(layers, study.proxy))


def _designs(study: Study) -> int:
    return len(study.aggregate) * len(study.extrapolate.methods) + len(study.extrapolate.baselines)


def _pretraining(study: Study) -> tuple[int, float]:
    """Number of training runs if no two designs coincide, and their FLOPs."""
    section = study.pretrain
    designs = len(study.aggregate) * len(section.methods) + len(study.extrapolate.baselines)
    points, flops = 0, 0.0
    if section.isotoken:
        runs = designs * len(section.isotoken.seeds)
        points += runs
        flops += runs * section.isotoken.tokens * _typical_flops(plan.scales(study, [section.isotoken.scale])[0])
    if section.isoflop:
        runs = designs * len(section.isoflop.scales) * len(section.isoflop.seeds)
        points += runs * len(section.isoflop.budgets)
        flops += runs * sum(section.isoflop.budgets)
    return points, flops


def _typical_flops(scale: Scale) -> float:
    return flops_per_token(layers_for_scale(lambda n: baseline_layers("Llama 3.2", n), scale), scale)


def measured_rate(manifests: Sequence[Manifest]) -> float | None:
    """FLOPs a second of one worker, from the pretraining records at hand; None without any."""
    done = [m for m in manifests if m.stage == "pretrain" and m.seconds > 0]
    seconds = sum(m.seconds for m in done)
    return sum(m.section["point"]["flops"] for m in done) / seconds if seconds else None
