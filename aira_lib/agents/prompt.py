"""Prompts: the templates under prompts/ filled with what an agent may know, which is never the test fitness."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import jinja2

from aira_lib.agents.reply import is_program
from aira_lib.agents.step import Operator, best_node, is_good
from aira_lib.records import Node
from aira_lib.spec import CandidateLimits, digest

MEMORY_MARKER = "MEMORY (JSON):"
MOST_GOOD, MOST_TRIED, MOST_FAILED = 40, 1_000, 5
"""How many nodes of each kind the memory holds: what a context of some 10,000 tokens allows."""

_MOST_TEXT = 5_000  # characters of a program's output; its start and its end are kept
_SUMMARY = 300  # characters of another node's plan or failure


@dataclass(frozen=True)
class Prompt:
    """What is sent to a model. `digest` tells prompts apart by all that is in them but the time left and the cores."""

    text: str
    digest: str = ""


@dataclass(frozen=True)
class Situation:
    """What holds for a step whatever its operator.

    Attributes:
        description: The task in words.
        primitives: The kinds of layer.
        layers: The number of layers of a design.
        data_overview: Which files the program finds, and what is in them.
        limits: What the program may use; its time is clipped to what is left of the run.
        cores: Processor cores of the machine.
        seconds_left: Wall time left for the search.
        steps_left: Steps left, this one included.
        lower_is_better: The direction of the fitness.
        artefact: The file that the program has to write.
        edit: Whether changes to a program are asked for as whole files or as patches.
        one_change: Whether a patch shall make one change alone.
    """

    description: str
    primitives: tuple[str, ...]
    layers: int
    data_overview: str
    limits: CandidateLimits
    cores: int
    seconds_left: float
    steps_left: int
    lower_is_better: bool = False
    artefact: str = "submission.csv"
    edit: Literal["file", "patch"] = "file"
    one_change: bool = False


def patch_wanted(operator: Operator, edit: Literal["file", "patch"], parent: Node | None) -> bool:
    """Whether a step is asked for as a patch: an improvement or a repair of what is a program at all."""
    return edit == "patch" and operator in ("improve", "debug") and parent is not None and is_program(parent.code)


def render_prompt(
    operator: Operator,
    situation: Situation,
    nodes: Sequence[Node],
    parent: Node | None,
    other: Node | None = None,
) -> Prompt:
    """Write the prompt of a step: its operator's template, the task, the real resources and the memory.

    Args:
        operator: Names the template.
        situation: The task and the resources.
        nodes: All nodes so far, in the order of their steps.
        parent: The node to improve, to mend or to cross; None for a draft.
        other: The second node to cross.
    """
    patching = patch_wanted(operator, situation.edit, parent)
    memory = {
        "operator": operator,
        "primitives": situation.primitives,
        "layers": situation.layers,
        "parent": parent.design if parent else None,
        "other": other.design if other else None,
        "answer": "patch" if patching else "program",
        **_memory(nodes, situation.lower_is_better),
    }
    told = {
        "description": situation.description,
        "memory_mb": situation.limits.memory_mb,
        "disk_mb": situation.limits.disk_mb,
        "output_kb": situation.limits.output_kb,
        "steps_left": situation.steps_left,
        "data_overview": situation.data_overview,
        "memory_marker": MEMORY_MARKER,
        "memory_json": _json_lines(memory),
        "artefact": situation.artefact,
        "patching": patching,
        "one_change": situation.one_change,
        "parent_is_best": parent is not None and parent == best_node(nodes, situation.lower_is_better),
        **_of_node("parent", parent),
        **_of_node("other", other),
    }
    text = (
        _templates()
        .get_template(f"{operator}.jinja")
        .render(
            told,
            timeout=max(0.0, min(situation.limits.seconds, situation.seconds_left)),
            seconds_left=max(0.0, situation.seconds_left),
            cores=situation.cores,
        )
    )
    return Prompt(text, digest([operator, told]))


def read_memory(text: str) -> dict[str, Any]:
    """Read the memory back out of a prompt's text, as the embedded agent does.

    Raises:
        ValueError: the text holds no memory.
    """
    start = text.index(MEMORY_MARKER) + len(MEMORY_MARKER)
    value, _ = json.JSONDecoder().raw_decode(text[start:].lstrip())
    if not isinstance(value, dict):
        raise ValueError("the memory is not a JSON object")
    return value


def shortened(text: str, most: int = _MOST_TEXT) -> str:
    """The start and the end of a text that is too long."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}\n[... {len(text) - 2 * half} characters ...]\n{text[-half:]}"


def _memory(nodes: Sequence[Node], lower_is_better: bool) -> dict[str, Any]:
    sign = 1.0 if lower_is_better else -1.0
    good = sorted((node for node in nodes if is_good(node)), key=lambda node: sign * (node.validation or 0.0))
    distinct = list({node.design: node for node in reversed(good)}.values())[::-1]
    failed = [node for node in nodes if not is_good(node)]
    return {
        "good": [
            {"design": node.design, "validation": node.validation, "step": node.step, "plan": node.plan[:_SUMMARY]}
            for node in distinct[:MOST_GOOD]
        ],
        "tried": list(dict.fromkeys(node.design for node in nodes if node.design))[-MOST_TRIED:],
        "failed": [{"step": node.step, "reason": node.reason[:_SUMMARY]} for node in failed[-MOST_FAILED:]],
    }


def _json_lines(memory: dict[str, Any]) -> str:
    """One JSON object, each of its values on a line, and each good or failed node on one."""
    lines = [
        f" {json.dumps(key)}: [\n  " + ",\n  ".join(json.dumps(entry, ensure_ascii=False) for entry in value) + "]"
        if key in ("good", "failed") and value
        else f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
        for key, value in memory.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}"


def _of_node(name: str, node: Node | None) -> dict[str, Any]:
    if node is None:
        return {}
    return {
        f"{name}_design": node.design,
        f"{name}_validation": node.validation,
        f"{name}_plan": shortened(node.plan) or "(none)",
        f"{name}_code": node.code.rstrip() or "# The reply held no program.",
        f"{name}_output": shortened(node.output.rstrip()) or "(nothing)",
        f"{name}_reason": node.reason or "unknown",
    }


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("prompts")),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
