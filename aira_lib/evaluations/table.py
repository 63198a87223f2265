"""All entries of a store at once: read, chosen, counted, written as Parquet."""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from aira_lib.architecture.pattern import parse
from aira_lib.errors import PatternError
from aira_lib.evaluations.entry import Damaged, StoredEvaluation, decode, encode
from aira_lib.evaluations.store import ENTRIES, USE, Use
from aira_lib.store import Store

_AT_ONCE = 16  # requests to a bucket
_log = logging.getLogger(__name__)


def read_entries(store: Store, cache: Path) -> list[StoredEvaluation]:
    """Every whole entry of a store, by key; a damaged one is left out, with a line in the log.

    Args:
        store: of evaluations.
        cache: local folder for copies where the store is not one; an entry never changes, so it is fetched once.

    Raises:
        StoreError: the store refuses.
    """
    names = store.list(ENTRIES)
    copies = store.local(ENTRIES, cache).parent
    missing = [name for name in names if not (copies / name).is_file()]
    with ThreadPoolExecutor(_AT_ONCE) as pool:  # to wait in; what is here is read twice as fast without threads
        list(pool.map(lambda name: store.get(name, copies / name), missing))
    found = [_read(store, name, copies / name) for name in names]
    return [entry for entry in found if entry]


def _read(store: Store, name: str, copy: Path) -> StoredEvaluation | None:
    key = Path(name).stem
    for last in (False, True):
        if last or not copy.is_file():
            store.get(name, copy)
        try:
            return decode(copy.read_bytes(), key)
        except Damaged as damage:
            if last:  # a damaged copy was fetched anew
                _log.warning("%s/%s: %s; it is left out", store.uri, name, damage)
    return None


def read_uses(store: Store) -> list[Use]:
    """What processes asked for, oldest first; one that is damaged is left out.

    Raises:
        StoreError: the store refuses.
    """
    uses = []
    for name in store.list(USE):
        try:
            uses.append(Use.model_validate_json(store.read(name)))
        except ValidationError:
            _log.warning("%s/%s: no count of uses; it is left out", store.uri, name)
    return sorted(uses, key=lambda use: (use.created, use.asked_by))


@dataclass(frozen=True)
class Choice:
    """Which entries are wanted: all that every given field agrees with.

    Attributes:
        design: A pattern, of which other spellings count too, or a part of the design as it is written.
        dataset: Such as mad.
        settings: The beginning of the settings' digest.
        code: The beginning of the evaluator's digest.
        asked_by: The beginning of who asked first, such as a study's name.
        layers: The number of layers.
        failed: Whether failures are wanted too, and trainings that were stopped early.
    """

    design: str = ""
    dataset: str = ""
    settings: str = ""
    code: str = ""
    asked_by: str = ""
    layers: int | None = None
    failed: bool = False

    def of(self, entries: Iterable[StoredEvaluation]) -> list[StoredEvaluation]:
        """The chosen entries, each data set's best first; equals by their designs."""
        layers = _layers(self.design)
        wanted = [
            entry
            for entry in entries
            if (not self.design or self.design in entry.design or entry.layers == layers)
            and self.dataset in ("", entry.dataset)
            and entry.settings.startswith(self.settings)
            and entry.code.startswith(self.code)
            and entry.made.asked_by.startswith(self.asked_by)
            and self.layers in (None, len(entry.layers))
            and (self.failed or (entry.evaluation.status == "ok" and entry.evaluation.stopped_at is None))
        ]
        return sorted(wanted, key=lambda entry: (entry.dataset, -entry.goodness, entry.design, entry.key))


def _layers(text: str) -> tuple[str, ...] | None:
    try:
        return parse(text)
    except PatternError:
        return None


def statistics(entries: Sequence[StoredEvaluation], uses: Sequence[Use]) -> dict[str, Any]:
    """Counts as plain data. Saved seconds are those of trainings that were found instead."""
    return {
        "evaluations": len(entries),
        "failed": sum(entry.evaluation.status != "ok" for entry in entries),
        "stopped": sum(entry.evaluation.stopped_at is not None for entry in entries),
        "designs": len({(entry.dataset, entry.layers) for entry in entries}),
        "by_dataset": _counted(entry.dataset for entry in entries),
        "by_settings": _counted(entry.settings for entry in entries),
        "by_code": _counted(entry.code for entry in entries),
        "by_machine": _counted(entry.made.machine for entry in entries),
        "by_device": _counted(entry.made.device for entry in entries),
        "seconds_trained": sum(entry.evaluation.seconds for entry in entries),
        "asked": sum(use.trained + use.found for use in uses),
        "trained": sum(use.trained for use in uses),
        "found": sum(use.found for use in uses),
        "seconds_saved": sum(use.seconds_saved for use in uses),
        "asked_by": {name: _asked(name, uses) for name in dict.fromkeys(use.asked_by for use in uses)},
        "bytes": sum(len(encode(entry)) for entry in entries),
    }


def _asked(name: str, uses: Sequence[Use]) -> dict[str, int]:
    mine = [use for use in uses if use.asked_by == name]
    return {"trained": sum(use.trained for use in mine), "found": sum(use.found for use in mine)}


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())


def write_parquet(entries: Sequence[StoredEvaluation], path: Path) -> None:
    """Write entries as one table, a row each: `aira_lib.aggregate.table.DesignTable.from_parquet` reads it.

    Scores by task are columns `validation.TASK` and `test.TASK`, null where an entry has none. `agents` is who asked
    first, by the name of the search within its study.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = ("key", "design", "dataset", "settings", "code", "status", "reason", "asked_by", "machine", "device")
    kinds: dict[str, Any] = {
        **dict.fromkeys((*texts, "created", "platform"), pa.string()),
        **dict.fromkeys(("layers", "agents"), pa.list_(pa.string())),
        **dict.fromkeys(("validation", "test", "seconds"), pa.float64()),
        **dict.fromkeys(("seed", "params", "train_steps"), pa.int64()),
        "lower_is_better": pa.bool_(),
        "threads": pa.int32(),
    }
    tasks = sorted({task for entry in entries for task in entry.evaluation.validation_by_task})
    kinds |= {f"{split}.{task}": pa.float64() for split in ("validation", "test") for task in tasks}
    rows = [_row(entry) for entry in entries]
    columns = {name: pa.array([row.get(name) for row in rows], kind) for name, kind in kinds.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def _row(entry: StoredEvaluation) -> dict[str, Any]:
    scored, made = entry.evaluation, entry.made
    return {
        **entry.model_dump(
            include={"key", "design", "layers", "dataset", "lower_is_better", "settings", "seed", "code"}
        ),
        **scored.model_dump(include={"status", "reason", "validation", "test", "params", "train_steps", "seconds"}),
        **made.model_dump(include={"asked_by", "created", "machine", "device", "threads"}),
        "agents": [made.asked_by.rpartition("/")[2]],
        "platform": json.dumps(entry.platform, sort_keys=True),
        **{f"validation.{task}": score for task, score in scored.validation_by_task.items()},
        **{f"test.{task}": score for task, score in scored.test_by_task.items()},
    }
