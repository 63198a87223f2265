"""A trial of an agent's own templates before anything starts: each is filled for made-up steps of all kinds."""

from collections.abc import Iterator
from dataclasses import replace

from aira_lib.agents.prompt import ANALYSE, Situation, render_analysis, render_prompt
from aira_lib.agents.templates import OwnTemplate, read_template
from aira_lib.errors import UserError
from aira_lib.records import Node
from aira_lib.study.agent import AgentSection, OperatorName


def tried_templates(agent: AgentSection, has_designs: bool) -> dict[OperatorName, OwnTemplate]:
    """Read an agent's own templates, by operator, and try each.

    Args:
        agent: Names them.
        has_designs: Whether its candidates are designs (see `aira_lib.tasks.family.TaskFamily`).

    Raises:
        UserError: one cannot be read, is no template, or cannot be filled at some step; with the operator, the path,
            and where there is one to blame the line.
    """
    found: dict[OperatorName, OwnTemplate] = {}
    for operator, path in agent.own_prompts.items():
        try:
            found[operator] = read_template(path)
            for situation in _situations(agent, operator, found[operator], has_designs):
                _try(operator, situation, has_designs)
        except UserError as error:
            raise UserError(f"operators.{operator}.prompt: {error}") from None
    return found


def _situations(
    agent: AgentSection, operator: OperatorName, template: OwnTemplate, has_designs: bool
) -> Iterator[Situation]:
    """A bare one, and one with all that there can be."""
    bare = Situation(
        "the task", ("A", "M") if has_designs else (), 2 if has_designs else 0, "the data", agent.limits, 1, 60.0, 1,
        edit=agent.edit, one_change=agent.one_change, memory=agent.memory_for(operator),
        memory_tokens=agent.memory_tokens, complexity_cues=agent.complexity_cues, templates={operator: template},
        prompts="design" if has_designs else "program",
    )  # fmt: skip
    yield bare
    if not has_designs:
        yield replace(bare, is_artefact=True)
    yield replace(bare, gpu="a GPU", also=("validation.json",), lower_is_better=True, steps_left=9)


def _try(operator: OperatorName, situation: Situation, has_designs: bool) -> None:
    """Write its prompts for nodes of each kind.

    Raises:
        UserError: the template cannot be filled.
    """
    nodes = _nodes(has_designs)
    draft, changed, failed, prose = nodes[:4]
    if operator == ANALYSE:
        for node in nodes:
            render_analysis(situation, node)
    elif operator == "draft":
        for drafts in range(len(nodes)):  # by their number a draft is asked for in other words
            render_prompt(operator, situation, nodes[:drafts], None)
    else:
        of = [(failed, None), (prose, None)] if operator == "debug" else [(draft, changed), (changed, draft)]
        for parent, other in of:
            render_prompt(operator, situation, nodes, parent, other if operator == "crossover" else None)


def _nodes(has_designs: bool) -> list[Node]:
    """A good draft, a good change of it, a program that failed, prose without a program, and two drafts more."""

    def node(step: int, **fields: object) -> Node:
        made = {"step": step, "id": str(step), "operator": "draft", "status": "failed", "reason": "why", **fields}
        return Node.model_validate(made)

    good = {"status": "ok", "reason": "", "plan": "a plan", "code": "print(1)", "output": "1"}
    return [
        node(0, validation=0.5, design="2A" if has_designs else None, **good),
        node(1, validation=0.75, design="A-M" if has_designs else None, **good, operator="improve", parents=("0",),
             change="a change", gain=0.25, analysis="it worked"),
        node(2, code="print(1)", output="1", plan="a plan", analysis="it did not work"),
        node(3, code="no program"),
        *(node(step) for step in (4, 5)),
    ]  # fmt: skip
