"""The search stage: one agent, one seed, one task; a journal of everything it tried."""

import json
from typing import Any

from aira_lib.agents import model_named
from aira_lib.agents.ledger import check_prices
from aira_lib.agents.providers import provider_of
from aira_lib.agents.trial import tried_templates
from aira_lib.sandbox import isolation
from aira_lib.search.scratch import scratch_folder
from aira_lib.search.sitting import Sitting
from aira_lib.search.summary import summary_of
from aira_lib.search.trust import check_trust
from aira_lib.study import AgentSection, ProxySection, TaskSection
from aira_lib.tasks import SearchTask
from aira_lib.tasks.family import Opening
from aira_lib.tasks.further import further_packages
from aira_lib.tasks.live import Evaluate
from aira_lib.tasks.section import family_of
from aira_lib.work import Work


def search(
    task: TaskSection,
    proxy: ProxySection,
    agent: AgentSection,
    seed: int,
    work: Work,
    evaluate: Evaluate | None = None,
    asked_by: str = "",
) -> None:
    """Search until the steps, the hours or a budget are used up; goes on where an interrupted search stopped.

    Leaves `journal.jsonl` (a `Node` a line), `search.json` (the best design, counts and, of a task with a
    baseline, what came of its seeds, which are in `seeds.jsonl`), of a model over a network
    `calls.jsonl` (what each call used), with `record_replies` `replies.jsonl` and with `keep_prompts`
    `transcript.jsonl`; beside these, no part of the record, `page.html`, which is kept up to date while the search
    runs.
    The same study and seed give the same nodes, interrupted or not, if the model's replies are the same and no time
    limit intervenes.

    Args:
        task: What is searched.
        proxy: How a design is scored, where candidates are designs; all with the same seed, `proxy.seed`.
        agent: The scaffold, the model, the budget and the limits of candidates.
        seed: Which of the agent's seeds.
        work: The workplace.
        evaluate: A cheaper evaluation than the proxy's, for tests.
        asked_by: The search, as the store of evaluations is to remember it.

    Raises:
        UserError: no such task, one that is not for this agent, a model out of reach, or without a price where there
            is a budget in dollars, a template that is none, a package that is not installed, AIRA_DEVICE names a device
            that is not here, secrets within reach of programs that nothing isolates, a full disk; finished steps stay.
    """
    family = family_of(task)
    family.check(task, (agent,), proxy)
    further_packages(task)
    templates = tried_templates(agent, family.has_designs)
    searched = family.task(task)
    sitting = Sitting(searched, agent, seed, work)
    _log_choices(searched, family.params(task), agent, seed, work)
    family.say_stand_ins(task, proxy, work)
    if not sitting.done():
        check_prices(agent)
        check_trust([agent])
        with scratch_folder() as scratch:
            opening = Opening(scratch, work.threads, work.evaluations, asked_by, evaluate)
            opened = family.open(task, proxy, opening)
            sitting.go_on(opened, opening.told, scratch, model_named, templates, task.packages)
    sitting.end()
    of_task = family.summary(task, sitting.nodes) | sitting.told()
    summary = summary_of(searched, of_task, agent, seed, sitting.nodes, sitting.unfinished())
    (work.path / "search.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def _log_choices(searched: SearchTask, of_task: dict[str, object], agent: AgentSection, seed: int, work: Work) -> None:
    for model in agent.models:
        if entry := provider_of(model).stand_in(agent):
            work.stand_in(**entry.model_dump())
    work.log.params(
        of_task
        | {"task": searched.name, "seed": seed}
        | _flat("agent", agent.model_dump(mode="json", exclude={"seeds", "limits", "operators"}))
        | _flat("agent.operators", agent.operators.model_dump(mode="json", exclude_none=True))
    )
    work.log.tags({"agent": agent.name, "model": agent.model, "scaffold": agent.scaffold, "sandbox": isolation()})


def _flat(name: str, value: Any) -> dict[str, object]:
    """Nested settings under dotted names."""
    if not isinstance(value, dict):
        return {name: value}
    return {key: one for part, inner in value.items() for key, one in _flat(f"{name}.{part}", inner).items()}
