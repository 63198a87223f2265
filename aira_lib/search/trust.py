"""Whose programs a search runs: what AIRA itself wrote, or what a model wrote, which nobody has read."""

from collections.abc import Iterable

from aira_lib.agents.providers import provider_of
from aira_lib.sandbox import check_reach
from aira_lib.study import AgentSection


def check_trust(agents: Iterable[AgentSection]) -> None:
    """Refuse agents whose programs come from a model where nothing keeps these from secrets (see `check_reach`).

    Programs around the designs of baselines and of the offline agent are AIRA's own.

    Raises:
        UserError: one line that names what is within reach, and what to do.
    """
    if not all(provider_of(model).designs_only for agent in agents for model in agent.models):
        check_reach()
