"""What a study will take of a cluster, by stage, and how a person says that it may."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aira_lib.cluster.section import Cluster
from aira_lib.errors import UserError
from aira_lib.flow.stage import STAGES
from aira_lib.planning.estimate import GPU_FLOPS_PER_SECOND, StageEstimate, estimate
from aira_lib.remote.checks import pods_of
from aira_lib.study import Study, digest

CONFIRM_GPU_HOURS = 100.0
"""Without a cluster's own word: GPU hours above which a study has to be confirmed."""

CORE_HOURS = 50.0
"""That count as one GPU hour, about as clouds charge for them: who asks for no GPUs does not train for nothing."""


@dataclass(frozen=True)
class StageCost:
    """What the units of one stage take; estimated, not measured.

    Attributes:
        estimate: Of the stage.
        gpus: Whether its pods have any.
    """

    estimate: StageEstimate
    gpus: bool

    @property
    def gpu_hours(self) -> float:
        """Hours of an H100 at about 40 % of its peak; of work that nobody can foretell, as many as it may take."""
        return (self.estimate.flops / GPU_FLOPS_PER_SECOND + self.estimate.at_most) / 3600 if self.gpus else 0.0

    @property
    def core_hours(self) -> float:
        """Hours of a core, where pods have no GPU."""
        return 0.0 if self.gpus else max(self.estimate.seconds, self.estimate.at_most) / 3600


def costs(study: Study, cluster: Cluster | None) -> list[StageCost]:
    """What each stage takes.

    Args:
        study: the study.
        cluster: whose pods make it; None: none is known, and all that is worth a GPU is taken to have one.

    Raises:
        UserError: the study's task has no designs, or the cluster lacks a preset.
    """
    return [StageCost(row, _has_gpus(row, study, cluster)) for row in estimate(study)]


def _has_gpus(row: StageEstimate, study: Study, cluster: Cluster | None) -> bool:
    if cluster is None:
        return row.flops > 0 or bool(row.at_most and study.resources_of(row.stage).gpus_per_node)
    return any(pod.gpus for pod in pods_of(STAGES.named(row.stage), study, cluster).values())


def cost_lines(study: Study, of: Sequence[StageCost]) -> Iterator[str]:
    """A table in Markdown: what each stage takes, and all of them."""
    yield f"Study {study.name} ({digest(study)[:12]})"
    yield ""
    yield "| stage | units | what | GPU hours | core hours |"
    yield "| --- | ---: | --- | ---: | ---: |"
    for each in of:
        row = each.estimate
        yield f"| {row.stage} | {row.units} | {row.what} | {_hours(each.gpu_hours)} | {_hours(each.core_hours)} |"
    yield f"| all | | | {_hours(gpu_hours(of))} | {_hours(core_hours(of))} |"


def gpu_hours(of: Sequence[StageCost]) -> float:
    """Of all stages."""
    return sum(each.gpu_hours for each in of)


def core_hours(of: Sequence[StageCost]) -> float:
    """Of all stages whose pods have no GPU."""
    return sum(each.core_hours for each in of)


def confirmation(study: Study, of: Sequence[StageCost]) -> str:
    """What a person enters to confirm what this very study costs: another study, or another setting, has another."""
    gpus, cores = gpu_hours(of), core_hours(of)
    hours = f"{gpus:.0f}-gpu" if gpus >= cores / CORE_HOURS else f"{cores:.0f}-core"
    return f"{hours}-hours-{digest(study)[:8]}"


def require_confirmed(study: Study, of: Sequence[StageCost], confirmed: str, threshold: float) -> None:
    """Refuse an expensive study that nobody has confirmed.

    Args:
        study: the study.
        of: what its stages take.
        confirmed: what was entered; empty: nothing.
        threshold: GPU hours above which it has to be; `CORE_HOURS` count as one.

    Raises:
        UserError: it says what to enter.
    """
    gpus, cores, wanted = gpu_hours(of), core_hours(of), confirmation(study, of)
    if gpus + cores / CORE_HOURS <= threshold or confirmed.strip() == wanted:
        return
    other = f", and {confirmed.strip()!r} confirms another" if confirmed.strip() else ""
    raise UserError(
        f"study {study.name} takes about {_taken(gpus, cores)}, more than {threshold:,.0f}{other}; to run it all the "
        f"same, start it anew with confirm: {wanted}"
    )


def _taken(gpus: float, cores: float) -> str:
    """Hours for a person; those of cores where they count."""
    if cores / CORE_HOURS < gpus / 100:
        return f"{gpus:,.0f} GPU hours"
    return f"{gpus:,.0f} GPU hours and {cores:,.0f} core hours ({CORE_HOURS:.0f} count as a GPU hour)"


def _hours(hours: float) -> str:
    return "" if not hours else "< 0.1" if hours < 0.1 else f"{hours:,.0f}" if hours >= 10 else f"{hours:.1f}"
