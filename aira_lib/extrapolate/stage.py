"""Scale every base pattern and every baseline to every scale of the study, and say what each costs."""

from collections.abc import Iterator, Sequence
from functools import partial

from aira_lib.architecture.cost import count, flops_per_token, params
from aira_lib.architecture.pattern import Layers, render
from aira_lib.architecture.reference import baseline_layers
from aira_lib.architecture.scales import Scale
from aira_lib.extrapolate.depth import METHODS, VARIANT, layers_for_scale
from aira_lib.extrapolate.solver import describe_change
from aira_lib.records import BasePattern, DesignKind, ScaledDesign, write_rows
from aira_lib.study import ExtrapolateSection
from aira_lib.work import Work


def extrapolate(
    section: ExtrapolateSection,
    described: Sequence[Scale],
    trainable: Sequence[Scale],
    patterns: Sequence[BasePattern],
    work: Work,
) -> None:
    """Write `designs.jsonl`: a `ScaledDesign` for every base, method and scale, and for every baseline and scale.

    Args:
        section: methods and baselines.
        described: scales whose costs are stated but which are not trained here.
        trainable: scales that the study pretrains.
        patterns: the aggregated bases.
        work: the stage's workplace.
    """
    designs = [
        design
        for scale, is_trainable in [*((s, True) for s in trainable), *((s, False) for s in described)]
        for design in _designs_at(section, scale, is_trainable, patterns)
    ]
    write_rows(work.path / "designs.jsonl", designs)
    work.progress(1, 1, f"{len(designs)} designs at {len(described) + len(trainable)} scales")


def _designs_at(
    section: ExtrapolateSection, scale: Scale, trainable: bool, patterns: Sequence[BasePattern]
) -> Iterator[ScaledDesign]:
    for pattern in patterns:
        for method in section.methods:
            layers = layers_for_scale(partial(METHODS[method], pattern.layers), scale)
            name = f"{pattern.name}/{VARIANT[method]}@{scale.name}"
            yield describe(
                name, base=pattern.name, kind="find", method=method, layers=layers, scale=scale, trainable=trainable,
                change=describe_change(pattern.layers, len(layers), method),
            )  # fmt: skip
    for baseline in section.baselines:
        layers = layers_for_scale(partial(baseline_layers, baseline), scale)
        yield describe_baseline(baseline, layers, scale, trainable)


def describe(
    name: str, *, base: str, kind: DesignKind, method: str, layers: Layers, scale: Scale, trainable: bool,
    change: str = "",
) -> ScaledDesign:  # fmt: skip
    """A design at a scale with its layer counts, parameters and training FLOPs (the paper's convention)."""
    non_embedding, embedding = params(layers, scale)
    return ScaledDesign(
        name=name,
        base=base,
        kind=kind,
        method=method,
        scale=scale,
        pattern=render(layers),
        n_layers=len(layers),
        counts=count(layers),
        params_non_embedding=non_embedding,
        params_embedding=embedding,
        flops_per_token=flops_per_token(layers, scale),
        trainable=trainable,
        change=change,
    )


def describe_baseline(name: str, layers: Layers, scale: Scale, trainable: bool) -> ScaledDesign:
    """A baseline at a scale, which it reaches by repeating itself; see `describe`."""
    return describe(
        f"{name}@{scale.name}", base=name, kind="baseline", method="repeat", layers=layers, scale=scale,
        trainable=trainable,
    )  # fmt: skip
