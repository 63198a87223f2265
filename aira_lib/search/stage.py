"""The search stage: one agent, one seed, one task; a journal of everything it tried."""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from aira_lib.agents import Journal, best_node, model_named, total_steps
from aira_lib.agents.ledger import check_prices, spent, used_up
from aira_lib.agents.providers import provider_of
from aira_lib.agents.telling import hearing
from aira_lib.device import cores
from aira_lib.records import PAGE, Node
from aira_lib.sandbox import isolation
from aira_lib.search.asked import Asked, kept_files
from aira_lib.search.candidate import Candidates
from aira_lib.search.kept import Kept
from aira_lib.search.page import LivePage, agent_settings
from aira_lib.search.scratch import scratch_folder
from aira_lib.search.trust import check_trust
from aira_lib.study import AgentSection, ProxySection, TaskSection
from aira_lib.tasks import SearchTask
from aira_lib.tasks.family import Opening
from aira_lib.tasks.live import Evaluate
from aira_lib.tasks.section import family_of
from aira_lib.work import Work

JOURNAL = "journal.jsonl"


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

    Leaves `journal.jsonl` (a `Node` a line), `search.json` (the best design and counts), of a model over a network
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
            is a budget in dollars, AIRA_DEVICE names a device that is not here, secrets within reach of programs that
            nothing isolates, a full disk; finished steps stay.
    """
    family = family_of(task)
    family.check(task, (agent,), proxy)
    searched = family.task(task)
    journal = Journal(work.path / JOURNAL)
    steps = total_steps(agent)
    clock = _Clock(agent.hours * 3600, journal.nodes)
    page = LivePage(
        work.path / PAGE, work.push, f"{searched.name}: {agent.name}, seed {seed}", searched.lower_is_better,
        agent_settings(agent),
    )  # fmt: skip
    _log_choices(searched, family.params(task), agent, seed, work)
    family.say_stand_ins(task, proxy, work)
    kept = Kept(work, searched.lower_is_better)
    asked = Asked(agent, work)

    def unfinished() -> dict[str, float]:
        return asked.begin(len(journal.nodes))

    def over() -> bool:
        return (
            len(journal.nodes) >= steps or clock.left() <= 0 or used_up(agent, journal.nodes, unfinished()) is not None
        )

    if not over():
        check_prices(agent)
        check_trust([agent])
        with scratch_folder() as scratch:
            opening = Opening(scratch, work.threads, work.evaluations, asked_by, evaluate)
            opened = family.open(task, proxy, opening)
            kept.begin(opening.told)
            page.facts = kept.facts()
            if said := kept.in_words():
                work.progress(len(journal.nodes), steps, said)
            asked.make_models(model_named)
            candidates = Candidates(
                task=opened, agent=agent, seed=seed, model_for=asked.model_for, scratch=scratch, cores=cores(),
                begin=asked.begin,
            )  # fmt: skip
            while not over():
                done = len(journal.nodes)
                clock.start()
                within = _within(work, done, steps)
                with hearing(partial(within, 0.0, 1.0)):
                    node = candidates.make(journal.nodes, steps - done, clock.left, within)
                kept.submission(node, journal.nodes, candidates.submitted)
                journal.append(node)
                clock.stop(node)
                work.push(JOURNAL)
                for name in kept_files(agent):
                    work.push(name)
                _log_node(journal.nodes, searched, work)
                work.progress(done + 1, steps, _note(journal.nodes, searched))
                page.refresh(journal.nodes)
            asked.say_left_out()
    kept.say_stand_in(journal.nodes)
    page.facts = kept.facts()
    page.finish(journal.nodes)
    of_task = family.summary(task, journal.nodes) | kept.told()
    summary = _summary(searched, of_task, agent, seed, journal.nodes, unfinished())
    (work.path / "search.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def _within(work: Work, done: int, steps: int) -> Callable[[float, float, str], None]:
    """Progress of a step as progress of the search."""
    return lambda part, whole, note: work.progress(done + part / max(whole, 1), steps, note)


class _Clock:
    """The time left of a search: its budget less what its steps took, those before an interruption included.

    What is between steps is not counted, so that an interrupted search has the time that a whole one has.
    """

    def __init__(self, budget: float, nodes: list[Node]) -> None:
        self.budget = budget - sum(node.seconds for node in nodes)
        self.started: float | None = None

    def start(self) -> None:
        """A step begins."""
        self.started = time.monotonic()

    def stop(self, node: Node) -> None:
        """The step has come to a node."""
        self.budget, self.started = self.budget - node.seconds, None

    def left(self) -> float:
        """Seconds."""
        return self.budget if self.started is None else self.budget - (time.monotonic() - self.started)


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


def _log_node(nodes: list[Node], searched: SearchTask, work: Work) -> None:
    node, best = nodes[-1], best_node(nodes, searched.lower_is_better)
    measured = {
        "valid": float(node.status == "ok"),
        "validation": node.validation,
        "best_validation": best.validation if best else None,
        "test_hidden_from_agent": node.test,
    }
    work.log.metrics({name: value for name, value in measured.items() if value is not None}, node.step)


def _note(nodes: list[Node], searched: SearchTask) -> str:
    """The best so far, and how many failed."""
    best = best_node(nodes, searched.lower_is_better)
    failed = sum(node.status == "failed" for node in nodes)
    found = f"best {best.validation:.4f} {best.design or f'at step {best.step}'}" if best else "nothing valid yet"
    return f"{found}, {failed} of {len(nodes)} failed" if failed else found


def _summary(
    searched: SearchTask,
    of_task: dict[str, Any],
    agent: AgentSection,
    seed: int,
    nodes: list[Node],
    besides: Mapping[str, float],
) -> dict[str, Any]:
    """What a search came to; runs of the same search differ in `seconds` and evaluations trained or found."""
    best = best_node(nodes, searched.lower_is_better)
    return {
        "task": searched.name,
        **of_task,
        "agent": agent.name,
        "model": agent.model,
        "scaffold": agent.scaffold,
        "seed": seed,
        "steps": len(nodes),
        "stopped_by": "steps" if len(nodes) >= total_steps(agent) else used_up(agent, nodes, besides) or "time",
        "spent": asdict(spent(nodes, besides)),
        "best": best.model_dump(mode="json", include={"step", "id", "design", "validation", "test"}) if best else None,
        "status": dict(sorted(Counter(node.status for node in nodes).items())),
        "operators": {
            operator: dict(sorted(Counter(node.status for node in nodes if node.operator == operator).items()))
            for operator in sorted({node.operator for node in nodes})
        },
        "seconds": sum(node.seconds for node in nodes),
    }
