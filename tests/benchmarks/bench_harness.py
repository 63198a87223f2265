"""What the harness costs a node, and what resuming costs: everything but the model's replies and training.

A greedy search with an agent whose replies cost nothing and an evaluation that costs nothing, at nodes 10, 100 and
500: what is left is the scaffold, the prompt, the sandbox, the journal, the page and progress. Beside it stands an
empty candidate in the sandbox alone, the part that the harness cannot save. CPU times, of this process and of the
sandbox's, say the same on a machine that others use too; the goal is of wall time on one that is free.

Run: python -m tests.benchmarks.bench_harness [NODES]
"""

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import aira_lib.search.stage as stage
from aira_lib.agents import Journal, Prompt, Reply, next_step
from aira_lib.agents.offline import OfflineAgent
from aira_lib.agents.step import step_rng
from aira_lib.architecture.pattern import Layers
from aira_lib.records import Evaluation
from aira_lib.sandbox import isolation, run_candidate
from aira_lib.search.sitting import JOURNAL
from aira_lib.store import RecordFolder, open_store
from aira_lib.study import AgentSection, CandidateLimits, ProxySection, TaskSection
from aira_lib.work import Work
from tests.builders import SilentLog

LIMITS = CandidateLimits(seconds=60)
RECORD = "search"
AROUND = 10  # nodes over which a figure is the median
GOAL_NODE, GOAL_RESUME = 50.0, 1_000.0  # milliseconds


@dataclass(frozen=True)
class Cost:
    """Milliseconds of wall time, of this process's CPU, and of the CPU of processes that it started and that ended."""

    wall: float
    own: float
    children: float

    @classmethod
    def now(cls) -> "Cost":
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = 1e3 * time.process_time()
        return cls(1e3 * time.perf_counter(), own, 1e3 * (children.ru_utime + children.ru_stime))

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(self.wall - other.wall, self.own - other.own, self.children - other.children)

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.wall + other.wall, self.own + other.own, self.children + other.children)

    def __str__(self) -> str:
        return f"{self.wall:6.1f} ms (CPU: harness {self.own:5.1f}, sandbox {self.children:5.1f})"


def typical(costs: Sequence[Cost], of: Callable[[Sequence[float]], float] = statistics.median) -> Cost:
    return Cost(of([c.wall for c in costs]), of([c.own for c in costs]), of([c.children for c in costs]))


class Timed:
    """The offline agent, and an evaluation by the share of attention; both count the time that they take."""

    name = "offline"

    def __init__(self) -> None:
        self.agent, self.spent = OfflineAgent(), Cost(0.0, 0.0, 0.0)

    def reply(self, prompt: Prompt, seed: int) -> Reply:
        started = Cost.now()
        reply = self.agent.reply(prompt, seed)
        self.spent += Cost.now() - started
        return reply

    @staticmethod
    def evaluate(layers: Layers, section: ProxySection, **_: Any) -> Evaluation:
        share = (layers.count("A") + 0.001 * layers.count("M")) / len(layers)
        return Evaluation(status="ok", validation=share, test=share, validation_by_task={"mad": share})


def search(nodes: int, path: Path) -> list[Cost]:
    """From the end of one node to the end of the next, less the agent's."""
    model, ends = Timed(), list[Cost]()
    stage.model_named = lambda *_, **__: model  # type: ignore[assignment]
    agent = AgentSection(steps=nodes, limits=LIMITS)

    def progress(done: float, total: float, note: str) -> None:
        if done == int(done) and done > len(ends):
            ends.append(Cost.now() - model.spent)

    proxy = ProxySection(tasks=("memorization",), train_examples=10, test_examples=4)
    with RecordFolder(open_store(str(path)), RECORD).claim(path) as attempt:
        assert attempt
        work = Work(attempt.path, SilentLog(), attempt.push, progress)
        stage.search(TaskSection(layers=16), proxy, agent, 0, work, Timed.evaluate)
    return [after - before for before, after in pairwise(ends)]


def empty_candidate() -> Cost:
    """An empty program in the sandbox."""
    costs = []
    for _ in range(20):
        with tempfile.TemporaryDirectory() as folder:
            started = Cost.now()
            run_candidate("", Path(folder), LIMITS, 60.0)
            costs.append(Cost.now() - started)
    return typical(costs)


def resume(path: Path) -> tuple[int, float]:
    """Nodes of a journal, and milliseconds to open it and decide the next step."""
    started = time.perf_counter()
    nodes = Journal(next((path / RECORD).glob(f"*/{JOURNAL}"))).nodes
    next_step(nodes, AgentSection(steps=len(nodes) + 1), step_rng(0, len(nodes)))
    return len(nodes), 1e3 * (time.perf_counter() - started)


def main() -> None:
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    print(f"empty candidate ({isolation()}): {empty_candidate()}")
    with tempfile.TemporaryDirectory() as folder:
        costs = search(total, Path(folder))
        marks = sorted({min(mark, total) for mark in (10, 100, total)})
        figures = [typical(costs[max(0, mark - AROUND) : mark]) for mark in marks]
        for mark, each in zip(marks, figures, strict=True):
            print(f"node {mark:9}: {each}  {'ok' if each.wall <= GOAL_NODE else f'over {GOAL_NODE:g} ms'}")
        print(f"mean, pages too: {typical(costs, statistics.mean)}")
        print(f"node {marks[-1]} / node {marks[0]}: wall {figures[-1].wall / figures[0].wall:.2f}, "
              f"harness CPU {figures[-1].own / figures[0].own:.2f}")  # fmt: skip
        count, milliseconds = resume(Path(folder))
        print(f"resuming {count} nodes: {milliseconds:.0f} ms ({'ok' if milliseconds <= GOAL_RESUME else 'too slow'})")


if __name__ == "__main__":
    main()
