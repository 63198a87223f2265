"""Research agents: a scaffold that decides what to do next around a model that proposes candidates."""

from aira_lib.agents.bounds import ReplyError
from aira_lib.agents.journal import Journal
from aira_lib.agents.model import Model, Reply
from aira_lib.agents.prompt import Prompt, Situation, render_prompt
from aira_lib.agents.providers import model_named
from aira_lib.agents.reply import Parsed, parse_reply
from aira_lib.agents.scaffold import next_step, total_steps
from aira_lib.agents.step import Step, best_node

__all__ = [
    "Journal",
    "Model",
    "Parsed",
    "Prompt",
    "Reply",
    "ReplyError",
    "Situation",
    "Step",
    "best_node",
    "model_named",
    "next_step",
    "parse_reply",
    "render_prompt",
    "total_steps",
]
