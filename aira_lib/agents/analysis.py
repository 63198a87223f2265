"""The operator that looks back: after a candidate ran, the model says in words what its result means.

Unlike AIRA-dojo's, which reads the score itself off the output, it decides nothing: a node is final before it is
analysed, and what is said goes into the memory and into the prompts of the node's children.
"""

import math
from dataclasses import replace

from aira_lib.agents.bounds import ReplyError
from aira_lib.agents.model import Model
from aira_lib.agents.prompt import Situation, render_analysis, shortened
from aira_lib.agents.spoken import spoken
from aira_lib.agents.usage import added
from aira_lib.foreign import harmless
from aira_lib.records import Node
from aira_lib.study.agent import AgentSection

MOST_ANALYSIS = 2_000  # characters kept


def wants_analysis(agent: AgentSection, node: Node) -> bool:
    """Whether the agent's setting asks for a look back at this node."""
    return agent.analyse == "all" or (agent.analyse == "failed" and node.status == "failed")


def analysed(node: Node, model: Model, situation: Situation, seed: int, seconds: float = math.inf) -> Node:
    """Ask the model about a node; a reply without a word in it leaves the analysis empty.

    Args:
        node: With all it will ever have but the analysis.
        model: The model that made it.
        situation: The task.
        seed: Of this call; another than that of the call that made the node.
        seconds: Time in which the answer is of use.

    Returns:
        The node with its analysis and with the usage of both calls.

    Raises:
        UserError: the model cannot be reached or refuses.
    """
    reply = model.reply(replace(render_analysis(situation, node), seconds=seconds), seed)
    try:
        text = harmless(shortened(spoken(reply.text).strip(), MOST_ANALYSIS))
    except ReplyError:
        text = ""
    return node.model_copy(update={"analysis": text, "usage": added(node.usage, reply.usage)})
