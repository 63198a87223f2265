"""Searches killed with SIGKILL at many random points end, resumed, as searches that nobody killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aira_lib.records import Node, read_rows
from aira_lib.study import AgentSection, CandidateLimits
from aira_lib.study.agent import EvolutionSettings, TreeSettings

pytestmark = pytest.mark.usefixtures("plain_kernels")

LIMITS = CandidateLimits(seconds=30, memory_mb=256)
EVOLUTION = EvolutionSettings(
    islands=2, individuals=1, crossover_after=1, crossover_probability=0.8, migration_probability=0.7
)
AGENTS = {
    "greedy": AgentSection(steps=10, n_drafts=3, limits=LIMITS),
    "tree": AgentSection(steps=10, n_drafts=3, scaffold="tree", tree=TreeSettings(num_children=2), limits=LIMITS),
    "evolutionary": AgentSection(steps=12, scaffold="evolutionary", evolution=EVOLUTION, limits=LIMITS),
    "one-shot": AgentSection(scaffold="one-shot", limits=LIMITS),
}


class Nursery:
    """A process that has imported everything and forks a search whenever asked: a start then costs nothing."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.aira_lib.search.kill_nursery"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=Path(__file__).parents[3],
        )  # fmt: skip

    def start(self, agent: AgentSection, folder: Path) -> int:
        """Start or resume the search of a folder; returns its process id, which is its process group too."""
        return int(self._ask(json.dumps({"agent": agent.model_dump(mode="json"), "folder": str(folder)})))

    def end(self) -> int:
        """Wait for its end: 0, or minus the signal."""
        return int(self._answer())

    def _ask(self, line: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    here = Nursery()
    yield here
    here.process.communicate()
    assert here.process.returncode == 0


def nodes(folder: Path) -> list[dict[str, Any]]:
    """The journal without what depends on the clock."""

    def strip(value: Any) -> Any:
        return {k: strip(v) for k, v in value.items() if k != "seconds"} if isinstance(value, dict) else value

    return [strip(node.model_dump()) for node in read_rows(folder / "journal.jsonl", Node)]


def finish(nursery: Nursery, agent: AgentSection, folder: Path) -> float:
    """Run a search to its end; returns the seconds that took."""
    started = time.monotonic()
    nursery.start(agent, folder)
    assert nursery.end() == 0
    return time.monotonic() - started


def kill_often(nursery: Nursery, agent: AgentSection, folder: Path, kills: int, mean: float, seed: int) -> int:
    """Start and kill a search until it is over or was killed often enough; returns how often it was."""
    rng = random.Random(seed)
    for done in range(kills):
        pid = nursery.start(agent, folder)
        time.sleep(rng.uniform(0, 2 * mean))
        kill(pid, group=rng.random() < 0.5)
        if (status := nursery.end()) != -signal.SIGKILL:
            assert status == 0
            return done
    return kills


def kill(pid: int, group: bool) -> None:
    """Alone, as by the system for want of memory, or with its group, as by a terminal or a scheduler."""
    for way in (os.killpg, os.kill) if group else (os.kill,):
        try:
            way(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it has ended, or has no group of its own yet
        return


def check(nursery: Nursery, agent: AgentSection, folder: Path, kills: int, apart: float) -> None:
    """Kill a search so often, on average so many nodes' time after each start, of which what was begun is lost."""
    whole = folder / "whole"
    mean = finish(nursery, agent, whole) / max(len(nodes(whole)), 1) * apart
    expected, rounds = nodes(whole), 0
    assert expected
    while kills > 0:
        rounds += 1
        killed = folder / str(rounds)
        kills -= kill_often(nursery, agent, killed, kills, mean, seed=100 * rounds + kills)
        mean *= 0.8  # one that ended too soon is killed sooner the next time
        finish(nursery, agent, killed)
        assert nodes(killed) == expected
        first, second = (json.loads((each / "search.json").read_text()) for each in (whole, killed))
        assert {**first, "seconds": 0} == {**second, "seconds": 0}
        assert rounds < 40


@pytest.mark.parametrize("scaffold", AGENTS)
def test_killed_at_random_points_it_ends_as_if_it_had_not_been(scaffold: str, nursery: Nursery, tmp_path: Path) -> None:
    check(nursery, AGENTS[scaffold], tmp_path, kills=20, apart=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("scaffold", ["greedy", "tree", "evolutionary"])
def test_a_long_search_killed_over_and_over(scaffold: str, nursery: Nursery, tmp_path: Path) -> None:
    """As many kills as steps, so far apart that they reach its end."""
    check(nursery, AGENTS[scaffold].model_copy(update={"steps": 24, "edit": "patch"}), tmp_path, kills=24, apart=1.5)
