"""Downstream scores of a study's designs, compared with a baseline: paired by item, over seeds, several at once.

A mean is taken over the tasks that every training has: where one lacks a task, all means are without it and say so.
Differences carry the error over items and, where designs have several seeds, that of seeds on top; p is corrected for
the number of designs by Holm. Designs that the paper prints have its difference beside them, with an error of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from aira_lib.records import TaskScore
from aira_lib.report.comparison import Comparison
from aira_lib.report.downstream_items import Floats, Paired, pair
from aira_lib.report.entries import family, reference_family
from aira_lib.report.inputs import Asked, DownstreamRun
from aira_lib.report.printed import CORE_14, Measure, Metric, Printed, TaskFacts, measures, printed
from aira_lib.significance.centred import centred
from aira_lib.significance.estimate import Estimate, mean_of_items, mean_over_tasks
from aira_lib.significance.paired import paired
from aira_lib.significance.seeds import Spread, averaged, pooled_spread, with_seeds
from aira_lib.significance.several import (
    Luck,
    covariance_of_means,
    holm,
    luck_of_the_best,
    simultaneous_margins,
)

LEVEL = 0.05


@dataclass(frozen=True)
class Design:
    """A design with its scored trainings, by seed. `names` are its own and those of designs with the same layers."""

    names: tuple[str, ...]
    baseline: bool
    runs: tuple[DownstreamRun, ...]

    @property
    def label(self) -> str:
        """Its names without the scale."""
        return " = ".join(dict.fromkeys(map(family, self.names)))

    @cached_property
    def printed(self) -> Printed | None:
        """The same design in the paper."""
        return printed([family(name) for name in self.names])

    def scores(self, asked: Asked) -> list[TaskScore]:
        """Of a task, a seed each."""
        return [task for run in self.runs for task in run.record.tasks if (task.task, task.shots) == asked]


@dataclass(frozen=True)
class Against:
    """A design's difference to the reference: over items, with what seeds add, and p by Holm."""

    over_items: Estimate
    whole: Estimate
    adjusted: float | None
    simultaneous: float | None

    @property
    def verdict(self) -> str:
        """What may be said of it."""
        if self.adjusted is None:
            return "error unknown"
        if self.adjusted >= LEVEL:
            return "within its error"
        return "higher, beyond its error" if self.whole.value > 0 else "lower, beyond its error"


@dataclass(frozen=True)
class MeasureFound:
    """A measure over the tasks that every training has (`among`); `missing` says which tasks it lacks."""

    measure: Measure
    among: tuple[str, ...]
    missing: tuple[str, ...]
    values: Mapping[str, Estimate]
    by_seed: Mapping[str, tuple[float, ...]]
    spread: Spread | None
    against: Mapping[str, Against]
    luck: Luck | None


@dataclass(frozen=True)
class Scoreboard:
    """All designs at equal tokens with downstream scores, those of highest core-14, or accuracy, first."""

    designs: tuple[Design, ...]
    reference: Design | None
    paired: Mapping[Asked, Paired]

    def task(self, design: Design, asked: Asked, metric: str) -> Floats | None:
        """[seeds, items]; None where some training has no such score."""
        return self.paired[asked].scores[design.label].get(metric) if asked in self.paired else None

    def has(self, task: TaskFacts, metric: Metric) -> bool:
        """Whether every training has a task's metric."""
        return all(self.task(design, (task.task, task.shots), metric) is not None for design in self.designs)

    @cached_property
    def found(self) -> tuple[MeasureFound, ...]:
        """Measures of which a task was scored that is in no other: WinoGrande alone, in both sets, is no core-14."""
        sets: dict[str, set[Asked]] = {}
        for measure in measures():
            sets.setdefault(measure.tasks, set()).update((task.task, task.shots) for task, _ in measure.parts)
        alone = {
            name: asked - set().union(*(other for key, other in sets.items() if key != name))
            for name, asked in sets.items()
        }
        found = [self.measured(measure) for measure in measures() if alone[measure.tasks] & set(self.paired)]
        return tuple(each for each in found if each is not None)

    @property
    def foremost(self) -> MeasureFound | None:
        """What designs are ranked by: core-14, or the accuracy of the six where that was not scored."""
        core = [each for each in self.found if each.measure.tasks == CORE_14]
        return next(iter([*core, *self.found]), None)

    def measured(self, measure: Measure) -> MeasureFound | None:
        """A measure of all designs; None where no task of it was scored of all."""
        parts = [(task, metric) for task, metric in measure.parts if self.has(task, metric)]
        if not parts:
            return None
        tables = {
            d.label: [self.scores(d, (task.task, task.shots), metric) for task, metric in parts] for d in self.designs
        }
        means = {label: [averaged(scores) for scores in tasks] for label, tasks in tables.items()}
        by_seed = {label: _by_seed(tasks) for label, tasks in tables.items()}
        spread = pooled_spread(list(by_seed.values()))
        return MeasureFound(
            measure=measure,
            among=tuple(task.task for task, _ in parts),
            missing=tuple(task.task for task, metric in measure.parts if (task, metric) not in parts),
            values={label: mean_over_tasks([mean_of_items(task) for task in tasks]) for label, tasks in means.items()},
            by_seed=by_seed,
            spread=spread,
            against=self._against(means, by_seed, spread),
            luck=self._luck(means, by_seed, spread),
        )

    def scores(self, design: Design, asked: Asked, metric: str) -> Floats:
        """[seeds, items], of a task that every training has; see `has`."""
        scores = self.task(design, asked, metric)
        assert scores is not None, f"{design.label} has no {metric} of {asked}"
        return scores

    def _against(
        self, means: Mapping[str, Sequence[Floats]], by_seed: Mapping[str, Sequence[float]], spread: Spread | None
    ) -> dict[str, Against]:
        if self.reference is None or len(self.designs) < 2:
            return {}
        own = self.reference.label
        over_items = {
            label: mean_over_tasks([paired(a, b) for a, b in zip(tasks, means[own], strict=True)])
            for label, tasks in means.items()
            if label != own
        }
        whole = {
            label: with_seeds(each, spread, (len(by_seed[label]), len(by_seed[own]))) if spread else each
            for label, each in over_items.items()
        }
        together: dict[str, float] = {}
        if all(each.stderr is not None for each in whole.values()):  # else no interval holds for all
            labels, degrees = list(means), min(each.degrees for each in whole.values())
            margins = simultaneous_margins(_covariance(means, by_seed, spread, labels), labels.index(own), degrees)
            together = dict(zip(labels, margins.tolist(), strict=True))
        adjusted = holm({label: each.p for label, each in whole.items()})
        return {
            label: Against(over_items[label], whole[label], adjusted[label], together.get(label)) for label in whole
        }

    def _luck(
        self, means: Mapping[str, Sequence[Floats]], by_seed: Mapping[str, Sequence[float]], spread: Spread | None
    ) -> Luck | None:
        finds = [design.label for design in self.designs if not design.baseline]
        if len(finds) < 2 or any(len(scores) < 2 for tasks in means.values() for scores in tasks):
            return None  # a single item does not tell how much items vary
        return luck_of_the_best(_covariance(means, by_seed, spread, finds))


def _by_seed(tasks: Sequence[Floats]) -> tuple[float, ...]:
    """The mean over tasks of each seed, of scores [seeds, items] a task."""
    return tuple(np.mean([scores.mean(axis=1) for scores in tasks], axis=0).tolist())


def _covariance(
    means: Mapping[str, Sequence[Floats]],
    by_seed: Mapping[str, Sequence[float]],
    spread: Spread | None,
    labels: Sequence[str],
) -> Floats:
    tasks = [np.stack(scores) for scores in zip(*(means[label] for label in labels), strict=True)]
    return covariance_of_means(tasks, [spread.sd**2 / len(by_seed[label]) for label in labels] if spread else ())


def scoreboard(runs: Sequence[DownstreamRun], comparison: Comparison, wanted: Sequence[str]) -> Scoreboard | None:
    """Bring the scores at equal tokens together; None where no training has any.

    Args:
        runs: of any protocol; only equal-token ones that ended well count.
        comparison: of the held-out losses, whose reference is this one's, too, where it was scored.
        wanted: baselines in the study's order.
    """
    groups: dict[str, list[DownstreamRun]] = {}
    for run in runs:
        if run.record.point.protocol == "isotoken" and run.record.status == "ok" and run.record.tasks:
            groups.setdefault(run.record.point.design.name, []).append(run)
    if not groups:
        return None
    designs = [_design(group, comparison) for group in groups.values()]
    asked = dict.fromkeys((t.task, t.shots) for d in designs for run in d.runs for t in run.record.tasks)
    by_label = {design.label: design.runs for design in designs}
    found = {each: paired_task for each in asked if (paired_task := pair(each, by_label)) is not None}
    board = Scoreboard(tuple(designs), _reference(designs, comparison, wanted), found)
    order = board.foremost.values if board.foremost else {}
    designs.sort(key=lambda d: (-order[d.label].value if d.label in order else 0.0, d.label))
    return Scoreboard(tuple(designs), board.reference, found)


def _design(group: Sequence[DownstreamRun], comparison: Comparison) -> Design:
    runs = tuple(sorted(group, key=lambda run: run.record.point.seed))
    point = runs[0].record.point
    names = (point.design.name, *point.aliases)
    baseline = point.design.kind == "baseline" or any(family(name) in comparison.baselines for name in names)
    return Design(names, baseline, runs)


def _reference(designs: Sequence[Design], comparison: Comparison, wanted: Sequence[str]) -> Design | None:
    of_losses = comparison.reference.names if comparison.reference else ()
    baselines = [design for design in designs if design.baseline]
    if same := next((design for design in baselines if set(design.names) & set(of_losses)), None):
        return same
    families = [family(name) for design in baselines for name in design.names]
    name = reference_family(wanted, families, set(families))
    return next((design for design in baselines if name in [family(each) for each in design.names]), None)


def centred_mean(
    found: MeasureFound, score: Callable[[TaskFacts, Metric], float], version: Literal[0, 1]
) -> float | None:
    """The mean over a measure's tasks counted from DCLM's baselines (0: v1; 1: v2); None where a task has none.

    Args:
        found: the measure, over the tasks that were scored.
        score: of a task, as a share.
        version: which baselines.
    """
    parts = [(task, metric) for task, metric in found.measure.parts if task.task in found.among]
    values = [centred(score(t, metric), t.baselines[version]) for t, metric in parts if t.baselines is not None]
    return sum(values) / len(values) if len(values) == len(parts) else None
