"""Random search, and the design that is left to take where a method has none of its own."""

from aira_lib.agents.baselines.baseline import History
from aira_lib.agents.baselines.space import whole
from aira_lib.agents.moves import Layers, Rng


def uniform(history: History, rng: Rng) -> tuple[Layers, str]:
    """A design drawn uniformly from those not tried; a repetition only when every one has been."""
    space = whole(history.primitives, history.n_layers)
    word = space.fresh(set(history.designs), rng)
    return (word, "Drawn uniformly.") if word else (space.draw(rng), "Drawn uniformly; all designs have been tried.")
