"""The study behind `aira search TASK`: one agent on one task, made from the options of the command line."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from aira_lib.agents.providers import UnknownModel, provider_of
from aira_lib.errors import UserError, nearest
from aira_lib.study import AgentSection, AggregateSection, Study, TaskSection, changed, digest
from aira_lib.study.agent import ScaffoldName
from aira_lib.study.model_traits import traits_of
from aira_lib.tasks.family import FAMILIES, writes_designs_only
from aira_lib.tasks.section import family_of

_OPTIONS = {
    "scaffold": "--agent",
    "max_tokens_total": "--max-tokens",
    "max_dollars": "--max-dollars",
}
_NAME = 54  # characters of a study's name before its digest; it may have 63


@dataclass(frozen=True)
class SearchOptions:
    """What `aira search TASK` was told. Defaults: the paper's greedy agent, 10 seeds of 500 steps or 24 hours.

    `profile` is "paper", "laptop" or a study's YAML file; None: what fits this machine. Budgets are of each seed.
    `literature` is a folder of one's own, for a task that has literature.
    """

    agent: str = "greedy"
    model: str = "offline"
    seeds: int = 10
    steps: int = 500
    hours: float = 24.0
    profile: str | None = None
    max_dollars: float | None = None
    max_tokens: int | None = None
    literature: Path | None = None


def study_for(task: str, options: SearchOptions) -> tuple[Study, str]:
    """Make the study, and say in a line which profile was taken where none was asked for (else nothing).

    Equal options but `seeds` give a study of the same name: its records hold whichever seeds were searched so far.

    Raises:
        UserError: an unknown task, agent, model or profile, or a number that makes no sense; one line.
    """
    section = _section(task)
    if options.literature:
        section = section.model_copy(update={"literature": str(options.literature)})
    family = family_of(section)
    searched = family.task(section)
    agent = _agent(options)
    if writes_designs_only(agent.model) and not family.has_designs:
        raise UserError(f"--model {agent.model}: it writes designs only; {searched.name} needs a language model")
    _check_model(agent)
    sized = family.sized(section, options.profile)
    identity = family.identity(sized.task, sized.proxy)
    key = digest([identity, changed(agent, exclude={"seeds"})])
    at_profile = f" with profile {sized.profile}" if sized.profile else ""
    study = Study(
        name=_name(searched.name, agent, key),
        description=f"Made by `aira search` of {family.what}, {searched.name}{at_profile}.",
        task=sized.task,
        proxy=sized.proxy,
        agents=(agent,),
        # Only the searches run; a study says how its designs would be aggregated, too.
        aggregate=(AggregateSection(name="vote"),) if family.has_designs else (),
    )
    return study, sized.remark


def _section(task: str) -> TaskSection:
    """The task of a name; of a name that no family knows, the folder that lies there."""
    named = TaskSection(name=task)
    known = any(family.claims(named) for family in FAMILIES.entries())
    return TaskSection(folder=os.path.abspath(task)) if Path(task).is_dir() and not known else named


def _agent(options: SearchOptions) -> AgentSection:
    # What stands there when nothing was said is no scaffold of a baseline.
    own = traits_of(options.model).scaffolds
    scaffold = own[0] if own and options.agent == SearchOptions.agent else options.agent
    values: dict[str, Any] = dict(
        scaffold=scaffold, model=options.model, seeds=options.seeds, steps=options.steps, hours=options.hours,
        max_dollars=options.max_dollars, max_tokens_total=options.max_tokens,
    )  # fmt: skip
    if options.agent not in get_args(ScaffoldName):
        raise UserError(f"--agent: unknown scaffold {options.agent!r}{nearest(options.agent, get_args(ScaffoldName))}")
    if options.seeds < 1:
        raise UserError(f"--seeds {options.seeds}: a search needs at least one seed")
    for option, number in (("--hours", options.hours), ("--max-dollars", options.max_dollars)):
        if number is not None and not math.isfinite(number):
            raise UserError(f"{option} {number}: the value should be a finite number")
    try:
        return AgentSection.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        field = str(problem["loc"][0]) if problem["loc"] else ""
        option = f"{_OPTIONS.get(field, f'--{field}')} {values.get(field)}" if field else f"--agent {scaffold}"
        message = problem["msg"].removeprefix("Value error, ").replace("Input", "the value", 1)
        raise UserError(f"{option}: {message}") from None


def _check_model(agent: AgentSection) -> None:
    """Fail now rather than in every process where a model's name or its packages are wrong; nothing is called."""
    try:
        provider_of(agent.model).check(agent.model, agent.temperature)
    except UnknownModel as error:
        raise UserError(f"--model: {error}") from None


def _name(task: str, agent: AgentSection, key: str) -> str:
    spoken = f"{task.removeprefix('NeuralArchitectureSearch')}-{agent.name}".lower()
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in spoken).strip("-")
    return f"{plain[:_NAME].rstrip('-')}-{key[:8]}"
