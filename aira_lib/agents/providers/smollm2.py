"""The small model of this machine as a provider."""

from aira_lib.agents.model import Model
from aira_lib.agents.providers.provider import Provider
from aira_lib.records import StandIn
from aira_lib.study.agent import AgentSection, ReasoningEffort
from aira_lib.study.model_traits import SMOLLM2_TRAITS


class Smollm2(Provider):
    """`model: smollm2`. It is called over the network of this machine alone, at no cost."""

    traits = SMOLLM2_TRAITS
    over_network = False

    def make(self, model: str, temperature: float, reasoning_effort: ReasoningEffort) -> Model:
        """The model; its server is started by the first call.

        Raises:
            MissingDependency: the extra smollm is not installed.
        """
        from aira_lib.agents.smollm2 import SmolLM2  # late: its server is this module run as a program

        return SmolLM2(temperature)

    def extras(self, model: str) -> tuple[str, ...]:
        """Its weights, its server, and the client of that."""
        return ("agents", "smollm")

    def stand_in(self, agent: AgentSection) -> StandIn:
        """It is far too small."""
        return StandIn(
            what="SmolLM2-135M, a small language model on this machine",
            instead_of="a large language model",
            detail=f"agent {agent.name!r}: few of its replies hold a valid program",
        )
