"""What a search came to so far, in words and as plain data."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from aira_lib.agents import best_node, total_steps
from aira_lib.agents.ledger import spent, used_up
from aira_lib.agents.step import tried
from aira_lib.records import Node
from aira_lib.study import AgentSection
from aira_lib.tasks import SearchTask


def so_far(nodes: Sequence[Node], searched: SearchTask) -> str:
    """The best so far, and how many failed."""
    best = best_node(nodes, searched.lower_is_better)
    made = tried(nodes)
    failed = sum(node.status == "failed" for node in made)
    found = f"best {best.validation:.4f} {best.design or f'at step {best.step}'}" if best else "nothing valid yet"
    return f"{found}, {failed} of {len(made)} failed" if failed else found


def summary_of(
    searched: SearchTask,
    of_task: Mapping[str, Any],
    agent: AgentSection,
    seed: int,
    nodes: Sequence[Node],
    besides: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """What a search came to; runs of the same search differ in `seconds` and evaluations trained or found.

    Args:
        searched: The task.
        of_task: What its family says of the search.
        agent: The agent.
        seed: Which of its seeds.
        nodes: All nodes.
        besides: What calls used for a step that has no node.
    """
    best, made = best_node(nodes, searched.lower_is_better), tried(nodes)
    return {
        "task": searched.name,
        **of_task,
        "agent": agent.name,
        "model": agent.model,
        "scaffold": agent.scaffold,
        "seed": seed,
        "steps": len(made),
        "stopped_by": "steps" if len(made) >= total_steps(agent) else used_up(agent, nodes, besides) or "time",
        "spent": asdict(spent(nodes, besides)),
        "best": best.model_dump(mode="json", include={"step", "id", "design", "validation", "test"}) if best else None,
        "status": dict(sorted(Counter(node.status for node in made).items())),
        "operators": {
            operator: dict(sorted(Counter(node.status for node in made if node.operator == operator).items()))
            for operator in sorted({node.operator for node in made})
        },
        "seconds": sum(node.seconds for node in nodes),
    }
