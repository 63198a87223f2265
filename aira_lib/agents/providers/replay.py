"""Recorded replies as a provider."""

from pathlib import Path

from aira_lib.agents.model import Model
from aira_lib.agents.providers.provider import Provider
from aira_lib.agents.replay import REPLAY, ReplayModel
from aira_lib.contents import file_digest
from aira_lib.records import StandIn
from aira_lib.study.agent import AgentSection, ReasoningEffort
from aira_lib.study.model_traits import REPLAY_TRAITS


class Replay(Provider):
    """`model: replay:PATH`."""

    traits = REPLAY_TRAITS
    over_network = False

    def make(self, model: str, temperature: float, reasoning_effort: ReasoningEffort) -> Model:
        """The recording at the path; it takes no settings.

        Raises:
            UserError: there is none, or it cannot be read.
        """
        return ReplayModel(Path(model.removeprefix(REPLAY)))

    def identity(self, model: str) -> str:
        """What the recording holds, wherever it lies.

        Raises:
            UserError: there is none, or it cannot be read.
        """
        return REPLAY + file_digest(ReplayModel(Path(model.removeprefix(REPLAY))).path)

    def stand_in(self, agent: AgentSection) -> StandIn:
        """Nobody is asked."""
        return StandIn(
            what="recorded replies",
            instead_of="calls of a large language model",
            detail=f"agent {agent.name!r}: {agent.model}; tokens and dollars are those of the recorded calls",
        )
