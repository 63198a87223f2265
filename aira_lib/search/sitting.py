"""A search while it runs: it makes one node after the other, keeps each at once, and says how far it is."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from aira_lib.agents import Journal, Model, best_node, total_steps
from aira_lib.agents.ledger import used_up
from aira_lib.agents.step import baseline_of
from aira_lib.agents.telling import hearing
from aira_lib.agents.templates import OwnTemplate
from aira_lib.agents.transcript import TRANSCRIPT
from aira_lib.records import PAGE, Node
from aira_lib.sandbox import cores_of_candidate
from aira_lib.search.asked import Asked, kept_files
from aira_lib.search.candidate import Candidates, id_of_step
from aira_lib.search.kept import Kept
from aira_lib.search.noise import SeedRuns
from aira_lib.search.page import LivePage, agent_settings
from aira_lib.search.results import result_files
from aira_lib.search.summary import so_far
from aira_lib.study import AgentSection
from aira_lib.study.agent import OperatorName
from aira_lib.tasks import SearchTask
from aira_lib.tasks.live import Reseeded, Task, reseeded
from aira_lib.work import Work

JOURNAL = "journal.jsonl"


class Sitting:
    """One search from where it stands, which is its start or what an interrupted one left, to its end."""

    def __init__(self, searched: SearchTask, agent: AgentSection, seed: int, work: Work) -> None:
        """Read what there is; nothing is asked or run."""
        self._kept = Kept(work, searched.lower_is_better)
        self._searched, self._agent, self._seed, self._work = searched, agent, seed, work
        self._journal = Journal(work.path / JOURNAL)
        self._seeds = SeedRuns(work, agent.noise, searched.lower_is_better)
        self._clock = _Clock(agent.hours * 3600, self.nodes)
        self._asked = Asked(agent, work)
        title = f"{searched.name}: {agent.name}, seed {seed}"
        self._page = LivePage(
            work.path / PAGE, work.push, title, searched.lower_is_better, agent_settings(agent),
            work.path / TRANSCRIPT if agent.keep_prompts else None,
        )  # fmt: skip

    @property
    def nodes(self) -> list[Node]:
        """All nodes so far."""
        return self._journal.nodes

    def unfinished(self) -> dict[str, float]:
        """What calls used for the next step before an interruption."""
        return self._asked.begin(len(self.nodes))

    @property
    def _steps(self) -> int:
        return total_steps(self._agent, self.nodes)

    def told(self) -> dict[str, Any]:
        """What its family told of how the task was opened, and what came of further seeds."""
        return self._kept.told() | self._seeds.summary(self.nodes)

    def done(self) -> bool:
        """Whether it is over, and its winner was run on all seeds."""
        return self.over() and self._seeds.pending(self.nodes) is None

    def over(self) -> bool:
        """Whether steps, time or a budget are used up."""
        if len(self.nodes) >= self._steps or self._clock.left() <= 0:
            return True
        return used_up(self._agent, self.nodes, self.unfinished()) is not None

    def go_on(
        self,
        opened: Task,
        told: Mapping[str, Any],
        scratch: Path,
        make_model: Callable[..., Model],
        templates: Mapping[OperatorName, OwnTemplate],
        packages: tuple[str, ...],
    ) -> None:
        """Make nodes until it is over.

        Args:
            opened: The task.
            told: What its family told of how it was opened.
            scratch: A folder that lives as long as this call.
            make_model: See `Asked.make_models`.
            templates: Of prompts, the agent's own.
            packages: Further ones that programs may import.
        """
        self._kept.begin(told)
        self._page.facts = self._kept.facts()
        if said := self._kept.in_words():
            self._work.progress(len(self.nodes), self._steps, said)
        self._asked.make_models(make_model)
        candidates = Candidates(
            task=opened, agent=self._agent, seed=self._seed, model_for=self._asked.model_for, scratch=scratch,
            cores=cores_of_candidate(), begin=self._asked.begin, templates=templates, packages=packages,
        )  # fmt: skip
        again = reseeded(opened)
        if again is not None and not self.nodes and self._agent.noise.baseline_seeds:
            self._baseline(again)
        while not self.over():
            self._step(candidates)
        if again is not None and (winner := self._seeds.pending(self.nodes)) is not None:
            # A search that was killed between the two may have kept what a lost step submitted.
            itself = {opened.artefact: winner.code.encode()} if getattr(opened, "is_artefact", False) else {}
            submitted = self._kept.submitted_by(winner) or itself
            self._seeds.winner(again, winner, submitted, self._within(len(self.nodes)))
        self._asked.say_left_out()

    def end(self) -> None:
        """Bring page and stand-ins to their last state; of a task with a baseline also write the results."""
        self._kept.say_stand_in(self.nodes)
        self._page.facts = self._kept.facts()
        self._page.finish(self.nodes)
        if baseline_of(self.nodes):
            files = result_files(self.nodes, self._searched.lower_is_better, self._searched.metric)
            for name, content in files.items():
                (self._work.path / name).write_text(content, encoding="utf-8")
                self._work.push(name)

    def _baseline(self, task: Reseeded) -> None:
        """Make step 0."""
        self._clock.start()
        name = self._searched.name
        node_id = id_of_step(name, self._agent, self._seed, 0)
        node = self._seeds.baseline(task, name, node_id, lambda before: self._clock.left() - before, self._within(0))
        self._append(node)

    def _step(self, candidates: Candidates) -> None:
        done = len(self.nodes)
        self._clock.start()
        within = self._within(done)
        with hearing(partial(within, 0.0, 1.0)):
            node = candidates.make(self.nodes, self._steps - done, self._clock.left, within)
        self._kept.submission(node, self.nodes, candidates.submitted)
        self._append(node)

    def _append(self, node: Node) -> None:
        self._journal.append(node)
        self._clock.stop(node)
        for name in (JOURNAL, *kept_files(self._agent)):
            self._work.push(name)
        _log_node(self.nodes, self._searched, self._work)
        self._work.progress(len(self.nodes), self._steps, so_far(self.nodes, self._searched))
        self._page.refresh(self.nodes)

    def _within(self, done: int) -> Callable[[float, float, str], None]:
        """Progress of a step as progress of the search."""
        return lambda part, whole, note: self._work.progress(done + part / max(whole, 1), self._steps, note)


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


def _log_node(nodes: list[Node], searched: SearchTask, work: Work) -> None:
    node, best = nodes[-1], best_node(nodes, searched.lower_is_better)
    measured = {
        "valid": float(node.status == "ok"),
        "validation": node.validation,
        "best_validation": best.validation if best else None,
        "test_hidden_from_agent": node.test,
    }
    work.log.metrics({name: value for name, value in measured.items() if value is not None}, node.step)
