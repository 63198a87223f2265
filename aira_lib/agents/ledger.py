"""What a search has spent on its model, added up from its nodes (see `aira_lib.agents.call_log` for steps without one).

The stop is before the next call: the last call before it may pass the budget, nothing after it is bought.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from aira_lib.agents.providers import Provider, provider_of
from aira_lib.errors import UserError
from aira_lib.records import Node
from aira_lib.study.agent import AgentSection


@dataclass(frozen=True)
class Spent:
    """Tokens (prompt and completion) and dollars; `dollars` is None where no price was ever known."""

    tokens: int
    dollars: float | None


def spent(nodes: Sequence[Node], besides: Mapping[str, float] | None = None) -> Spent:
    """Add up the usage of nodes and, besides, that of a step that has no node yet."""
    usages = [*(node.usage for node in nodes), *([besides] if besides else [])]
    prices = [usage["dollars"] for usage in usages if "dollars" in usage]
    return Spent(round(sum(map(_tokens, usages))), sum(prices) if prices else None)


def check_prices(agent: AgentSection) -> None:
    """Refuse a budget in dollars that cannot be kept, before the first call is paid.

    A provider that tells no prices at all may say what a call was with its answer; see `used_up`.

    Raises:
        UserError: no price is known of one of the agent's models.
    """
    for model in agent.models if agent.max_dollars is not None else ():
        provider = provider_of(model)
        tells_prices = type(provider).price is not Provider.price
        if tells_prices and provider.price(model) is None:
            raise _no_price(agent, model)


def used_up(
    agent: AgentSection, nodes: Sequence[Node], besides: Mapping[str, float] | None = None
) -> Literal["tokens", "dollars"] | None:
    """Say which budget of the agent is used up.

    Args:
        agent: The agent.
        nodes: All nodes so far.
        besides: The usage of a step that has no node yet: under way, or cut off by a kill.

    Raises:
        UserError: there is a budget in dollars, but tokens were used at no known price.
    """
    total = spent(nodes, besides)
    if agent.max_tokens_total is not None and total.tokens >= agent.max_tokens_total:
        return "tokens"
    if agent.max_dollars is None:
        return None
    if total.dollars is None and total.tokens:
        raise _no_price(agent, agent.model)
    return "dollars" if (total.dollars or 0.0) >= agent.max_dollars else None


def _no_price(agent: AgentSection, model: str) -> UserError:
    return UserError(
        f"agent {agent.name!r}: no price is known of model {model!r}, so max_dollars cannot be kept; "
        "set max_tokens_total (--max-tokens) instead"
    )


def _tokens(usage: Mapping[str, float]) -> float:
    parts = usage.get("prompt_tokens", 0.0) + usage.get("completion_tokens", 0.0)
    return usage.get("total_tokens", parts)
