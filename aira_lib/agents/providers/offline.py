"""The embedded offline agent as a provider."""

from aira_lib.agents.model import Model
from aira_lib.agents.offline import OFFLINE, OfflineAgent
from aira_lib.agents.providers.provider import Provider
from aira_lib.records import StandIn
from aira_lib.study.agent import AgentSection, ReasoningEffort
from aira_lib.study.model_traits import ModelTraits


class Offline(Provider):
    """`model: offline`."""

    traits = ModelTraits(names=(OFFLINE,))
    over_network = False
    designs_only = True

    def make(self, model: str, temperature: float, reasoning_effort: ReasoningEffort) -> Model:
        """The agent; it takes no settings."""
        return OfflineAgent()

    def stand_in(self, agent: AgentSection) -> StandIn:
        """It does not reason."""
        return StandIn(
            what="the embedded offline agent (evolution with priors)",
            instead_of="a large language model",
            detail=f"agent {agent.name!r}: it proposes designs by mutation and crossover and does not reason",
        )
