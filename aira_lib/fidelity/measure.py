"""`aira proxy fidelity` and `aira proxy stopping`: designs through the store of evaluations, compared, written down."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aira_lib.architecture.pattern import Layers, render
from aira_lib.console import duration
from aira_lib.device import cores
from aira_lib.errors import UserError
from aira_lib.evaluations import EvaluationStore
from aira_lib.evaluations.key import key_of
from aira_lib.fidelity.evaluate_designs import Follow, read_patterns, space_of, train
from aira_lib.records import Evaluation
from aira_lib.settings import Settings
from aira_lib.store import place_of
from aira_lib.study import DEFAULT_TASK, ProxySection
from aira_lib.tasks import proxy_for, task_named
from aira_lib.tasks.profile import fitting_profile, profile_named

ASKED_BY = "aira proxy fidelity"


@dataclass(frozen=True)
class Contestant:
    """A proxy with the seeds that score each design in it."""

    name: str
    section: ProxySection
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """What a command has to score, and where scores are kept."""

    store: EvaluationStore
    designs: list[Layers]
    contestants: list[Contestant]
    threads: int

    def outlook(self) -> str:
        """What is there, and what the rest takes."""
        from aira_lib.proxy.cost import seconds_estimate

        lines, total = [], 0.0
        for each in self.contestants:
            asked = [(layers, seed) for layers in self.designs for seed in each.seeds]
            left = [
                layers for layers, seed in asked
                if self.store.find(key_of(layers, each.section, seed).digest) is None
            ]  # fmt: skip
            seconds = sum(seconds_estimate(layers, each.section, self.threads) for layers in left)
            total += seconds
            lines.append(
                f"{each.name}: {len(asked)} evaluations ({len(self.designs)} designs, seeds "
                f"{', '.join(map(str, each.seeds))}), {len(asked) - len(left)} found, about {duration(seconds)} left"
            )
        last = f"In all about {duration(total)} (right within a factor of two); store: {place_of(self.store.store.uri)}"
        return "\n".join([*lines, f"{last}; nothing was started."])

    def evaluations(self) -> list[list[list[Evaluation]]]:
        """Scores by contestant, design and seed; what the store has is not trained again."""
        from aira_lib.proxy.cost import seconds_estimate

        jobs = [
            (at, layers, seed) for at, each in enumerate(self.contestants) for layers in self.designs
            for seed in each.seeds
        ]  # fmt: skip
        weights = [seconds_estimate(layers, self.contestants[at].section) for at, layers, _ in jobs]
        found: list[list[list[Evaluation]]] = [[[] for _ in self.designs] for _ in self.contestants]
        places = {layers: place for place, layers in enumerate(self.designs)}
        total, before = sum(weights), 0.0
        with Follow(f"{len(jobs)} evaluations") as follow:
            for number, ((at, layers, seed), weight) in enumerate(zip(jobs, weights, strict=True), 1):
                each = self.contestants[at]

                def said(
                    done: float, steps: float, note: str, start: float = before, size: float = weight,
                    title: str = f"{number}: {each.name} {render(layers)}",
                ) -> None:  # fmt: skip
                    follow.update(start + size * done / max(steps, 1), total, f"{title}, {note}")

                answer = self.store.answer(layers, each.section, seed=seed, threads=self.threads, progress=said)
                found[at][places[layers]].append(answer.evaluation)
                before += weight
        return found


def planned(
    designs: str, small: str | None, large: str | None, seeds: Sequence[int] | None, settings: Settings,
    task_name: str | None,
) -> Plan:  # fmt: skip
    """Prepare a command.

    Args:
        designs: how many to draw at random, or a file with one pattern a line.
        small: a profile; None: the one that fits this machine.
        large: a profile, or such as "4x": the small one with that many times the epochs; None: there is none.
        seeds: of weights and batches in the small proxy; None: its own. The large one has as many others: with the
            same, the beginning of its training might be the small one's.
        settings: where evaluations are kept.
        task_name: whose data and primitives count.

    Raises:
        UserError: any of these makes no sense.
    """
    from aira_lib.proxy.stopping import whole

    if settings.shared_evaluations is None:
        raise UserError("AIRA_EVALUATIONS is none; unset it, or name the store that keeps the scores")
    task = task_named(task_name or DEFAULT_TASK)
    small = small or fitting_profile()
    n_layers, profile = profile_named(small, task.dataset)
    section = whole(proxy_for(task, profile))
    own = tuple(dict.fromkeys(seeds or (section.seed,)))
    contestants = [Contestant(small, section, own)]
    if large:
        longer = whole(proxy_for(task, _larger(large, section, task.dataset)))
        if longer == section:
            raise UserError(f"--large {large} is the same proxy as --small {small}; name a larger one, such as 4x")
        step = max(own) - min(own) + 1
        name = f"{small}, {large} epochs" if _FACTOR.fullmatch(large) else large
        contestants.append(Contestant(name, longer, tuple((seed + step) % 2**63 for seed in own)))
    primitives = space_of(task, small)
    drawn = _designs(designs, n_layers, primitives)
    foreign = sorted({primitive for layers in drawn for primitive in layers} - set(primitives))
    if foreign:
        raise UserError(f"{designs} has {', '.join(foreign)}, which task {task.name} does not have")
    threads = settings.threads if os.environ.get("AIRA_THREADS") else cores()
    return Plan(EvaluationStore(settings.shared_evaluations, train, ASKED_BY), drawn, contestants, threads)


_FACTOR = re.compile(r"([2-9]|[1-9]\d+)x")


def _larger(name: str, section: ProxySection, dataset: str) -> ProxySection:
    if factor := _FACTOR.fullmatch(name):
        return section.model_copy(update={"epochs": section.epochs * int(factor[1])})
    return profile_named(name, dataset)[1]


def _designs(text: str, n_layers: int, primitives: Sequence[str]) -> list[Layers]:
    found = random_designs(int(text), n_layers, primitives) if text.isdecimal() else read_patterns([], Path(text))
    if len(found) < 3:
        raise UserError(f"--designs {text}: at least 3 designs are needed to compare rankings")
    return found


def random_designs(count: int, n_layers: int, primitives: Sequence[str], seed: int = 0) -> list[Layers]:
    """Distinct designs, each layer drawn alone; the first of a larger count are those of a smaller one.

    Raises:
        UserError: there are not so many.
    """
    if count > len(primitives) ** n_layers // 2:
        raise UserError(
            f"--designs {count}: too many of the {len(primitives) ** n_layers} that there are; ask for less"
        )
    random = np.random.default_rng(seed)
    found: dict[Layers, None] = {}
    while len(found) < count:
        found[tuple(primitives[i] for i in random.integers(len(primitives), size=n_layers))] = None
    return list(found)
