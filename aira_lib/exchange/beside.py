"""What lies in the store beside the record of a training: its study, and the scores of its model."""

from typing import TypeVar

from aira_lib.exchange.trained_record import TrainedRecord
from aira_lib.flow.stage import STUDY_FILE
from aira_lib.records import Downstream, Manifest, Row, Score
from aira_lib.store import RecordFolder, Store, open_store
from aira_lib.store.base import MANIFEST
from aira_lib.study import Study

RowT = TypeVar("RowT", bound=Row)


def study_beside(record: TrainedRecord) -> Study | None:
    """The study that a training is part of; None where it does not lie there.

    Raises:
        StoreError: the store refuses.
    """
    store, study = _place_of_study(record)
    name = f"{study}/{STUDY_FILE}"
    if store is None or not study or not store.exists(name):
        return None
    return Study.model_validate_json(store.read(name))


def scores_beside(record: TrainedRecord) -> tuple[Score | None, Downstream | None]:
    """Scores of a training's model on held-out text and on downstream tasks, each None where there is none.

    Of several the newest; of those on tasks that of most items: a look at one task afterwards does not replace it.

    Raises:
        StoreError: the store refuses, or a manifest is damaged.
    """
    scores = _made_from(record, "evaluate", "score.json", Score)
    answers = _made_from(record, "downstream", "downstream.json", Downstream)
    return next(reversed(scores), None), max(reversed(answers), key=_items, default=None)


def _items(found: Downstream) -> int:
    return sum(task.items for task in found.tasks)


def _made_from(record: TrainedRecord, stage: str, file: str, kind: type[RowT]) -> list[RowT]:
    """A file of each record of a stage that was made from this one, the oldest first."""
    store, study = _place_of_study(record)
    if store is None or record.manifest is None:
        return []
    found: list[tuple[Manifest, RecordFolder]] = []
    for name in store.list(f"{study}/{stage}"):
        folder, _, last = name.rpartition("/")
        if last == MANIFEST and folder.count("/") == study.count("/") + 2:
            made = RecordFolder(store, folder)
            if (manifest := made.manifest()) and record.manifest.key in manifest.inputs:
                found.append((manifest, made))
    found.sort(key=lambda each: each[0].created)
    return [kind.model_validate_json(store.read(f"{made.files()}/{file}")) for _, made in found]


def _place_of_study(record: TrainedRecord) -> tuple[Store | None, str]:
    """The store of a record and its study's folder there, as all records of stages lie: STUDY/STAGE/UNIT-KEY."""
    parts = record.uri.rsplit("/", 3)
    if record.manifest is None or len(parts) < 4 or parts[1] != record.manifest.study:
        return None, ""
    return open_store(parts[0]), parts[1]
