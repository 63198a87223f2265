"""The scales of a study, and its baselines at them: what is known before any search."""

from collections.abc import Sequence
from functools import partial

from aira_lib.architecture.pattern import Layers, parse
from aira_lib.architecture.reference import baseline_layers
from aira_lib.architecture.scales import Scale, scale_named
from aira_lib.records import PretrainPoint, ScaledDesign
from aira_lib.study import Study
from aira_lib.tasks.section import task_of


def described_names(study: Study) -> list[str]:
    """Scales that are only described: those of the extrapolation that are not trained."""
    return [name for name in study.extrapolate.scales if name not in study.trainable_scales()]


def scales(study: Study, names: Sequence[str]) -> list[Scale]:
    """The scales of a study by name: its own first, else the built-in one for its number of primitives."""
    n_primitives = len(task_of(study.task).primitives)
    return [study.scales.get(name) or scale_named(name, n_primitives) for name in names]


def designs_at(study: Study, name: str, scaled: Sequence[ScaledDesign]) -> tuple[Scale, dict[str, Layers]]:
    """A scale of a study, and the layers of the designs that were brought to it, by their names."""
    (scale,) = scales(study, [name])
    return scale, {design.name: parse(design.pattern) for design in scaled if design.scale.name == name}


def baselines_at(study: Study, names: Sequence[str]) -> list[ScaledDesign]:
    """A study's baselines at some of its scales, to be trained there.

    Raises:
        UserError: a scale that no depth meets.
    """
    from aira_lib.extrapolate.depth import layers_for_scale
    from aira_lib.extrapolate.stage import describe_baseline

    return [
        describe_baseline(name, layers_for_scale(partial(baseline_layers, name), scale), scale, trainable=True)
        for scale in scales(study, names)
        for name in study.extrapolate.baselines
    ]


def baseline_points(study: Study) -> list[PretrainPoint]:
    """The pretraining points of a study's baselines, which need no search.

    Raises:
        UserError: a scale that no depth meets, or a budget that does not pay for a step.
    """
    from aira_lib.pretrain.points import pretraining_points

    return pretraining_points(study.pretrain, baselines_at(study, study.trainable_scales()))
