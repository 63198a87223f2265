"""What a search has spent on its model, added up from its nodes: a resumed search knows without a ledger file.

The stop is before the next call: the last call before it may pass the budget, nothing after it is bought.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from aira_lib.errors import UserError
from aira_lib.records import Node
from aira_lib.study.agent import AgentSection


@dataclass(frozen=True)
class Spent:
    """Tokens (prompt and completion) and dollars; `dollars` is None where no price was ever known."""

    tokens: int
    dollars: float | None


def spent(nodes: Sequence[Node]) -> Spent:
    """Add up the usage of nodes."""
    prices = [node.usage["dollars"] for node in nodes if "dollars" in node.usage]
    return Spent(round(sum(_tokens(node.usage) for node in nodes)), sum(prices) if prices else None)


def added(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    """The usage of two calls. Where one has no price, the sum is of those known; `estimated` if one of them is."""
    both = {name: first.get(name, 0.0) + second.get(name, 0.0) for name in {**first, **second}}
    return both | ({"estimated": 1.0} if "estimated" in both else {})


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
