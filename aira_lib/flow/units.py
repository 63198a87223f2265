"""What a study consists of: its units of work, each with a key.

A unit is one record to be made: a search of one agent and seed, the archive, a pretraining point. Its key is the
digest of everything that determines the record (see `aira_lib.identity`). Equal keys mean equal records, so work is
found again and never done twice; a change to the pretraining budget leaves the searches alone.

The keys of a unit's inputs are those of the records it reads. Where these are not at hand, as before anything is made,
they are foretold: by what this process computes on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from aira_lib.architecture.scales import Scale, scale_named
from aira_lib.errors import UserError, nearest
from aira_lib.flow.stage import POINTS, STAGES, Input, Stage, Unit, stages_read
from aira_lib.records import PretrainPoint, ScaledDesign, read_rows
from aira_lib.study import Study
from aira_lib.tasks.section import family_of, task_of
from aira_lib.training.trainers import check_trainer

T = TypeVar("T")
Points = Sequence[PretrainPoint]

_LATER = ("aggregate", "scales", "extrapolate", "pretrain", "evaluate")
"""Sections of a study that only say what becomes of designs."""


# --- refusals ---------------------------------------------------------------------------------------------------------


def check_study(study: Study) -> None:
    """Refuse, before anything is made, what reading the study's file alone cannot tell.

    Raises:
        UserError: no such task or trainer, a task that an agent cannot search, or sections that do not go with it.
    """
    family = family_of(study.task)
    family.check(study.task, study.agents, study.proxy)
    check_trainer(study.pretrain)
    if family.has_designs and not study.aggregate:
        raise UserError(f"study {study.name}: aggregate is empty; name at least one way to aggregate designs")
    described = [name for name in _LATER if getattr(study, name) != Study.model_fields[name].default]
    if described and not family.has_designs:
        raise UserError(
            f"study {study.name} searches {family.what}, whose candidates are programs and no designs: there is "
            f"nothing to archive, aggregate or pretrain; leave out {', '.join(described)}"
        )


def need_designs(study: Study) -> None:
    """Refuse what comes after the searches where these find no designs.

    Raises:
        UserError: the study's task has no designs.
    """
    family = family_of(study.task)
    if not family.has_designs:
        raise UserError(
            f"study {study.name} searches {family.what}, whose candidates are programs and no designs: there is "
            "nothing to archive, aggregate or pretrain; run its searches alone with `aira search`"
        )


# --- units ------------------------------------------------------------------------------------------------------------


def units_of(stage: str, study: Study, points: Points = (), keys: Sequence[str] | None = None) -> list[Unit]:
    """The units of a stage, in the study's order.

    Args:
        stage: its name.
        study: whose units.
        points: the pretraining points, for stages that have a unit for each, or read such.
        keys: of the records that the stage's one unit reads; None: they are foretold.

    Raises:
        UserError: see `check_study` and `need_designs`.
    """
    row = STAGES.named(stage)
    check_study(study)
    if row.per != "search":
        need_designs(study)
    match row.per:
        case "search":
            bare = [Unit(stage, f"{a.name}.s{seed}", agent=a, seed=seed) for a in study.agents for seed in a.seeds]
        case "study":
            bare = [Unit(stage, "all")]
        case "point":
            bare = [Unit(stage, point.id, point=point) for point in points]
    return [_whole(row, study, unit, points, keys) for unit in bare]


def unit_of_point(stage: str, study: Study, point: PretrainPoint, keys: Sequence[str] | None = None) -> Unit:
    """The unit of a stage that has one for each pretraining point."""
    (unit,) = units_of(stage, study, [point], keys)
    return unit


def _whole(row: Stage, study: Study, unit: Unit, points: Points, keys: Sequence[str] | None) -> Unit:
    if keys is None:
        keys = [each.key for other in stages_read(row) for each in _read_by(unit, other, study, points)]
    # The order in which records are handed over says nothing: a pipeline has another one than the command line.
    return replace(unit, section=row.section(study, unit), inputs=tuple(sorted(keys)))


def _read_by(unit: Unit, stage: Stage, study: Study, points: Points) -> list[Unit]:
    """The units of a stage whose records a unit reads."""
    mine = [unit.point] if unit.point and stage.per == "point" else points
    return units_of(stage.name, study, mine)


def inputs_of(unit: Unit, study: Study, points: Points) -> list[Unit]:
    """The units whose records a unit reads, in the order of the flow."""
    return [each for other in stages_read(STAGES.named(unit.stage)) for each in _read_by(unit, other, study, points)]


def search_units(study: Study) -> list[Unit]:
    """One unit for every agent and seed."""
    return units_of("search", study)


def unit_named(units: Sequence[Unit], name: str, complaint: str) -> Unit:
    """The unit of a name.

    Raises:
        UserError: `complaint`, with the name and the nearest.
    """
    return _named(name, {unit.name: unit for unit in units}, complaint)


def search_unit_named(study: Study, name: str) -> Unit:
    """The search unit called `name`.

    Raises:
        UserError: the study has no such search.
    """
    return unit_named(search_units(study), name, f"study {study.name} has no search")


# --- pretraining points -----------------------------------------------------------------------------------------------


def points_in(study: Study, records: Sequence[Input]) -> list[PretrainPoint]:
    """The pretraining points that a study wants of the designs in the extrapolation that is among some records."""
    from aira_lib.pretrain.points import pretraining_points

    path = next(record.path for record in records if record.manifest.stage == POINTS)
    return pretraining_points(study.pretrain, read_rows(path / "designs.jsonl", ScaledDesign))


def point_named(name: str, points: Points) -> PretrainPoint:
    """The pretraining point called `name`.

    Raises:
        UserError: there is no such point.
    """
    return _named(name, {point.id: point for point in points}, "there is no pretraining point")


# --- tracking runs, scales --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RunName:
    """Which tracking run a unit's log belongs to: a nested one of its own, or (`key` None) the study's parent run."""

    key: str | None
    name: str


def run_of(unit: Unit) -> RunName:
    """Searches and pretraining points have runs of their own; what is measured of a point goes where its training went.

    A stage whose log goes to another stage's run reads one record of that stage.
    """
    of = STAGES.named(unit.stage).run
    if not of:
        return RunName(None, unit.stage)
    return RunName(f"{of}:{unit.key if of == unit.stage else unit.inputs[0]}", f"{of}/{unit.name}")


def described_names(study: Study) -> list[str]:
    """Scales that are only described: those of the extrapolation that are not trained."""
    return [name for name in study.extrapolate.scales if name not in study.trainable_scales()]


def scales(study: Study, names: Sequence[str]) -> list[Scale]:
    """The scales of a study by name: its own first, else the built-in one for its number of primitives."""
    n_primitives = len(task_of(study.task).primitives)
    return [study.scales.get(name) or scale_named(name, n_primitives) for name in names]


def _named(name: str, valid: Mapping[str, T], complaint: str) -> T:
    if name not in valid:
        raise UserError(f"{complaint} {name!r}{nearest(name, valid)}")
    return valid[name]
