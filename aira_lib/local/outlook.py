"""How far a study is and how long it still takes: the plan's estimate, corrected by what units really took."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aira_lib.agents import total_steps
from aira_lib.console import duration
from aira_lib.flow.estimates import SECONDS_TO_START
from aira_lib.local.rates import Rates
from aira_lib.planning.estimate import StageEstimate
from aira_lib.study import Study
from aira_lib.track.progress import ENDED, Progress

_SEARCH = "search"
_ASSUMED, _MEASURED = 1.0, 3.0  # units that a rate from before weighs beside those of this run
_WORTH_A_RATE = 0.2  # of a unit that still runs


def sizes_of(study: Study) -> dict[str, float]:
    """What each search of a study weighs in its stage: its steps at most."""
    return {f"{agent.name}.s{seed}": float(total_steps(agent)) for agent in study.agents for seed in agent.seeds}


def most_of(study: Study) -> dict[str, float]:
    """Seconds that each search of a study takes at most."""
    return {f"{agent.name}.s{seed}": agent.hours * 3600 for agent in study.agents for seed in agent.seeds}


@dataclass
class Outlook:
    """How far the study is, from its units' progress.

    Attributes:
        plan: What each stage will take, by assumption.
        sizes: What single searches weigh, by name.
        workers: How many units run at once.
        rates: What units of before took beside such an estimate.
        most: What single searches may take at most, in seconds, by name.
        known_units: How many units each stage per pretraining point really has; None: as many as are planned.
    """

    plan: Sequence[StageEstimate]
    sizes: Mapping[str, float] = field(default_factory=dict)
    workers: int = 1
    rates: Rates = field(default_factory=Rates)
    most: Mapping[str, float] = field(default_factory=dict)
    known_units: Mapping[str, int] | None = None
    _begun: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    _learnt: set[tuple[str, str]] = field(default_factory=set)
    _seen: tuple[float, float] = (0.0, 0.0)  # estimated and real seconds of all units that are done

    def units(self, stage: StageEstimate) -> int:
        """How many units a stage has."""
        return stage.units if self.known_units is None else self.known_units.get(stage.stage, stage.units)

    def fraction(self, units: Sequence[Progress], stage: StageEstimate) -> float:
        """Share of a stage that is done, 0 to 1; what was there already is done."""
        whole = self._whole(stage)
        done = sum(self._size(stage, u) * _share(u) for u in units if u.stage == stage.stage)
        return min(1.0, done / whole) if whole else 1.0

    def look(self, units: Sequence[Progress]) -> None:
        """Take note of units: where each was when it was first seen, and what those took that are done."""
        for unit in units:
            key = unit.stage, unit.unit
            if unit.status == "running" and unit.total and key not in self._begun:
                self._begun[key] = (_share(unit), unit.updated)
            if unit.status == "done" and key not in self._learnt:
                self._learnt.add(key)
                estimated, took = self._measured(unit)
                if estimated and took and not self._unforetold(unit.stage):
                    self.rates.learn(unit.stage, took / estimated)
                    self._seen = (self._seen[0] + estimated, self._seen[1] + took)

    def seconds_left(self, units: Sequence[Progress]) -> float:
        """Seconds of wall time left."""
        return sum(self._left(units, stage) for stage in self.plan)

    def left_of_searches(self, units: Sequence[Progress]) -> dict[str, float]:
        """Seconds that each search still takes that has begun, by name."""
        mine = [u for u in units if u.stage == _SEARCH]
        found: dict[str, float] = {}
        for stage in (each for each in self.plan if each.stage == _SEARCH):
            rate = self._rate(mine, stage)
            for unit in mine:
                found[unit.unit] = min(self._left_of(unit, stage) * rate, self._spare(unit.unit, unit))
        return found

    def in_words(self, units: Sequence[Progress]) -> str:
        """The time left, and that it is only estimated where nothing of the most of it was ever measured."""
        lefts = {stage.stage: self._left(units, stage) for stage in self.plan}
        if any(stage.at_most and not self._shown(units, stage) for stage in self.plan):
            return f"at most {duration(sum(lefts.values()))} left"
        known = sum(left for stage, left in lefts.items() if self.rates.of(stage) is not None)
        sure = known >= sum(lefts.values()) / 2
        return f"about {duration(sum(lefts.values()))} left{'' if sure else ', estimated'}"

    def _left(self, units: Sequence[Progress], stage: StageEstimate) -> float:
        mine = [u for u in units if u.stage == stage.stage]
        count = self.units(stage)
        seconds = self._seconds(stage)
        left = seconds * (1.0 - self.fraction(units, stage))
        longest = max((self._left_of(u, stage) for u in mine), default=0.0)
        at_once = min(self.workers, max(1, count - sum(u.status in ENDED for u in mine)))
        if stage.at_most and not self._shown(mine, stage):
            return self._at_most(mine, at_once)
        estimated = max(left / at_once, longest) * self._rate(mine, stage)
        return min(estimated, self._at_most(mine, at_once)) if stage.stage == _SEARCH and self.most else estimated

    def _left_of(self, unit: Progress, stage: StageEstimate) -> float:
        """Estimated seconds that a unit still takes."""
        whole = self._whole(stage)
        return self._size(stage, unit) / whole * self._seconds(stage) * (1 - _share(unit)) if whole else 0.0

    def _at_most(self, searches: Sequence[Progress], at_once: int) -> float:
        """Seconds until all searches have used up their time."""
        known = {unit.unit: unit for unit in searches}
        lefts = [self._spare(name, known.get(name)) for name in self.most]
        return max(max(lefts), sum(lefts) / at_once)

    def _spare(self, name: str, unit: Progress | None) -> float:
        """Seconds that a search may still take."""
        if unit and unit.status in ENDED:
            return 0.0
        most = self.most.get(name, float("inf"))
        return max(0.0, most - (unit.updated - unit.started)) if unit else most

    def _rate(self, mine: Sequence[Progress], stage: StageEstimate) -> float:
        """Real seconds for an estimated one: what was known before, and what this run shows."""
        before = None if stage.at_most else self.rates.of(stage.stage)
        weight = _ASSUMED if before is None else _MEASURED
        if before is None:
            before = self._seen[1] / self._seen[0] if self._seen[0] else 1.0
        each = self._seconds(stage) / max(self.units(stage), 1)
        shown = [self._measured(u) for u in mine]
        estimated = weight * each + sum(part for part, _ in shown)
        return (weight * each * before + sum(took for _, took in shown)) / estimated if estimated else 1.0

    def _measured(self, unit: Progress) -> tuple[float, float]:
        """Estimated and real seconds of the part of a unit that this run has seen; zeros where it says too little."""
        stage = next((each for each in self.plan if each.stage == unit.stage), None)
        if stage is None or unit.status not in ("running", "done"):
            return 0.0, 0.0
        share, since = self._begun.get((unit.stage, unit.unit), (0.0, unit.started))
        if share < _WORTH_A_RATE:
            share, since = 0.0, unit.started
        seen = _share(unit) - share
        if seen < _WORTH_A_RATE or not self._whole(stage):
            return 0.0, 0.0
        estimated = seen * self._size(stage, unit) / self._whole(stage) * self._seconds(stage)
        start = SECONDS_TO_START if not share and unit.status == "done" else 0.0
        return estimated, max(0.0, unit.updated - since) + start

    def _unforetold(self, name: str) -> bool:
        return any(stage.at_most for stage in self.plan if stage.stage == name)

    def _shown(self, units: Sequence[Progress], stage: StageEstimate) -> bool:
        """Whether this run says how long a stage's units take: some part of one was seen, or none is left."""
        mine = [unit for unit in units if unit.stage == stage.stage]
        ended = sum(unit.status in ENDED for unit in mine)
        return ended >= self.units(stage) or any(took for _, took in map(self._measured, mine))

    def _seconds(self, stage: StageEstimate) -> float:
        """Estimated seconds of all units that a stage really has."""
        return stage.seconds * self.units(stage) / max(stage.units, 1)

    def _whole(self, stage: StageEstimate) -> float:
        return sum(self.sizes.values()) or float(stage.size) if stage.stage == _SEARCH else float(self.units(stage))

    def _size(self, stage: StageEstimate, unit: Progress) -> float:
        return self.sizes.get(unit.unit, stage.size / max(stage.units, 1)) if stage.stage == _SEARCH else 1.0


def _share(unit: Progress) -> float:
    """How much of a unit is done, 0 to 1."""
    if unit.status in ENDED:
        return 1.0
    return min(1.0, unit.done / unit.total) if unit.total else 0.0
