"""Which training runs a study asks for: every design at equal tokens, and at every FLOP budget and scale."""

import math
from collections.abc import Iterator, Sequence
from typing import Literal

from aira_lib.architecture.cost import steps_for_budget
from aira_lib.architecture.pattern import parse
from aira_lib.errors import UserError
from aira_lib.naming import exact, slug
from aira_lib.pretrain.branching import with_trunks
from aira_lib.records import PretrainPoint, ScaledDesign
from aira_lib.study import IsoFlopSection, IsoTokenSection, OptimizerSection, PretrainSection, RateCheckSection
from aira_lib.training.schedule import peak_rate, warmup_steps

Entrant = tuple[ScaledDesign, tuple[str, ...]]


def pretraining_points(section: PretrainSection, designs: Sequence[ScaledDesign]) -> list[PretrainPoint]:
    """All training runs of a study, in a fixed order, the equal-token ones first, trunks before their branches.

    Designs of one scale that have the very same layers are trained once; the point names the others as aliases.

    Raises:
        UserError: a FLOP budget that does not pay for one step, or a run that ends before its warm-up and decay do.
    """
    entrants = _entrants(section, designs)
    points: list[PretrainPoint] = []
    if section.isotoken:
        points += _isotoken(section.isotoken, entrants)
    if section.isoflop:
        equal_flops = list(_isoflop(section.isoflop, entrants))
        points += with_trunks(section.optimizer, equal_flops) if section.isoflop.branch else equal_flops
    known = {point.id for point in points}
    points += [point for point in _rate_check(section, designs, entrants) if point.id not in known]
    for point in points:
        _require_peak(section.optimizer, point)
    return points


def rate_check_points(
    section: PretrainSection, check: RateCheckSection, designs: Sequence[ScaledDesign]
) -> list[PretrainPoint]:
    """The training runs of a check of learning rates, scale by scale in the order of their rates.

    The run at the peak is the study's own with the smallest budget and the first seed, unless that branches.

    Raises:
        UserError: see `pretraining_points`.
    """
    checked = section.model_copy(update={"lr_check": check})
    points = _rate_check(checked, designs, _entrants(checked, designs))
    for point in points:
        _require_peak(section.optimizer, point)
    return points


def _entrants(section: PretrainSection, designs: Sequence[ScaledDesign]) -> list[Entrant]:
    chosen = [d for d in designs if d.trainable and (d.kind == "baseline" or d.method in section.methods)]
    same: dict[tuple[str, str], list[ScaledDesign]] = {}
    for design in chosen:
        same.setdefault((design.scale.name, design.pattern), []).append(design)
    return [(group[0], tuple(d.name for d in group[1:])) for group in same.values()]


def _isotoken(section: IsoTokenSection, entrants: Sequence[Entrant]) -> Iterator[PretrainPoint]:
    for design, aliases in entrants:
        if design.scale.name == section.scale:
            steps = math.ceil(section.tokens / design.scale.tokens_per_step)
            for seed in section.seeds:
                yield _point(design, aliases, "isotoken", None, steps, seed)


def _isoflop(section: IsoFlopSection, entrants: Sequence[Entrant]) -> Iterator[PretrainPoint]:
    for scale in section.scales:
        for design, aliases in (e for e in entrants if e[0].scale.name == scale):
            for budget in section.budgets:
                steps = steps_for_budget(budget, parse(design.pattern), design.scale, section.rounding)
                if steps < 1:
                    step = design.flops_per_token * design.scale.tokens_per_step
                    raise UserError(
                        f"pretrain.isoflop: a budget of {budget:.3g} FLOPs does not pay for one step of {design.name} "
                        f"({step:.3g} FLOPs); raise it or drop the scale"
                    )
                for seed in section.seeds_of(scale, budget):
                    yield _point(design, aliases, "isoflop", budget, steps, seed)


def _rate_check(
    section: PretrainSection, designs: Sequence[ScaledDesign], entrants: Sequence[Entrant]
) -> list[PretrainPoint]:
    """The points of the section's check of learning rates, those at the peak included."""
    if section.lr_check is None:
        return []
    baseline = section.lr_check.design or next((d.base for d in designs if d.kind == "baseline"), None)
    branched = section.isoflop is not None and section.isoflop.branch
    points = []
    for own in _smallest(section, baseline, entrants):
        peak = peak_rate(section.optimizer, own.design.scale)
        # A study with trunks has no run with the smallest budget that could be made before those with the largest.
        rates = {factor: float(f"{factor * peak:.6g}") for factor in section.lr_check.factors} | {1: peak}
        of_check = {factor: _at_rate(own, rate) for factor, rate in rates.items()} | ({} if branched else {1: own})
        points += [of_check[factor] for factor in sorted(of_check)]
    return points


def _smallest(section: PretrainSection, baseline: str | None, entrants: Sequence[Entrant]) -> Iterator[PretrainPoint]:
    """Of each scale, the run of one baseline with the smallest budget and the first seed."""
    for entrant in entrants:
        design, aliases = entrant
        if f"{baseline}@{design.scale.name}" not in (design.name, *aliases):
            continue
        if section.isoflop and design.scale.name in section.isoflop.scales:
            smallest = {"scales": (design.scale.name,), "budgets": (min(section.isoflop.budgets),)}
            yield next(_isoflop(section.isoflop.model_copy(update=smallest), [entrant]))
        elif section.isotoken and design.scale.name == section.isotoken.scale:
            yield next(_isotoken(section.isotoken, [entrant]))


def _at_rate(point: PretrainPoint, rate: float) -> PretrainPoint:
    """The very run with another peak of the learning rate."""
    spent = exact(point.budget_flops) if point.budget_flops else f"{point.tokens}t"
    name = f"{slug(point.design.name)}.lr-check.{spent}.lr{exact(rate)}.s{point.seed}"
    return point.model_copy(update={"id": name, "protocol": "lr-check", "learning_rate": rate})


def _require_peak(section: OptimizerSection, point: PretrainPoint) -> None:
    """Refuse an absolute warm-up that a run has no room for; shares of a run are refused where the study is read."""
    warmup = warmup_steps(section, point.design.scale, point.steps)
    if point.protocol == "trunk":  # it serves runs that decay
        return
    if section.absolute_warmup and warmup > (1 - section.decay) * point.steps + 1e-9:
        decay = f" and a decay over {section.decay:.0%} of them" if section.decay else ""
        raise UserError(
            f"pretrain.optimizer: {point.id} has {point.steps:,} steps, too few for a warm-up of {warmup:,.6g}{decay}: "
            "its learning rate would never reach the peak; shorten the warm-up or train longer"
        )
    if section.absolute_warmup and section.schedule == "cosine" and warmup >= point.steps:
        raise UserError(
            f"pretrain.optimizer: {point.id} has {point.steps:,} steps, too few for a warm-up of {warmup:,.6g} and a "
            "cosine behind it: its learning rate would never fall; shorten the warm-up or train longer"
        )


def _point(
    design: ScaledDesign,
    aliases: tuple[str, ...],
    protocol: Literal["isotoken", "isoflop"],
    budget: float | None,
    steps: int,
    seed: int,
) -> PretrainPoint:
    tokens = steps * design.scale.tokens_per_step
    return PretrainPoint(
        id=f"{slug(design.name)}.{protocol}.{exact(budget) if budget else f'{tokens}t'}.s{seed}",
        design=design,
        aliases=aliases,
        protocol=protocol,
        budget_flops=budget,
        steps=steps,
        tokens=tokens,
        flops=float(tokens) * design.flops_per_token,
        seed=seed,
    )
