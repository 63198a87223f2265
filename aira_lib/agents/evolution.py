"""Evolution on islands, after AIRA-dojo's; populations are derived from the nodes, never stored.

Attempts go to the islands in turn. An island's first generation are drafts; later ones are improvements of one
parent or, `crossover_after` generations on, crossovers of two. A child joins its island's population if it is at
least as good as the population's mean; the worst leave when there are more than `island_size`. With
`migration_probability` one parent comes from another island. Each node records its island. AIRA-dojo's reset of
islands is left out: it wipes the best ones, and it is off by its own defaults.
"""

from collections.abc import Sequence

import numpy as np

from aira_lib.agents.step import Attempt, Step, attempts, fitness, is_good, repair_of_last
from aira_lib.records import Node
from aira_lib.study.agent import AgentSection, EvolutionSettings

Rng = np.random.Generator


def evolutionary(nodes: Sequence[Node], agent: AgentSection, rng: Rng, lower_is_better: bool = False) -> Step:
    """Decide the next step: mend the last node, or let the island whose turn it is draft, improve or cross."""
    if step := repair_of_last(nodes, agent, rng):
        return step
    settings, made = agent.evolution, attempts(nodes)
    turn, island = divmod(len(made), settings.islands)
    islands = populations(made, settings, lower_is_better)
    own = islands[island]
    if turn < settings.individuals or not own:
        return Step("draft", (), island)
    first = choose(own, settings, rng, lower_is_better)
    abroad = _abroad(islands, island, settings, rng)
    crossing = rng.random() < settings.crossover_probability
    others = [node for node in abroad or own if (node.design or node.id) != (first.design or first.id)]
    if crossing and others and turn >= settings.crossover_after * settings.individuals:
        second = choose(others, settings, rng, lower_is_better)
        return Step("crossover", (first.id, second.id), island)
    parent = choose(abroad, settings, rng, lower_is_better) if abroad else first
    return Step("improve", (parent.id,), island)


class Population:
    """Who lives on an island, in the order of arrival. A design lives there once."""

    def __init__(self, size: int, lower_is_better: bool) -> None:
        self.living: list[Node] = []
        self._size = size
        self._lower = lower_is_better
        self._mean = 0.0
        self._designs: set[str] = set()

    def offer(self, attempt: Attempt) -> None:
        """Let an attempt's last node in if it is good, new, and a draft or at least as good as the mean."""
        node = attempt.last
        if not is_good(node) or node.design in self._designs:
            return
        if self.living and attempt.first.operator != "draft" and fitness(node, self._lower) < self._mean:
            return
        self._add(node)
        if len(self.living) > self._size:
            self._drop(min(self.living, key=lambda other: (fitness(other, self._lower), -other.step)))

    def _add(self, node: Node) -> None:
        self.living.append(node)
        if node.design is not None:
            self._designs.add(node.design)
        # A running mean stays exact among equals: rounding must not shut out a child as good as all others.
        self._mean += (fitness(node, self._lower) - self._mean) / len(self.living)

    def _drop(self, node: Node) -> None:
        self.living.remove(node)
        self._designs.discard(node.design or "")
        self._mean -= (fitness(node, self._lower) - self._mean) / len(self.living)


def populations(made: Sequence[Attempt], settings: EvolutionSettings, lower_is_better: bool) -> list[list[Node]]:
    """The islands' populations after these attempts."""
    islands = [Population(settings.island_size, lower_is_better) for _ in range(settings.islands)]
    for attempt in made:
        islands[attempt.first.island or 0].offer(attempt)
    return [island.living for island in islands]


def choose(living: Sequence[Node], settings: EvolutionSettings, rng: Rng, lower_is_better: bool) -> Node:
    """Draw a parent, by softmax over fitness scaled to 0..1 or as the best of a tournament (with replacement)."""
    values = np.array([fitness(node, lower_is_better) for node in living])
    if settings.parents == "tournament":
        drawn = rng.integers(len(living), size=settings.tournament_size)
        return living[int(drawn[np.argmax(values[drawn])])]
    values = values / max(1.0, float(np.abs(values).max()))  # differences of the largest floats would overflow
    span = float(np.ptp(values))
    weights = np.exp((values - values.max()) / (span * settings.temperature)) if span > 0 else np.ones(len(living))
    return living[int(rng.choice(len(living), p=weights / weights.sum()))]


def _abroad(islands: list[list[Node]], island: int, settings: EvolutionSettings, rng: Rng) -> list[Node]:
    """The population that a migrant comes from; empty without migration."""
    others = [living for i, living in enumerate(islands) if i != island and living]
    if rng.random() >= settings.migration_probability or not others:
        return []
    return others[int(rng.integers(len(others)))]
