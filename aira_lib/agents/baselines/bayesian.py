"""Bayesian optimisation as in Composer: a Gaussian process over designs, and qLogNEI to choose the next one.

The source (Acun et al. 2025) names SingleTaskGP with an RBF kernel, qLogNEI and about 100 trials for 16 layers; the
number of random designs to begin with, and how it optimises over a discrete space, it does not state. Here: 10, and
`surrogate.best_word`. A design that failed counts with the worst fitness seen, so that the surrogate keeps away from
its like without a made-up value. Until a search has 10 scored designs they are random ones of the mode's space; later
rounds of an incremental mode begin with the surrogate of all that was scored before, without random designs of their
own.
"""

from importlib.util import find_spec

from aira_lib.agents.baselines.baseline import History, Propose
from aira_lib.agents.baselines.rounds import Mode
from aira_lib.agents.baselines.uniform import uniform
from aira_lib.agents.moves import Layers, Rng
from aira_lib.errors import MissingDependency

INITIAL = 10


def bayesian(mode: Mode) -> Propose:
    """The method in one of Composer's modes.

    Raises:
        MissingDependency: botorch is not installed.
    """
    if find_spec("botorch") is None:
        raise MissingDependency("Bayesian optimisation", "bo")

    def propose(history: History, rng: Rng) -> tuple[Layers, str]:
        space, tried = mode(history), set(history.designs)
        if len(history.scored()) < INITIAL:
            word = space.fresh(tried, rng)
            return (space.design(word), "One of the random designs to begin with.") if word else uniform(history, rng)
        from aira_lib.agents.baselines.surrogate import best_word  # takes seconds

        word = best_word(space, history.designs, with_worst(history), rng)
        return (space.design(word), _told(space.searched)) if word else uniform(history, rng)

    return propose


def with_worst(history: History) -> list[float]:
    """The fitness of every design, that of failed ones the worst of the others."""
    worst = min(fitness for _, fitness in history.scored())
    return [worst if fitness is None else fitness for fitness in history.fitness]


def _told(searched: int) -> str:
    return f"The largest qLogNEI under the Gaussian process; {searched} layers are searched."
