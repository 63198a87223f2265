"""Search without a language model, behind the interface of a model: what agents are compared with.

| model | what it does | source |
| --- | --- | --- |
| `random` | a design drawn uniformly | |
| `regularised-evolution[:P]` | mutates the best of a sample of the last P designs | Real et al. 2019 |
| `bo-one-shot` | Bayesian optimisation of all layers at once | Composer, its default |
| `bo-end-layer[:n]` | the same, n layers after those that are settled | Composer |
| `bo-middle-layer[:n]` | the same, n layers in the middle of those that are settled | Composer |

None proposes a design that was evaluated before. Each is a function of what was observed so far (never the test
fitness) and of the step's seed, so an interrupted search goes on as if it had not been. With the same seed they begin
with the same random designs, as far as they begin with random ones: what sets them apart is what they make of them.
"""

from collections.abc import Callable

from aira_lib.agents.baselines.baseline import Baseline, Propose
from aira_lib.agents.baselines.bayesian import bayesian
from aira_lib.agents.baselines.evolve import POPULATION, regularised_evolution
from aira_lib.agents.baselines.rounds import LAYERS_A_ROUND, end_layer, middle_layer, one_shot
from aira_lib.agents.baselines.uniform import uniform
from aira_lib.errors import UserError
from aira_lib.study.model_traits import BASELINES

__all__ = ["Baseline", "baseline_named"]

_WITH_NUMBER: dict[str, tuple[int, Callable[[int], Propose]]] = {
    "regularised-evolution": (POPULATION, regularised_evolution),
    "bo-end-layer": (LAYERS_A_ROUND, lambda n: bayesian(end_layer(n))),
    "bo-middle-layer": (LAYERS_A_ROUND, lambda n: bayesian(middle_layer(n))),
}
_PLAIN: dict[str, Callable[[], Propose]] = {"random": lambda: uniform, "bo-one-shot": lambda: bayesian(one_shot)}


def baseline_named(name: str) -> Baseline:
    """Return a baseline; a number after a colon is its population or its layers a round.

    Raises:
        MissingDependency: Bayesian optimisation without botorch.
        UserError: no such baseline, or not a number that it takes.
    """
    kind, colon, text = name.partition(":")
    if kind in _PLAIN and not colon:
        return Baseline(name, _PLAIN[kind]())
    if kind not in _WITH_NUMBER:
        known = ", ".join(BASELINES)
        raise UserError(f"model {name!r}: {kind} takes no number" if kind in _PLAIN else f"{name!r} is none of {known}")
    number, make = _WITH_NUMBER[kind]
    if colon and not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 10_000):
        raise UserError(f"model {name!r}: write {kind} or {kind}:N with a whole number N from 1 to 10,000")
    return Baseline(name, make(int(text) if colon else number))
