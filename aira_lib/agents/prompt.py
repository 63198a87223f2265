"""Prompts: templates filled with what an agent may know, which is never the test fitness."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from aira_lib.agents.compiling import is_program
from aira_lib.agents.memory import memory, remembered
from aira_lib.agents.step import Operator, best_node, fitness, is_good
from aira_lib.agents.templates import OwnTemplate, built_in, fill
from aira_lib.records import Node
from aira_lib.study import CandidateLimits, digest
from aira_lib.study.agent import MemoryOf, OperatorName

MEMORY_MARKER = "MEMORY (JSON):"
_MOST_TEXT = 5_000  # characters of a program's output; its start and its end are kept
_MOST_ANALYSIS = 2_000
_MODERATE_FROM, _ADVANCED_FROM = 2, 4  # earlier attempts from the same point; AIRA-dojo's numbers
_NO_NODES: dict[str, list[Any]] = {"good": [], "tried": [], "failed": []}

ANALYSE: Literal["analyse"] = "analyse"


class Observation(NamedTuple):
    """A design that was evaluated and its validation fitness, more is better; None where it failed."""

    design: str
    fitness: float | None


@dataclass(frozen=True)
class Prompt:
    """What is sent to a model. `digest` tells prompts apart by all in them but the time left and the machine.

    `observations` are all designs of the search so far, in order, as data for models that fit a surrogate rather than
    read (`aira_lib.agents.baselines`): they are no part of the text, nor limited as its memory is. An answer is of use
    within `seconds`; a model gives up what takes longer, its waits and further attempts included.
    """

    text: str
    digest: str = ""
    observations: tuple[Observation, ...] = ()
    seconds: float = field(default=math.inf, compare=False)


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
        also: Further files that it has to write.
        packages: What may be imported beside Python's standard library, in words.
        edit: Whether changes to a program are asked for as whole files or as patches.
        one_change: Whether a patch shall make one change alone.
        prompts: The kind of task: templates in a folder of that name are taken before the common ones.
        gpu: The GPU that the program may use, in words; empty where it gets none.
        memory: Of which earlier steps the prompt tells.
        memory_tokens: In how many tokens at most.
        complexity_cues: Whether to ask for simple designs first and for elaborate ones later.
        templates: The agent's own, by operator, in the place of the built-in ones.
        is_artefact: Whether the program of a reply is the artefact itself, and is not run by itself.
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
    also: Sequence[str] = ()
    packages: str = "numpy and torch"
    edit: Literal["file", "patch"] = "file"
    one_change: bool = False
    prompts: Literal["design", "program"] = "design"
    gpu: str = ""
    memory: MemoryOf = "all"
    memory_tokens: int = 40_000
    complexity_cues: bool = False
    templates: Mapping[OperatorName, OwnTemplate] = field(default_factory=dict)
    is_artefact: bool = False


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

    Raises:
        UserError: a template of one's own cannot be filled.
    """
    patching = patch_wanted(operator, situation.edit, parent)
    parents = [node for node in (parent, other) if node]
    told = remembered(nodes, situation.memory, operator, parents)
    facts = {
        "parent": parent.design if parent else None,
        "other": other.design if other else None,
        "answer": "patch" if patching else "program",
        **memory(told, situation.lower_is_better, situation.memory_tokens),
    }
    rendered = _rendered(
        operator,
        situation,
        facts,
        {
            "patching": patching,
            "one_change": situation.one_change,
            "parent_is_best": parent is not None and parent == best_node(nodes, situation.lower_is_better),
            "complexity": complexity(operator, nodes, parent) if situation.complexity_cues else "",
            **_of_node("parent", parent),
            **_of_node("other", other),
        },
    )
    return replace(rendered, observations=_observations(nodes, situation.lower_is_better))


def _observations(nodes: Sequence[Node], lower_is_better: bool) -> tuple[Observation, ...]:
    return tuple(
        Observation(node.design, fitness(node, lower_is_better) if is_good(node) else None)
        for node in nodes
        if node.design is not None
    )


def render_analysis(situation: Situation, node: Node) -> Prompt:
    """Write the prompt that has a model look back at a node: its plan, program, output, and score or failure.

    Raises:
        UserError: a template of one's own cannot be filled.
    """
    facts = {
        "parent": node.design,
        "validation": node.validation,
        "gain": node.gain,
        "reason": node.reason,
        **_NO_NODES,
    }
    told = {"parent_status": node.status, "parent_gain": node.gain, "lower_is_better": situation.lower_is_better}
    return _rendered(ANALYSE, situation, facts, {**told, **_of_node("parent", node)})


def complexity(
    operator: Operator, nodes: Sequence[Node], parent: Node | None
) -> Literal["", "minimal", "moderate", "advanced"]:
    """How elaborate the next draft or improvement shall be, by how many there were from the same point.

    Below 2 earlier drafts, or children of the node to be improved, minimal; below 4 moderate; then advanced, as in
    AIRA-dojo, whose cues are off by default. The paper does not state whether it used them.
    """
    if operator == "draft":
        earlier = sum(node.operator == "draft" for node in nodes)
    elif operator == "improve" and parent:
        earlier = sum(parent.id in node.parents for node in nodes)
    else:
        return ""
    return "minimal" if earlier < _MODERATE_FROM else "moderate" if earlier < _ADVANCED_FROM else "advanced"


def _rendered(operator: OperatorName, situation: Situation, facts: dict[str, Any], of_step: dict[str, Any]) -> Prompt:
    """Fill a template with what holds for every step and with what holds for this one."""
    block = {"operator": operator, "primitives": situation.primitives, "layers": situation.layers, **facts}
    told = {
        "description": situation.description,
        "memory_mb": situation.limits.memory_mb,
        "disk_mb": situation.limits.disk_mb,
        "output_kb": situation.limits.output_kb,
        "steps_left": situation.steps_left,
        "data_overview": situation.data_overview,
        "memory_marker": MEMORY_MARKER,
        "memory_json": _json_lines(block),
        "memory_of": situation.memory,
        "artefact": situation.artefact,
        **of_step,
    }
    variables = told | {
        "timeout": max(0.0, min(situation.limits.seconds, situation.seconds_left)),
        "seconds_left": max(0.0, situation.seconds_left),
        "cores": situation.cores,
        "gpu": situation.gpu,
        "packages": situation.packages,
        "also": situation.also,
        "is_artefact": situation.is_artefact,
    }
    if own := situation.templates.get(operator):
        return Prompt(fill(own, variables), digest([operator, told, own.source]))
    return Prompt(built_in(operator, situation.prompts).render(variables), digest([operator, told]))


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


def _json_lines(block: dict[str, Any]) -> str:
    """One JSON object, each of its values on a line, and each good or failed node on one."""
    lines = [
        f" {json.dumps(key)}: [\n  " + ",\n  ".join(json.dumps(entry, ensure_ascii=False) for entry in value) + "]"
        if key in ("good", "failed") and value
        else f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
        for key, value in block.items()
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
        f"{name}_analysis": shortened(node.analysis, _MOST_ANALYSIS),
    }
