"""What a study consists of: its units of work, each with a key.

A unit is one record to be made: a search of one agent and seed, the archive, a pretraining point. Its key is the
digest of everything that determines the record (see `aira_lib.identity`). Equal keys mean equal records, so work is
found again and never done twice; a change to the pretraining budget leaves the searches alone.

The keys of a unit's inputs are those of the records it reads. Where these are not at hand, as before anything is made,
they are foretold: by what this process computes on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from aira_lib.errors import UserError, nearest
from aira_lib.flow.checks import check_sections
from aira_lib.flow.stage import ALONE, POINTS, STAGES, Input, Stage, Unit, stages_of, stages_read
from aira_lib.records import Failure, PretrainPoint, ScaledDesign, read_rows
from aira_lib.study import Study

T = TypeVar("T")
Points = Sequence[PretrainPoint]

# --- units ------------------------------------------------------------------------------------------------------------


def units_of(
    stage: str,
    study: Study,
    points: Points = (),
    keys: Sequence[str] | None = None,
    failures: Sequence[Failure] = (),
) -> list[Unit]:
    """The units of a stage, in the study's order; none of a stage that the study does not ask for.

    Args:
        stage: its name.
        study: whose units.
        points: the pretraining points, for stages that have a unit for each, or read such.
        keys: of the records that the stage's one unit reads; None: they are foretold.
        failures: of the units whose records it would read as well, had these not failed.

    Raises:
        UserError: see `aira_lib.flow.checks`: of `check_sections`.
    """
    row = STAGES.named(stage)
    check_sections(study)
    if not row.is_wanted(study):
        return []
    match row.per:
        case "search":
            bare = [Unit(stage, f"{a.name}.s{seed}", agent=a, seed=seed) for a in study.agents for seed in a.seeds]
        case "study":
            bare = [Unit(stage, ALONE, failures=tuple(failures))]
        case "point":
            bare = [Unit(stage, point.id, point=point) for point in points if row.is_wanted(study, point)]
    shared = row.shared(study) if row.shared and bare else {}
    return [_whole(row, study, unit, points, keys, shared) for unit in bare]


def unit_of_point(stage: str, study: Study, point: PretrainPoint, keys: Sequence[str] | None = None) -> Unit:
    """The unit of a stage that has one for each pretraining point.

    Raises:
        UserError: the study does not ask for the stage's unit of this point.
    """
    if not STAGES.named(stage).is_wanted(study, point):
        raise UserError(f"study {study.name} does not ask for {stage} of {point.id}")
    (unit,) = units_of(stage, study, [point], keys)
    return unit


def _whole(
    row: Stage, study: Study, unit: Unit, points: Points, keys: Sequence[str] | None, shared: Mapping[str, Any]
) -> Unit:  # fmt: skip
    if keys is None:
        keys = [each.key for other in stages_read(row) for each in _read_by(unit, other, study, points)]
    # The order in which records are handed over says nothing: a pipeline has another one than the command line.
    return replace(unit, section={**shared, **row.section(study, unit)}, inputs=tuple(sorted(keys)))


def _read_by(unit: Unit, stage: Stage, study: Study, points: Points) -> list[Unit]:
    """The units of a stage whose records a unit reads."""
    mine = [unit.point] if unit.point and stage.per == "point" else points
    return units_of(stage.name, study, mine)


def inputs_of(unit: Unit, study: Study, points: Points) -> list[Unit]:
    """The units whose records a unit reads, in the order of the flow."""
    return [each for other in stages_read(STAGES.named(unit.stage)) for each in _read_by(unit, other, study, points)]


def unit_before(unit: Unit, study: Study) -> Unit | None:
    """The unit of the same stage whose record a unit goes on from, such as the trunk of a branch."""
    of = STAGES.named(unit.stage).goes_on_from
    before = of(unit.point) if of and unit.point else None
    return unit_of_point(unit.stage, study, before) if before else None


def units_by_stage(study: Study, points: Points) -> dict[str, int]:
    """How many units each stage per pretraining point has, of those that a study asks for."""
    rows = [row for row in stages_of(study) if row.per == "point"]
    return {row.name: sum(row.is_wanted(study, point) for point in points) for row in rows}


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
    """The pretraining points that a study wants of the designs in the extrapolation that is among some records.

    None of a study whose searches find no designs.
    """
    from aira_lib.pretrain.points import pretraining_points

    if not STAGES.named(POINTS).is_wanted(study):
        return []
    path = next(record.path for record in records if record.manifest.stage == POINTS)
    return pretraining_points(study.pretrain, read_rows(path / "designs.jsonl", ScaledDesign))


def point_named(name: str, points: Points) -> PretrainPoint:
    """The pretraining point called `name`.

    Raises:
        UserError: there is no such point.
    """
    return _named(name, {point.id: point for point in points}, "there is no pretraining point")


# --- tracking runs --------------------------------------------------------------------------------------------


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


def _named(name: str, valid: Mapping[str, T], complaint: str) -> T:
    if name not in valid:
        raise UserError(f"{complaint} {name!r}{nearest(name, valid)}")
    return valid[name]
