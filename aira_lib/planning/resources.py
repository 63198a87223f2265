"""What a study asks of machines, in words, and how many of its units one machine makes at once."""

from aira_lib.device import gpus
from aira_lib.study import ResourcesAtScale, Study

PRETRAIN = "pretrain"
"""The stage whose units may have several ranks."""


def resource_lines(study: Study) -> list[str]:
    """A line a stage and scale of which a study says what it gets."""
    lines = []
    for stage, section in study.resources.items():
        places = {stage: section.at(None), **{f"{stage} at {scale}": section.at(scale) for scale in section.by_scale}}
        lines += [f"{place}: {_words(got)}" for place, got in places.items() if got != ResourcesAtScale()]
    return lines


def points_at_once(study: Study, workers: int) -> int:
    """How many pretraining points are made at once on this machine, so that ranks find a core and a GPU each.

    Args:
        study: whose points.
        workers: processes that may compute at once.
    """
    each = [study.resources_of(PRETRAIN, scale) for scale in study.trainable_scales()]
    ranks = max((got.ranks for got in each), default=1)
    devices = max((got.gpus_per_node or 0 for got in each), default=0)
    by_gpus = len(gpus()) // devices if devices else workers
    return max(1, min(workers // ranks, by_gpus))


def _words(got: ResourcesAtScale) -> str:
    a_node = " a node" if (got.nodes or 1) > 1 else ""
    parts = [
        f"{got.nodes} nodes" if a_node else "",
        f"{got.ranks} rank{'s' * (got.ranks > 1)}{a_node}",
        f"{got.gpus_per_node} GPU{'s' * (got.gpus_per_node > 1)}{a_node}" if got.gpus_per_node else "",
        f"{got.cores} cores{a_node}" if got.cores else "",
        f"{got.memory_gib:g} GiB{a_node}" if got.memory_gib else "",
        f"{got.deadline_hours:g} h at most" if got.deadline_hours else "",
    ]
    return ", ".join(filter(None, parts))
