"""The stages for pipelines: everything that goes in or comes out is text, as Kubeflow carries it.

A user's mistake ends the process with one line and exit code 2.
"""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from aira_lib.errors import UserError
from aira_lib.flow.checks import check_study
from aira_lib.flow.run import fetch, keys_of, run_stage
from aira_lib.flow.stage import STAGES, Unit
from aira_lib.flow.units import (
    point_named,
    points_in,
    search_unit_named,
    search_units,
    unit_of_point,
    units_of,
)
from aira_lib.records import PretrainPoint
from aira_lib.settings import Settings, hold_lifeline
from aira_lib.study import Study
from aira_lib.study.reading import parse_study


def run_text(stage: str, study: str, store: str, unit: str = "", inputs: Sequence[str] = ()) -> str:
    """Run one stage from what a pipeline can carry, and return the URI of its record.

    Args:
        stage: which stage.
        study: the study as JSON text.
        store: where records are kept.
        unit: the search (``agent.s0``) or the pretraining point (see `point_names`); empty where a stage has one unit.
        inputs: URIs of the input records.

    Raises:
        SystemExit: code 2 after one line on stderr, for anything a user can mend.
    """
    with one_line_errors():
        hold_lifeline()
        settings = Settings.from_environment(store)
        spec = _read(study)
        chosen, records = unit_of(stage, spec, unit, inputs, settings)
        return run_stage(spec, chosen, settings, records, print).uri


def unit_of(
    stage: str, study: Study, name: str, inputs: Sequence[str], settings: Settings
) -> tuple[Unit, Sequence[str]]:
    """The unit that a stage, a name and its input records stand for, and the records that the unit reads."""
    row = STAGES.named(stage)
    keys = keys_of(inputs, settings)
    match row.per:
        case "search":
            return search_unit_named(study, name), ()
        case "study":
            return units_of(stage, study, keys=keys)[0], inputs
        case "point":
            return unit_of_point(stage, study, _point(study, name, settings), keys), inputs


def _point(study: Study, name: str, settings: Settings) -> PretrainPoint:
    designs, _, point = name.rpartition("#")
    return point_named(point, points_in(study, [fetch(designs, settings)]))


def search_names(study: str) -> list[str]:
    """Names of the searches of a study (JSON text): what a pipeline loops over."""
    with one_line_errors():
        return [unit.name for unit in search_units(_read(study))]


def point_names(study: str, store: str, designs: str) -> list[str]:
    """Names of the pretraining points of a study (JSON text), given the URI of its extrapolation record.

    A name is that URI, ``#`` and the point's id, so that it says by itself where the point's design is.
    """
    with one_line_errors():
        spec = _read(study)
        points = points_in(spec, [fetch(designs, Settings.from_environment(store))])
        return [f"{designs}#{point.id}" for point in points]


def copy_files(store: str, record: str, targets: Mapping[str, str]) -> None:
    """Copy files of a record to local paths, such as the artifact paths of a pipeline."""
    with one_line_errors():
        folder = fetch(record, Settings.from_environment(store)).path
        for name, target in targets.items():
            shutil.copyfile(folder / name, target)


def _read(study: str) -> Study:
    spec = parse_study(json.loads(study), "the study")
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
