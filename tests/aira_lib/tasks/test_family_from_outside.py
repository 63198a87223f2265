"""A task family that lies outside of aira_lib is searched like any other; nothing but AIRA_PLUGINS knows of it."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from aira_lib.agents.replay import REPLIES, RecordedReply
from aira_lib.agents.step import step_rng
from aira_lib.errors import UserError
from aira_lib.records import Node, read_rows, write_rows
from aira_lib.registry import Registry
from aira_lib.study import ProxySection, TaskSection
from aira_lib.tasks import section as sections
from aira_lib.tasks.designs.family import DesignFamily
from aira_lib.tasks.family import FAMILIES, TaskFamily
from aira_lib.tasks.section import family_of
from tests.aira_lib.cli.in_process import Ended, aira_elsewhere

pytestmark = pytest.mark.usefixtures("plain_kernels")

ROOT = Path(__file__).parents[3]

FAMILY = '''
"""Programs guess the sum of the numbers in a file; the error is what counts."""

from pathlib import Path

import numpy

from aira_lib.sandbox import collect
from aira_lib.tasks.families import FAMILIES
from aira_lib.tasks.family import TaskFamily
from aira_lib.tasks.live import CandidateFailure, Scored
from aira_lib.tasks.task import SearchTask

SUM = SearchTask("ToySumAbsoluteError", (), metric="AbsoluteError", lower_is_better=True)


class SumTask:
    facts, layers, prompts, artefact = SUM, 0, "program", "sum.txt"
    description, data_overview = "Write the sum of ./data/numbers.txt into sum.txt.", "- ./data/numbers.txt"

    def __init__(self, scratch: Path) -> None:
        self.data = scratch / "numbers"
        self.data.mkdir()
        (self.data / "numbers.txt").write_text("1 2 3")

    def collect(self, workdir):
        return {"sum.txt": collect(workdir, "sum.txt", 100)}

    def score(self, submitted, nodes, seconds_left, progress):
        guess = float(submitted["sum.txt"])
        if guess < 0:
            raise CandidateFailure("a sum of these is not negative", Scored(self_reported=True))
        return Scored(validation=abs(guess - 6), test=abs(guess - 6) / 2)


class ToyFamily(TaskFamily):
    what, has_designs = "a toy task", False

    def names(self):
        return (SUM.name,)

    def task(self, section):
        return SUM

    def identity(self, section, proxy):
        return {"toy": SUM.name, "numpy": numpy.__version__}

    def params(self, section):
        return {"toys": 1}

    def open(self, section, proxy, opening):
        return SumTask(opening.scratch)


FAMILIES.add("toys", ToyFamily())
'''

PROGRAMS = (
    "open('sum.txt', 'w').write('8')",
    "open('sum.txt', 'w').write('-1')",
    "open('sum.txt', 'w').write('nan')",
    "open('sum.txt', 'w').write(str(sum(map(int, open('data/numbers.txt').read().split()))))",
)
AGENT = {"name": "a", "scaffold": "sampling", "steps": len(PROGRAMS), "limits": {"seconds": 30, "memory_mb": 512}}


class World:
    """A folder with the family's module, recorded replies and studies; commands run in it, in one process a call."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.model = folder, f"replay:{folder}"
        (folder / "family_of_mine.py").write_text(FAMILY)
        seeds = [int(step_rng(0, step).integers(2**31)) for step in range(len(PROGRAMS))]
        replies = [
            RecordedReply(prompt="", seed=seed, text=f"A plan.\n```python\n{program}\n```\n")
            for seed, program in zip(seeds, PROGRAMS, strict=True)
        ]
        write_rows(folder / REPLIES, replies)

    def study(self, name: str = "toy", **changes: Any) -> str:
        path = self.folder / f"{name}.yaml"
        study = {"name": "toy", "task": {"name": "ToySumAbsoluteError"}, "agents": [{**AGENT, "model": self.model}]}
        path.write_text(yaml.safe_dump({**study, **changes}))
        return str(path)

    def aira(self, *commands: Sequence[str], plugins: str = "family_of_mine") -> list[Ended]:
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{self.folder}", "AIRA_PLUGINS": plugins, "COLUMNS": "200"}
        store = ("--store", str(self.folder / "runs"))
        return aira_elsewhere(environment, self.folder, *((*each, *store) for each in commands))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_it_is_searched_by_a_study(world: World) -> None:
    (done,) = world.aira(("search", world.study(), "--unit", "a.s0"))
    assert done.code == 0, done.err
    (journal,) = (world.folder / "runs/toy/search").glob("*/*/journal.jsonl")
    eight, negative, nan, right = read_rows(journal, Node)
    assert (eight.status, eight.validation, eight.test) == ("ok", 2.0, 1.0)
    assert (negative.status, negative.reason) == ("failed", "a sum of these is not negative")
    assert (negative.self_reported, negative.validation) == (True, None)  # what was known when it failed
    assert (nan.status, nan.reason, nan.validation) == ("failed", "a score is not a finite number", None)
    assert (right.status, right.validation, right.design) == ("ok", 0.0, None)
    summary = json.loads((journal.parent / "search.json").read_text())
    assert (summary["task"], summary["metric"]) == ("ToySumAbsoluteError", "AbsoluteError")
    assert summary["best"]["step"] == 3
    assert '"toys": 1' in (journal.parent / "track.jsonl").read_text()
    section = json.loads((journal.parents[1] / "manifest.json").read_text())["section"]
    assert section.keys() == {"toy", "numpy", "agent", "seed"}


def test_it_is_searched_by_its_name_and_in_several_processes(world: World) -> None:
    options = ("--agent", "sampling", "--model", world.model, "--seeds", "1", "--steps", "1", "--tracking", "none")
    searched = ("search", "ToySumAbsoluteError", *options)
    foreseen, done, sized = world.aira((*searched, "--dry-run"), searched, (*searched, "--profile", "laptop"))
    assert foreseen.code == 0, foreseen.err
    assert "Task: ToySumAbsoluteError\n" in foreseen.out
    assert "Time: at most" in foreseen.out
    assert done.code == 0, done.err
    assert "1 of 1 searches made" in done.out
    assert (sized.code, sized.out) == (2, "")
    assert "--profile laptop: a toy task says by itself how large its data is" in sized.err


def refused(done: Ended) -> str:
    """The one line of a command that refused."""
    assert done.code == 2, done.err
    (line,) = done.err.strip().split("\n")
    return line


def test_what_does_not_go_with_it_is_one_line(world: World) -> None:
    *both, whole = world.aira(
        ("search", world.study("offline", agents=[{"name": "a", "model": "offline"}]), "--unit", "a.s0"),
        ("search", world.study("later", aggregate=[{"name": "v"}], evaluate={"samples": 3}), "--unit", "a.s0"),
        ("run", world.study(), "--dry-run"),
    )
    offline, later = map(refused, both)
    assert "model offline writes designs only; ToySumAbsoluteError needs a language model" in offline
    assert "study toy searches a toy task" in later
    assert later.endswith("leave out aggregate, evaluate")
    assert whole.code == 0
    assert "report" in whole.out
    assert "pretrain" not in whole.out
    (without,) = world.aira(("search", world.study(), "--unit", "a.s0"), plugins="")
    assert "unknown task 'ToySumAbsoluteError'" in refused(without)


def test_two_families_of_one_task_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Again(DesignFamily):
        pass

    two: Registry[TaskFamily] = Registry("task family")
    for name, family in (("one", DesignFamily()), ("two", Again())):
        two.add(name, family)
    monkeypatch.setattr(sections, "FAMILIES", two)
    with pytest.raises(UserError, match="is claimed by one and two"):
        family_of(TaskSection())


def test_every_built_in_task_has_one_family_that_says_what_it_is() -> None:
    for family in FAMILIES.entries():
        for name in family.names():
            section = TaskSection(name=name)
            assert family_of(section) is family
            assert name in family.in_words(section)
            assert family.identity(section, ProxySection())["task"]["name"] == name
