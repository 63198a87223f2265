"""Task families: what differs between searches whose candidates are designs, programs for a task folder, or others.

A family is a class in a module of its own and an entry in `FAMILIES`: one line in `aira_lib.tasks.families`, or, from
outside, in a module that AIRA_PLUGINS names (see `aira_lib.registry`). Nothing else asks of which family a task is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from aira_lib.errors import UserError
from aira_lib.records import Node
from aira_lib.registry import Registry
from aira_lib.study import ProxySection, TaskSection, changed
from aira_lib.study.agent import AgentSection
from aira_lib.tasks.live import Evaluate, Task
from aira_lib.tasks.task import SearchTask
from aira_lib.work import Work


@dataclass(frozen=True)
class Opening:
    """What a search hands a family to open its task with.

    Attributes:
        scratch: An empty folder that lives as long as the search.
        threads: How many the scoring of a candidate may use.
        evaluations: URI of the store of evaluations that searches share; None: there is none.
        asked_by: The search, by which that store remembers who asked.
        evaluate: Scores a design in the place of the proxy, for tests.
        told: What the family says of the task as it was opened: it adds entries of search.json, as plain data. With
            `validation` "self-reported" the record says so from its start, and `validation_why` why.
    """

    scratch: Path
    threads: int = 1
    evaluations: str | None = None
    asked_by: str = ""
    evaluate: Evaluate | None = None
    told: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sized:
    """What `aira search TASK` searches: the sections of a study, and what it says of how they were chosen."""

    task: TaskSection
    proxy: ProxySection = field(default_factory=ProxySection)
    profile: str = ""
    remark: str = ""


@dataclass(frozen=True)
class Cost:
    """What the scoring of one candidate takes, by assumption: FLOPs, and seconds on one core of a laptop."""

    flops: float
    seconds: float


@dataclass(frozen=True)
class Published:
    """What is published of a task, in the units of its metric: best results by name, the optimum, test examples."""

    best: Mapping[str, float] = field(default_factory=dict)
    optimum: float | None = None
    examples: int | None = None


class TaskFamily(Protocol):
    """Tasks of one kind. A class that names this one as its base inherits the members that have a body here.

    Commands that only look ask for all but `open` and `say_stand_ins`, so a family's module imports nothing heavy at
    its top. A section is one that the family claims.

    Attributes:
        what: What a study searches, in an error line: "a task folder".
        has_designs: Whether candidates are designs: what comes after the searches is made of nothing else.
    """

    what: str
    has_designs: bool

    def names(self) -> Sequence[str]:
        """The names of its tasks, as far as they can be listed."""

    def task(self, section: TaskSection) -> SearchTask:
        """Name, metric, direction and primitives; of these none where candidates are no designs.

        Raises:
            UserError: there is no such task.
        """

    def identity(self, section: TaskSection, proxy: ProxySection) -> dict[str, Any]:
        """What determines a search beside agent and seed, as plain data: contents and versions, never places.

        Equal identities mean equal records. Whatever scorer and candidates compute with belongs here by its version.
        The keys `agent`, `seed` and `further_packages` are taken.

        Raises:
            UserError: it cannot be read.
        """

    def open(self, section: TaskSection, proxy: ProxySection, opening: Opening) -> Task:
        """The task as a search uses it.

        Raises:
            UserError: it cannot be opened on this machine.
        """

    def claims(self, section: TaskSection) -> bool:
        """Whether a section names a task of this family: by default, whether it names one of `names`, and no folder."""
        return not section.folder and section.name in self.names()

    def has_literature(self, section: TaskSection) -> bool:
        """Whether a task's agents may consult literature."""
        return False

    def check(self, section: TaskSection, agents: Sequence[AgentSection], proxy: ProxySection) -> None:
        """Refuse what could not be searched; called wherever a study is planned, so nothing slow.

        Raises:
            UserError: one line.
        """
        if section.literature and not self.has_literature(section):
            raise UserError(f"task.literature: {self.task(section).name} has no literature to add to; leave it out")
        if section.settings and not self.varies(section):
            raise UserError(f"task.settings: {self.task(section).name} has none that a study may vary; leave them out")
        for agent in agents:
            if not self.has_designs and writes_designs_only(agent.model):
                raise UserError(
                    f"agent {agent.name!r}: model {agent.model} writes designs only; {self.task(section).name} needs a "
                    "language model"
                )
            if "noise" in changed(agent) and not self.has_baseline(section):
                raise UserError(f"agent {agent.name!r}: noise: {self.task(section).name} has no baseline; leave it out")

    def varies(self, section: TaskSection) -> bool:
        """Whether a study may give settings of the task other values."""
        return False

    def has_baseline(self, section: TaskSection) -> bool:
        """Whether the task has a program that agents start from, and thus a noise floor."""
        return False

    def sized(self, section: TaskSection, profile: str | None) -> Sized:
        """The sections of a task that is named on the command line, at a profile's sizes if the family has any.

        Args:
            section: Names the task and nothing else.
            profile: What `--profile` says; None: what fits this machine.

        Raises:
            UserError: there is no such profile, or no profile fits the task.
        """
        if profile:
            raise UserError(f"--profile {profile}: {self.what} says by itself how large its data is")
        return Sized(section)

    def say_stand_ins(self, section: TaskSection, proxy: ProxySection, work: Work) -> None:
        """Enter what stands in for data or sizes of the paper, and log what data are made of.

        Raises:
            UserError: the data cannot be read.
        """
        return None

    def params(self, section: TaskSection) -> dict[str, object]:
        """Parameters for tracking, beside the task's name, agent and seed."""
        return {}

    def summary(self, section: TaskSection, nodes: Sequence[Node]) -> dict[str, Any]:
        """Its part of search.json."""
        task = self.task(section)
        return {"metric": task.metric, "lower_is_better": task.lower_is_better}

    def published(self, section: TaskSection) -> Published:
        """What scores of the task are compared with; by default nothing is known.

        Raises:
            UserError: there is no such task.
        """
        return Published()

    def in_words(self, section: TaskSection) -> str:
        """The task in a line of the outlook."""
        return self.task(section).name

    def cost(self, section: TaskSection, proxy: ProxySection) -> Cost | None:
        """What the scoring of one candidate takes; None where nobody knows."""
        return None


FAMILIES: Registry[TaskFamily] = Registry("task family", "aira_lib.tasks.families")


def writes_designs_only(model: str) -> bool:
    """Whether a model, by its name, writes designs from what a prompt lists rather than programs of its own."""
    from aira_lib.agents.providers import provider_of  # that package is heavier than most who ask for a task

    return provider_of(model).designs_only
