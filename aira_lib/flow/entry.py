"""The stages for pipelines: everything that goes in or comes out is text, as Kubeflow carries it.

A user's mistake ends the process with one line and exit code 2.
"""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from aira_lib.device import check_promised_gpus
from aira_lib.errors import StoreError, UserError
from aira_lib.flow.checks import check_study
from aira_lib.flow.failing import failure_of, heard, is_final, said_of
from aira_lib.flow.outcomes import RunFolder, require_enough
from aira_lib.flow.run import fetch, keys_of, run_stage, stage_of
from aira_lib.flow.stage import ALL, ALONE, STAGES, Stage, Unit, stages_read
from aira_lib.flow.texts import is_list, read_list, read_study, write_list
from aira_lib.flow.units import (
    point_named,
    points_in,
    search_unit_named,
    search_units,
    unit_before,
    unit_of_point,
    units_of,
)
from aira_lib.records import Failure, PretrainPoint
from aira_lib.settings import Settings, hold_lifeline
from aira_lib.study import Study


def run_text(stage: str, study: str, store: str, unit: str = "", inputs: Sequence[str] = (), run: str = "") -> str:
    """Run one stage from what a pipeline can carry, and return the URI of its record; empty: the study wants none.

    Args:
        stage: which stage.
        study: the study, as JSON or as the text that stands for it (see `aira_lib.flow.texts`).
        store: where records are kept.
        unit: the search (``agent.s0``) or the pretraining point (see `point_names`); empty where a stage has one unit.
        inputs: URIs of the input records, and texts that stand for lists of them, of which those of the stages that
            are read count; empty ones are left out.
        run: name of the run of the study that this is a part of: what becomes of the unit is kept under it (see
            `aira_lib.flow.outcomes`). A search or a point that fails then returns the URI of its failure, as it does
            where an input is such a URI. Empty: nothing is kept, and a failure ends the process.

    Raises:
        SystemExit: code 2 after one line on stderr, for anything a user can mend.
    """
    with one_line_errors():
        hold_lifeline()
        check_promised_gpus()
        settings, spec = Settings.from_environment(store), _read(study, store)
        if not _is_wanted(STAGES.named(stage), spec, unit, settings):
            print(f"study {spec.name} does not ask for {stage}{f' of {_id(unit)}' if unit else ''}")
            return ""
        records = list(_expanded(inputs, STAGES.named(stage), store))
        if not run:
            chosen, read = unit_of(stage, spec, unit, records, settings)
            return run_stage(spec, chosen, settings, read, print).uri
        return _run_within(RunFolder(store, spec, run), stage, spec, unit, records, settings)


def _is_wanted(row: Stage, study: Study, name: str, settings: Settings) -> bool:
    """Whether a study asks for a unit; a pipeline has tasks for whatever a study may ask for."""
    if not row.is_wanted(study):
        return False
    return row.of_points is None or row.of_points(study, _point(study, name, settings))


def _run_within(folder: RunFolder, stage: str, study: Study, name: str, inputs: list[str], settings: Settings) -> str:
    """Make, or find, a unit's record as a part of a run; its URI, or that of the failure."""
    row = STAGES.named(stage)
    if failed := next((uri for uri in inputs if folder.is_failure(uri)), None):
        return failed
    with heard() as lines:
        try:
            unit, records = unit_of(stage, study, name, inputs, settings, _failures(row, folder))
            _refuse_without(unit_before(unit, study), folder)
            made = run_stage(study, unit, settings, records, print).uri
        except Exception as error:
            if not is_final(error):
                raise
            failure = failure_of(stage, _id(name) or ALONE, error, lines)
            if row.per == "study":  # nothing comes after it
                with suppress(StoreError):
                    folder.keep_failure(failure)
                raise
            sys.stderr.write(said_of(error))
            return folder.keep_failure(failure)
    folder.keep_made(stage, made)
    return made


def _expanded(texts: Sequence[str], stage: Stage, store: str) -> Iterator[str]:
    """URIs of records: those given, and those in lists, of the stages that a stage reads."""
    for text in texts:
        if is_list(text):
            read = read_list(text, store)
            yield from (uri for uri in read if ALL in stage.reads or stage_of(uri) in stage.reads)
        elif text:
            yield text


def _failures(stage: Stage, folder: RunFolder) -> list[Failure]:
    """Of the units of a run, for a stage that reads all others; where a study's one unit of a stage fails, it ends."""
    read = stages_read(stage) if ALL in stage.reads else []
    return folder.failures(*(other.name for other in read if other.per != "study"))


def _refuse_without(before: Unit | None, folder: RunFolder) -> None:
    """Refuse a unit that goes on from one that has failed in this run: it would only fail once more."""
    if before and (uri := folder.of(before.stage).failed.get(before.name)):
        raise UserError(f"it goes on from {before.name}, which failed: {folder.failure(uri).reason}")


def unit_of(
    stage: str, study: Study, name: str, inputs: Sequence[str], settings: Settings, failures: Sequence[Failure] = ()
) -> tuple[Unit, Sequence[str]]:
    """The unit that a stage, a name and its input records stand for, and the records that the unit reads.

    Args:
        stage: which stage.
        study: whose unit.
        name: see `run_text`.
        inputs: URIs of the input records.
        settings: name the store.
        failures: for a stage that reads all others: of the study's units without a record.
    """
    row = STAGES.named(stage)
    keys = keys_of(inputs, settings)
    match row.per:
        case "search":
            return search_unit_named(study, name), ()
        case "study":
            return units_of(stage, study, keys=keys, failures=failures)[0], inputs
        case "point":
            return unit_of_point(stage, study, _point(study, name, settings), keys), inputs


def _point(study: Study, name: str, settings: Settings) -> PretrainPoint:
    designs, _, point = name.rpartition("#")
    return point_named(point, points_in(study, [fetch(designs, settings)]))


def _id(name: str) -> str:
    """Of a unit, without the URI of the designs of a point."""
    return name.rpartition("#")[2]


def search_names(study: str, store: str | None = None) -> list[str]:
    """Names of the searches of a study (see `run_text`): what a pipeline loops over."""
    with one_line_errors():
        return [unit.name for unit in search_units(_read(study, store))]


def point_names(study: str, store: str, designs: str) -> list[str]:
    """Names of the pretraining points of a study (see `run_text`), given the URI of its extrapolation record.

    A name is that URI, ``#`` and the point's id, so that it says by itself where the point's design is.
    """
    with one_line_errors():
        spec = _read(study, store)
        points = points_in(spec, [fetch(designs, Settings.from_environment(store))])
        return [f"{designs}#{point.id}" for point in points]


def collect(study: str, store: str, run: str, stages: Sequence[str]) -> str:
    """The text that stands for the list of all records that stages have left in a run (see `aira_lib.flow.texts`).

    Args:
        study: the study (see `run_text`).
        store: where records are kept.
        run: the run's name.
        stages: the stages, each of which has come to its end.

    Raises:
        SystemExit: code 2 after one line on stderr, where too many units failed (`min_success`).
    """
    with one_line_errors():
        spec = _read(study, store)
        folder = RunFolder(store, spec, run)
        found = list[str]()
        for stage in stages:
            made = folder.of(stage).made
            require_enough(stage, spec, len(made), folder.failures(stage))
            found += made.values()
        return write_list(found, spec, store)


def copy_files(store: str, record: str, targets: Mapping[str, str]) -> None:
    """Copy files and folders of a record to local paths, such as the artifact paths of a pipeline."""
    with one_line_errors():
        folder = fetch(record, Settings.from_environment(store)).path
        for name, target in targets.items():
            if (folder / name).is_dir():
                shutil.copytree(folder / name, target, dirs_exist_ok=True)
            else:
                shutil.copyfile(folder / name, target)


def report_numbers(store: str, record: str) -> dict[str, float]:
    """The headline numbers of a report, by name, for runs to be compared by them."""
    from aira_lib.report.compared import compared

    with one_line_errors():
        folder = fetch(record, Settings.from_environment(store)).path
        return compared(json.loads((folder / "summary.json").read_text(encoding="utf-8")))


def _read(study: str, store: str | None) -> Study:
    spec = read_study(study, store)
    check_study(spec)
    return spec


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the process with one line and exit code 2 on anything a user can mend."""
    try:
        yield
    except UserError as error:
        print(f"aira: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
