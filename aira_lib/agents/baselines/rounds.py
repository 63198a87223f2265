"""Composer's three ways to search the layers: all at once, or in rounds of a few, at the end or in the middle.

The source (Acun et al. 2025) grows a shorter model: it trains designs of n, 2n, ... layers. Here every design has the
study's number of layers, as the task asks and so that all baselines and agents are scored alike: the n layers that a
round searches are repeated over all that is not settled yet. So a round's best is among the designs of the next
round, and every evaluation costs the same (the source's shorter models cost less). The source gives each round all 2^n
designs; here it gets `TRIALS_A_ROUND` at most, and Bayesian optimisation chooses them. With 4 layers and 25 trials a
round a design of 16 layers takes the source's 100 trials; what a budget has left then goes into a search of all layers
at once. The source also shrinks the width of primitives with depth in its proxy; that is no part of a search, but
a setting of the proxy, `full_width_layers`.
"""

from collections.abc import Callable
from dataclasses import replace

from aira_lib.agents.baselines.baseline import History
from aira_lib.agents.baselines.space import Space, whole
from aira_lib.agents.moves import Layers

LAYERS_A_ROUND = 4
TRIALS_A_ROUND = 25

Mode = Callable[[History], Space]
"""Which designs come into question next, of what was observed."""

_Grow = Callable[[Space, Layers], Space]


def one_shot(history: History) -> Space:
    """All designs."""
    return whole(history.primitives, history.n_layers)


def end_layer(n: int = LAYERS_A_ROUND) -> Mode:
    """Rounds of n layers from the first to the last: the best so far is settled, the next n are searched."""
    return lambda history: _incremental(history, n, lambda space, word: replace(space, prefix=space.prefix + word))


def middle_layer(n: int = LAYERS_A_ROUND) -> Mode:
    """Rounds of n layers in the middle: the best so far is split in half, what comes between is searched."""
    return lambda history: _incremental(history, n, _split)


def _split(space: Space, word: Layers) -> Space:
    settled = space.prefix + word + space.suffix
    half = (len(settled) + 1) // 2
    return replace(space, prefix=settled[:half], suffix=settled[half:])


def _incremental(history: History, n: int, grow: _Grow) -> Space:
    """Go through the rounds that are over, in the order of what was observed, to the one that is not."""
    space = Space(history.primitives, history.n_layers, min(n, history.n_layers))
    over = 0
    while space.undecided:
        over += min(TRIALS_A_ROUND, space.size - len(_words(space, history.designs[:over])))
        best = _best_word(space, history, over)
        if len(history.designs) < over or best is None:
            return space
        space = grow(space, best)
        space = replace(space, searched=min(n, space.undecided))
    return one_shot(history)


def _words(space: Space, designs: tuple[Layers, ...]) -> set[Layers]:
    return {word for design in designs if (word := space.word(design)) is not None}


def _best_word(space: Space, history: History, until: int) -> Layers | None:
    """The word of the best of the first designs that are in a space, the earliest of equals."""
    best: tuple[float, Layers] | None = None
    for design, fitness in zip(history.designs[:until], history.fitness[:until], strict=True):
        word = space.word(design)
        if word is not None and fitness is not None and (best is None or fitness > best[0]):
            best = fitness, word
    return best[1] if best else None
