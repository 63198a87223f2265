"""`aira evaluate CHECKPOINT --tasks ...`: one trained model on downstream tasks.

What comes of it is a record, named by its key like that of a study's own stage: with the same tasks and items that
finds it, and the same command computes nothing.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from aira_lib.contents import folder_digest
from aira_lib.downstream.asked import check_asked, scores_identity
from aira_lib.errors import UserError, writing
from aira_lib.exchange.beside import study_beside
from aira_lib.exchange.trained_record import TrainedRecord, trained_record
from aira_lib.flow.making import Making
from aira_lib.flow.stage import Unit
from aira_lib.local.checkpoint_table import show_plan, show_scores, write_table
from aira_lib.records import ITEMS, Downstream, read_row
from aira_lib.settings import Settings
from aira_lib.store import Attempt, RecordFolder, open_store, place_of
from aira_lib.store.base import safe_name
from aira_lib.study import DataSection, DownstreamSection, Study

STAGE, RESULT = "downstream", "downstream.json"
NO_STUDY = "checkpoints"
"""Folder in the store for scores of a model that is of no study."""

Told = Callable[[float, float, str], None]


def evaluate_checkpoint(
    console: Console, place: str, section: DownstreamSection, settings: Settings, study: Study | None = None,
    to: Path | None = None, dry_run: bool = False, told: Told = lambda done, total, what: None,
) -> None:  # fmt: skip
    """Score the model of a record, unless its scores are there, and print them.

    Args:
        console: to print on.
        place: of the record, see `trained_record`.
        section: which tasks, and which items of them.
        settings: where scores are kept.
        study: of the record, for its text; None: the one that lies beside the record's in the store.
        to: a folder for copies of the scores, by task and by item; None: there are none.
        dry_run: say what it would take, and compute nothing.
        told: how far it is.

    Raises:
        UserError: there is no such record, it has diverged, a task is unknown or has no data, or a folder that cannot
            be written.
    """
    check_asked(section)
    trained = trained_record(place, settings)
    data = _data_of(trained, study)
    if dry_run:
        from aira_lib.downstream.plan import planned

        show_plan(console, trained.run, planned(section, data, trained.run, trained.folder))
        return
    if to is not None:
        with writing(f"--to {to}"):
            to.mkdir(parents=True, exist_ok=True)
    unit = unit_of(trained, section)
    record = _record_of(trained, unit, settings)
    there = record.manifest() is not None
    if not there:
        _make(record, trained, unit, section, data, settings, told)
    folder = record.fetch(settings.scratch)
    found = read_row(folder / RESULT, Downstream)
    show_scores(console, found)
    say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    say(f"{'Nothing was computed: all of it was there already, in' if there else 'Kept in'} {place_of(record.uri)}")
    if to is not None:
        _copy(folder, found, to)
        say(f"Copied to {to}")


def unit_of(trained: TrainedRecord, section: DownstreamSection) -> Unit:
    """The unit that a study's own stage has for these tasks of this checkpoint."""
    point, manifest = trained.run.point, trained.manifest
    # Files that are in no record are known by what they hold.
    key = manifest.key if manifest else folder_digest(trained.folder)
    unit = Unit(STAGE, manifest.unit if manifest else point.id, point=point, inputs=(key,))
    return replace(unit, section=scores_identity(section))


def _record_of(trained: TrainedRecord, unit: Unit, settings: Settings) -> RecordFolder:
    study = trained.manifest.study if trained.manifest else ""
    name = safe_name(study or NO_STUDY, STAGE, f"{unit.name}-{unit.key[:12]}")
    return RecordFolder(open_store(settings.store), name)


def _make(
    record: RecordFolder, trained: TrainedRecord, unit: Unit, section: DownstreamSection, data: DataSection,
    settings: Settings, told: Told,
) -> None:  # fmt: skip
    """Make the record, or wait for whoever does."""
    from aira_lib.downstream.stage import downstream

    open_store(settings.store).check()
    study, spec = (trained.manifest.study, trained.manifest.spec_digest) if trained.manifest else ("", "")
    stand_ins = trained.manifest.stand_ins if trained.manifest else ()
    making = Making(unit, study, spec, settings, told)

    def make(attempt: Attempt) -> None:
        making.fill(attempt, lambda work: downstream(section, data, trained.folder, work), stand_ins)

    making.claimed(record, make, lambda holder: told(0, 0, f"waiting for {holder}"))


def _data_of(trained: TrainedRecord, study: Study | None) -> DataSection:
    """The text of the record's study, which says where the tokenizer of token shards is."""
    if study:
        return study.pretrain.data
    if trained.run.data.get("corpus") != "shards":
        return DataSection()
    if (beside := study_beside(trained)) is None:
        raise UserError(
            f"{trained.run.point.id} was trained on token shards, whose tokenizer is not at hand; name its study with "
            "--study"
        )
    return beside.pretrain.data


def _copy(folder: Path, found: Downstream, to: Path) -> None:
    with writing(f"--to {to}"):
        for name in (RESULT, ITEMS):
            shutil.copyfile(folder / name, to / name)
        write_table(found, to / "scores.csv")


def section_of(tasks: str, data: str | None, limit: int | None, batch_tokens: int | None) -> DownstreamSection:
    """The section that options of the command line stand for.

    Raises:
        UserError: no task is named, or one is named twice.
    """
    names = tuple(filter(None, (name.strip() for name in tasks.split(","))))
    if not names or len(set(names)) < len(names):
        raise UserError(f"--tasks {tasks!r}: name tasks, each once, such as six, core-14 or hellaswag,piqa:5")
    given: dict[str, Any] = {"batch_tokens": batch_tokens, "data": data}
    return DownstreamSection(tasks=names, limit=limit, **{k: v for k, v in given.items() if v is not None})
