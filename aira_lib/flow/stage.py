"""What a stage is: one row that command line, local run, pipeline, progress, estimate and report all read.

A stage of your own is a `Stage` that a module named in AIRA_PLUGINS adds by `add_stage` (see `aira_lib.registry`): it
then has a command, its units are made by `aira run` and by a compiled pipeline, and its results have a table in the
report.
This module imports nothing heavy: the command line reads the rows at its start.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aira_lib.registry import Registry

if TYPE_CHECKING:
    from aira_lib.records import Failure, Manifest, PretrainPoint
    from aira_lib.study import AgentSection, Study
    from aira_lib.work import Work

Per = Literal["search", "study", "point"]
ALL = "*"
"""In `Stage.reads`: the records of all other stages."""

STUDIES, LISTS, OUTCOMES = "studies", "lists", "outcomes"
"""Folders beside those of the stages, in that of a study."""

STUDY_FILE = "study.json"
"""The study itself, beside its records; written by whatever launches it."""

ALONE = "all"
"""Name of the one unit of a stage that has one."""

ARCHIVE = "archive"
"""The stage that gathers designs: it and what is made of its record are of no use where searches find none."""

POINTS = "extrapolate"
"""The stage whose record says which pretraining points there are."""


@dataclass(frozen=True)
class Unit:
    """One record to be made.

    Attributes:
        stage: Which stage makes it.
        name: Its name within the stage.
        section: What determines it, as plain data: settings, contents, code, what computes (see `aira_lib.identity`).
        inputs: Keys of the records that it reads.
        agent: Of a search.
        seed: Of a search.
        point: Of a pretraining point.
        failures: Of a stage that reads all others: of the study's units that left no record.
    """

    stage: str
    name: str
    section: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    agent: "AgentSection | None" = None
    seed: int = 0
    point: "PretrainPoint | None" = None
    failures: "tuple[Failure, ...]" = ()

    @property
    def key(self) -> str:
        """Digest of stage, section and input keys."""
        from aira_lib.study import digest

        return digest([self.stage, self.section, list(self.inputs)])

    def folder(self, study: "Study") -> str:
        """Where the record lies, relative to the store."""
        return f"{study.name}/{self.stage}/{self.name}-{self.key[:12]}"


@dataclass(frozen=True)
class Input:
    """A record that a stage reads: its manifest and a local folder with its files."""

    manifest: "Manifest"
    path: Path


@dataclass(frozen=True)
class Estimate:
    """What a stage will take. `flops` and `seconds` are sums over units; seconds are those of one core.

    `size` is the stage's work in the measure of its progress: candidates of a search, else units. `at_most` are seconds
    that all units may take by their own limits, where nobody can foretell more; 0: `seconds` holds.
    """

    units: int
    size: int
    what: str
    flops: float = 0.0
    seconds: float = 0.0
    at_most: float = 0.0


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: Of the stage, its command, and the folder of its records.
        help: What it does, in a line.
        per: What one unit is of: a search (an agent and a seed), the whole study, or a pretraining point.
        reads: Stages whose records a unit reads: all of them; of a stage per point, that of the same point alone.
        leaves: What its records are called where other stages read them: a parameter of their components.
        section: What of a study determines a unit's record, beside the keys of its inputs.
        make: Makes the files of a unit's record in a workplace.
        estimate: What all its units will take.
        component: Importable name ``module:function`` of its Kubeflow component. It takes ``study``, ``store``, then
            ``unit`` (per search) or ``point``, what the stages that are read leave, and ``run``. A stage with one unit
            finds what others leave a search, or a point, in one list each: ``searches``, ``points``. Not in the module
            of the row: that is imported within components, too, where Kubeflow lets none be defined.
        run: The stage whose tracking run its log goes to: itself, another one per point, or "" the study's.
        unread: Patterns of files of its inputs that it does not read: they are not fetched.
        goes_on_from: Of a stage per point: another point whose record of this very stage a point's unit goes on from.
            That is made, or waited for, first. It is in no key: the unit's record is the same without it.
        ranks: Whether several processes can make a unit together (see `aira_lib.study.resources`).
        table: Rows for the report, of the records of a stage that the report does not know by itself.
        wanted: Whether a study asks for the stage, such as by a section of its own; None: every study does. A study
            that does not has no unit of it, and the same keys as if there were no such stage.
        of_points: Of a stage per point: whether a study that asks for it wants a unit of a point; None: of all.
        shared: What is the same in the sections of all units, and is computed once for all that are planned together;
            None: nothing.
    """

    name: str
    help: str
    per: Per
    reads: tuple[str, ...]
    leaves: str
    section: "Callable[[Study, Unit], dict[str, Any]]"
    make: "Callable[[Study, Unit, list[Input], Work], None]"
    estimate: "Callable[[Study], Estimate]"
    component: str
    run: str = ""
    unread: tuple[str, ...] = ()
    goes_on_from: "Callable[[PretrainPoint], PretrainPoint | None] | None" = None
    ranks: bool = False
    table: Callable[[Sequence[Input]], list[dict[str, Any]]] | None = None
    wanted: "Callable[[Study], bool] | None" = None
    of_points: "Callable[[Study, PretrainPoint], bool] | None" = None
    shared: "Callable[[Study], dict[str, Any]] | None" = None

    def is_wanted(self, study: "Study", point: "PretrainPoint | None" = None) -> bool:
        """Whether a study asks for the stage at all, and for its unit of a point where one is given.

        Raises:
            UserError: the study's task is unknown.
        """
        from aira_lib.tasks.section import family_of

        if self.wanted and not self.wanted(study):
            return False
        if is_of_designs(self) and not family_of(study.task).has_designs:
            return False
        return point is None or self.of_points is None or self.of_points(study, point)


STAGES: Registry[Stage] = Registry("stage", "aira_lib.flow.stages")


def add_stage(stage: Stage) -> Stage:
    """Add a stage; from then on command line, pipelines and report know it.

    Raises:
        ValueError: its name is taken, or that of another folder of a study.
    """
    if stage.name in (STUDIES, LISTS, OUTCOMES):
        raise ValueError(f"stage {stage.name!r}: a folder of that name has other contents; choose another name")
    return STAGES.add(stage.name, stage)


def stages_of(study: "Study") -> list[Stage]:
    """The stages that a study asks for, in the order of the flow."""
    return [stage for stage in stages_in_order() if stage.is_wanted(study)]


def stages_in_order() -> list[Stage]:
    """All stages, each after those whose records it reads."""
    waiting, done = list(STAGES.entries()), list[Stage]()
    while waiting:
        known = {stage.name for stage in done}
        ready = next((stage for stage in waiting if _needs(stage) <= known), None)
        if ready is None:
            stuck = ", ".join(f"{stage.name} (reads {', '.join(stage.reads)})" for stage in waiting)
            raise ValueError(f"stages that wait for each other, or for a stage that is not there: {stuck}")
        waiting.remove(ready)
        done.append(ready)
    return done


def stages_read(stage: Stage) -> list[Stage]:
    """The stages whose records a stage reads, in the order of the flow."""
    if ALL in stage.reads:
        return [other for other in stages_in_order() if ALL not in other.reads]
    return [STAGES.named(name) for name in stage.reads]


def is_of_designs(stage: Stage) -> bool:
    """Whether a stage is made of designs: of the archive, of pretraining points, or of what is made of these."""
    read = [] if ALL in stage.reads else stages_read(stage)
    return stage.name == ARCHIVE or stage.per == "point" or any(map(is_of_designs, read))


def _needs(stage: Stage) -> set[str]:
    wanted = {POINTS} if stage.per == "point" else set()
    if ALL in stage.reads:
        return wanted | {other.name for other in STAGES.entries() if ALL not in other.reads}
    return wanted | set(stage.reads)
