"""Which records of a study exist in a store, and where."""

from collections.abc import Sequence

from aira_lib.errors import UserError
from aira_lib.flow.checks import need_designs
from aira_lib.flow.run import fetch
from aira_lib.flow.stage import POINTS, STAGES, Unit, is_of_designs, stages_of, stages_read
from aira_lib.flow.units import inputs_of, points_in, unit_named, units_of
from aira_lib.records import PretrainPoint
from aira_lib.settings import Settings
from aira_lib.store import RecordFolder, Store, open_store, place_of
from aira_lib.study import Study


def finished_units(study: Study, settings: Settings, units: Sequence[Unit]) -> list[Unit]:
    """Those of some units whose records exist."""
    store = open_store(settings.store)
    return [unit for unit in units if RecordFolder(store, unit.folder(study)).manifest() is not None]


def uris_of(study: Study, settings: Settings, units: Sequence[Unit]) -> list[str]:
    """URIs of records that must exist.

    Raises:
        UserError: one does not; the line says so where it exists for another device.
    """
    store = open_store(settings.store)
    for unit in units:
        if RecordFolder(store, unit.folder(study)).manifest() is None:
            raise UserError(
                f"{unit.stage} {unit.name} is not finished in {place_of(store.uri)}{_elsewhere(study, store, unit)}; "
                f"run `aira {unit.stage}` first"
            )
    return [f"{store.uri}/{unit.folder(study)}" for unit in units]


def known_points(study: Study, settings: Settings) -> list[PretrainPoint]:
    """The pretraining points of the finished extrapolation; none of a study that extrapolates nothing.

    Raises:
        UserError: it is not finished.
    """
    designs = uris_of(study, settings, units_of(POINTS, study))
    return points_in(study, [fetch(uri, settings) for uri in designs])


def units_to_make(stage: str, study: Study, name: str | None, settings: Settings) -> list[tuple[Unit, list[str]]]:
    """The units of a stage, or the named one, each with the URIs of the records that it reads.

    Raises:
        UserError: the study does not ask for the stage, one before it has not been run, or there is no such unit.
    """
    row = STAGES.named(stage)
    if is_of_designs(row):
        need_designs(study)
    if not row.is_wanted(study):
        raise UserError(f"study {study.name} does not ask for stage {stage}; give it a section {stage!r}")
    pointwise = any(each.per == "point" for each in (row, *stages_read(row)))
    points = known_points(study, settings) if pointwise else []
    units = units_of(stage, study, points)
    if name:
        complaint = {"search": f"study {study.name} has no search", "point": "there is no pretraining point"}
        units = [unit_named(units, name, complaint.get(row.per, f"stage {stage} has no unit"))]
    return [(unit, uris_of(study, settings, inputs_of(unit, study, points))) for unit in units]


def whole_study(study: Study, settings: Settings) -> list[Unit]:
    """All units of the study if the records of all of them exist, else none."""
    designs = units_of(POINTS, study)
    if len(finished_units(study, settings, designs)) < len(designs):
        return []
    points = known_points(study, settings)
    units = [unit for stage in stages_of(study) for unit in units_of(stage.name, study, points)]
    return units if len(finished_units(study, settings, units)) == len(units) else []


def _elsewhere(study: Study, store: Store, unit: Unit) -> str:
    """Where the very unit was made by another kind of device or other kernels: what finds that record."""
    mine = unit.section.get("computes")
    if not mine:
        return ""
    folder = f"{study.name}/{unit.stage}"
    names = {name[len(folder) + 1 :].partition("/")[0] for name in store.list(folder)}
    for name in sorted(name for name in names if name.rpartition("-")[0] == unit.name):
        manifest = RecordFolder(store, f"{folder}/{name}").manifest()
        theirs = manifest.section.get("computes") if manifest else None
        if manifest and theirs and theirs != mine and {**manifest.section, "computes": mine} == unit.section:
            return (
                f" by {mine['device']} and {mine['kernels']} kernels, but by {theirs['device']} and "
                f"{theirs['kernels']} (AIRA_DEVICE={theirs['device']} finds what that device made)"
            )
    return ""
