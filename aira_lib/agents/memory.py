"""What a prompt tells of earlier steps: the memory, as JSON, of the nodes that its mode selects, within a limit.

| mode | the nodes it tells of |
| --- | --- |
| none | none |
| siblings | what came of the same node before: its children; for a draft the earlier drafts |
| ancestors | the node to be changed, what it was made from, and so on back to drafts; for a draft none |
| all | every node |

The modes are AIRA-dojo's (its `simple` is our `all`). Of the nodes, the good ones go in first, the best before the
others, then the last failures, then which designs were evaluated at all, the latest first; the first entry that is
beyond the limit ends it. A token is counted as three characters of JSON: English and code have about four, layer
patterns about two; tokenizers differ, and a limit that holds for all models is worth more than one exact for one.
"""

import json
import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from aira_lib.agents.step import Operator, fitness, is_good
from aira_lib.records import Node
from aira_lib.study.agent import MemoryOf

MOST_GOOD, MOST_TRIED, MOST_FAILED = 40, 1_000, 5
"""How many nodes of each kind the memory holds, whatever its limit."""

CHARACTERS_A_TOKEN = 3
_SUMMARY = 300  # characters of another node's plan, analysis or failure


def tokens(text: str) -> int:
    """How many tokens a text counts as; see the module's docstring."""
    return math.ceil(len(text) / CHARACTERS_A_TOKEN)


def remembered(nodes: Sequence[Node], of: MemoryOf, operator: Operator, parents: Sequence[Node]) -> list[Node]:
    """Select the nodes that a step is told of, in the order of their steps.

    Args:
        nodes: All nodes so far.
        of: The mode.
        operator: What the step does.
        parents: Of which nodes; none for a draft.
    """
    if of == "none":
        return []
    if of == "all":
        return list(nodes)
    names = {parent.id for parent in parents}
    if of == "siblings":
        return [node for node in nodes if names & set(node.parents) or (not names and node.operator == operator)]
    chain: set[str] = set()
    for node in reversed(nodes):  # parents come before their children
        if node.id in names:
            chain.add(node.id)
            names |= set(node.parents)
    return [node for node in nodes if node.id in chain]


def memory(nodes: Sequence[Node], lower_is_better: bool, most_tokens: int) -> dict[str, list[Any]]:
    """Tell of nodes: `good`, `tried` and `failed`, within a number of tokens."""
    kept: dict[str, list[Any]] = {"good": [], "tried": [], "failed": []}
    left = most_tokens
    for kind, entry in _entries(nodes, lower_is_better):
        left -= _cost_of_design(entry) if kind == "tried" else _cost(entry)
        if left < 0:
            break
        kept[kind].append(entry)
    return {"good": kept["good"], "tried": kept["tried"][::-1], "failed": kept["failed"][::-1]}


def _cost(entry: Any) -> int:
    """In tokens."""
    return tokens(json.dumps(entry, ensure_ascii=False) + ", ")


# Every prompt of a search tells of nearly the same designs as the one before: what each costs is worked out once.
_cost_of_design = lru_cache(maxsize=1 << 16)(_cost)


def _entries(nodes: Sequence[Node], lower_is_better: bool) -> Iterator[tuple[str, Any]]:
    """All there is to tell, what matters most first."""
    best: list[Node] = []
    failed: list[Node] = []
    for node in nodes:
        (best if is_good(node) else failed).append(node)
    best.sort(key=lambda node: -fitness(node, lower_is_better))
    distinct = list({node.design or node.id: node for node in reversed(best)}.values())[::-1]
    for node in distinct[:MOST_GOOD]:
        yield "good", _good(node)
    for node in failed[: -MOST_FAILED - 1 : -1]:
        yield "failed", {"step": node.step, "reason": node.reason[:_SUMMARY], **_analysed(node)}
    tried = list(dict.fromkeys(node.design for node in nodes if node.design))
    for design in tried[: -MOST_TRIED - 1 : -1]:
        yield "tried", design


def _good(node: Node) -> dict[str, Any]:
    """A good node; of a patch also which change gave which gain."""
    entry = {"design": node.design, "validation": node.validation, "step": node.step, "plan": node.plan[:_SUMMARY]}
    if node.change and node.gain is not None:
        entry |= {"change": node.change, "gain": node.gain}
    if node.within_noise:
        entry["within_noise"] = True
    return {**entry, **_analysed(node)}


def _analysed(node: Node) -> dict[str, str]:
    return {"analysis": node.analysis[:_SUMMARY]} if node.analysis else {}
