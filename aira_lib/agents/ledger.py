"""What a search has spent on its model, added up from its nodes: a resumed search knows without a ledger file.

The stop is before the next call: the last call before it may pass the budget, nothing after it is bought.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from aira_lib.agent_spec import AgentSection
from aira_lib.errors import UserError
from aira_lib.records import Node


@dataclass(frozen=True)
class Spent:
    """Tokens (prompt and completion) and dollars; `dollars` is None where no price was ever known."""

    tokens: int
    dollars: float | None


def spent(nodes: Sequence[Node]) -> Spent:
    """Add up the usage of nodes."""
    prices = [node.usage["dollars"] for node in nodes if "dollars" in node.usage]
    return Spent(round(sum(_tokens(node.usage) for node in nodes)), sum(prices) if prices else None)


def used_up(agent: AgentSection, nodes: Sequence[Node]) -> Literal["tokens", "dollars"] | None:
    """Say which budget of the agent is used up.

    Raises:
        UserError: there is a budget in dollars, but tokens were used at no known price.
    """
    total = spent(nodes)
    if agent.max_tokens_total is not None and total.tokens >= agent.max_tokens_total:
        return "tokens"
    if agent.max_dollars is None:
        return None
    if total.dollars is None and total.tokens:
        raise UserError(
            f"agent {agent.name!r}: no price is known of model {agent.model!r}, so max_dollars cannot be kept; "
            "set max_tokens_total instead"
        )
    return "dollars" if (total.dollars or 0.0) >= agent.max_dollars else None


def _tokens(usage: dict[str, float]) -> float:
    parts = usage.get("prompt_tokens", 0.0) + usage.get("completion_tokens", 0.0)
    return usage.get("total_tokens", parts)
