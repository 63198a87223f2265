"""The noise floor of a search: how much better than the best a node has to be before it is more than another seed.

A task with a baseline is begun by scoring that on several seeds. Their mean is the first best, and `sigmas` times
their standard deviation is the floor: a node that is better than the best by no more is kept in the journal as within
noise. It does not become the best, from which greedy goes on and which the search hands over. Tree search and evolution
choose among all good nodes by their fitness as it is: a floor on each comparison would stop small gains from adding up.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from aira_lib.agents.step import baseline_of, best_node, fitness
from aira_lib.records import Node
from aira_lib.study import AgentSection

SIGMA, SEEDS = "noise_sigma", "noise_seeds"
"""What the baseline's step measures: the standard deviation of its scores, and their number."""


@dataclass(frozen=True)
class Floor:
    """In units of the validation fitness: the baseline's mean, the standard deviation, and how many of it count."""

    mean: float
    sigma: float
    sigmas: float
    seeds: int

    @property
    def gain(self) -> float:
        """A gain has to be larger than this."""
        return self.sigmas * self.sigma

    def in_words(self, lower_is_better: bool) -> str:
        """A section of the prompt."""
        side = "below" if lower_is_better else "above"
        return (
            "# What counts as an improvement\n"
            f"The baseline program was scored with {self.seeds} seeds: mean {self.mean:.6g}, standard deviation "
            f"{self.sigma:.3g}.\nA program is the new best only if its fitness is {side} the best so far by more than "
            f"{self.gain:.3g} ({self.sigmas:g} standard deviations);\na smaller gain is recorded as within noise."
        )


def floor_of(nodes: Sequence[Node], sigmas: float) -> Floor | None:
    """The floor that the baseline's step gave; None where the search has none."""
    baseline = baseline_of(nodes)
    if baseline is None or baseline.validation is None:
        return None
    return Floor(baseline.validation, baseline.measures[SIGMA], sigmas, int(baseline.measures[SEEDS]))


def noise_of_gain(validation: float, nodes: Sequence[Node], agent: AgentSection, lower_is_better: bool) -> str:
    """Why a fitness that is better than the best so far is not taken for better; empty where it is, or is not better.

    Args:
        validation: Of the new node, finite.
        nodes: Those before it.
        agent: Says how many standard deviations count.
        lower_is_better: The direction.
    """
    floor, best = floor_of(nodes, agent.noise.sigmas), best_node(nodes, lower_is_better)
    if floor is None or best is None:
        return ""
    gain = fitness(best, lower_is_better) * -1.0
    gain += -validation if lower_is_better else validation
    if not 0 < gain <= floor.gain:
        return ""
    return f"within noise: {gain:.3g} better than step {best.step}, and {floor.gain:.3g} is the noise of seeds"


def mean_and_error(scores: Sequence[float]) -> dict[str, float | None]:
    """Mean, sample standard deviation (n - 1) and standard error; the last two are None for less than two scores."""
    sigma = statistics.stdev(scores) if len(scores) > 1 else None
    error = None if sigma is None else sigma / len(scores) ** 0.5
    return {"mean": statistics.fmean(scores) if scores else None, "sigma": sigma, "standard_error": error}
