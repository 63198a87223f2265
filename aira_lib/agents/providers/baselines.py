"""Searches without a language model as a provider."""

from aira_lib.agents.baselines import baseline_named
from aira_lib.agents.model import Model
from aira_lib.agents.providers.provider import Provider
from aira_lib.study.agent import ReasoningEffort
from aira_lib.study.model_traits import BASELINE_TRAITS


class Baselines(Provider):
    """`model: random`, `model: bo-end-layer:2` and the like; they stand in for nothing, they are compared with."""

    traits = BASELINE_TRAITS
    over_network = False
    designs_only = True

    def make(self, model: str, temperature: float, reasoning_effort: ReasoningEffort) -> Model:
        """The baseline; it takes no settings.

        Raises:
            MissingDependency: Bayesian optimisation without botorch.
            UserError: not a number that it takes.
        """
        return baseline_named(model)

    def extras(self, model: str) -> tuple[str, ...]:
        """Gaussian processes, for Bayesian optimisation."""
        return ("bo",) if model.startswith("bo-") else ()
