"""Regularised evolution (Real et al., AAAI 2019, algorithm 1): the oldest of a population dies, not the worst.

The population is the last P designs that were scored, so it needs no memory of its own. A sample of S is drawn from it
with replacement; its best gets a child by one mutation: one layer becomes another primitive, which is the source's
change of an operation (its other mutation rewires cells, and a stack of layers has no wires).

The source has P = 100 and S = 25 for 20,000 evaluations. At the hundred or so of a search here that would be random
search throughout, so P = 20, with S a quarter of it as in the source. Two things differ: a child that was evaluated
before is drawn anew, since an evaluation is deterministic and a second one would tell nothing; and a design that
failed never enters the population.
"""

from aira_lib.agents.baselines.baseline import History, Propose
from aira_lib.agents.baselines.space import Space, whole
from aira_lib.agents.baselines.uniform import uniform
from aira_lib.agents.moves import Layers, Rng

POPULATION = 20
_SAMPLE_OF_POPULATION = 4
_ATTEMPTS = 50  # draws of a child with so many mutations before there is one mutation more


def regularised_evolution(population: int = POPULATION) -> Propose:
    """The method with a population of some size; the sample is a quarter of it, at least 2."""
    sample = max(2, population // _SAMPLE_OF_POPULATION)

    def propose(history: History, rng: Rng) -> tuple[Layers, str]:
        alive = history.scored()[-population:]
        if len(alive) < population:
            layers, told = uniform(history, rng)
            return layers, f"Of the first population. {told}"
        space, tried = whole(history.primitives, history.n_layers), set(history.designs)
        for mutations in range(1, history.n_layers + 1):
            for _ in range(_ATTEMPTS):
                drawn = [alive[int(i)] for i in rng.integers(len(alive), size=sample)]
                parent, fitness = max(drawn, key=lambda one: one[1])
                child = _mutated(parent, mutations, space, rng)
                if child not in tried:
                    return child, f"{mutations} of its layers mutated; the parent, best of {sample}, has {fitness:.6g}."
        return uniform(history, rng)

    return propose


def _mutated(layers: Layers, mutations: int, space: Space, rng: Rng) -> Layers:
    """Layers with some of them, at distinct places, each made another primitive."""
    if len(space.primitives) < 2:
        return layers
    child = list(layers)
    for place in rng.choice(len(layers), size=mutations, replace=False):
        others = [primitive for primitive in space.primitives if primitive != child[place]]
        child[place] = others[int(rng.integers(len(others)))]
    return tuple(child)
