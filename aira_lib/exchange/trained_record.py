"""The record of a training, as a command names it: a folder of a store, or one of an attempt."""

from dataclasses import dataclass
from pathlib import Path

from aira_lib.architecture.pattern import Layers, parse
from aira_lib.errors import StoreError, UserError
from aira_lib.exchange.file_names import RUN
from aira_lib.flow.stages import OPTIMIZER
from aira_lib.records import Manifest, TrainingRun, read_row
from aira_lib.settings import Settings
from aira_lib.store import RecordFolder, open_store, place_of


@dataclass(frozen=True)
class TrainedRecord:
    """A training with a final checkpoint.

    Attributes:
        run: what was trained on what.
        folder: local, with its files.
        manifest: of the record; None for files that are in none.
        uri: of the record, in its store; empty for files that are in none.
    """

    run: TrainingRun
    folder: Path
    manifest: Manifest | None
    uri: str = ""

    @property
    def layers(self) -> Layers:
        """Of its design."""
        return parse(self.run.point.design.pattern)


def trained_record(place: str, settings: Settings) -> TrainedRecord:
    """Open the record of a training.

    Args:
        place: its folder here or in a bucket, one of its attempts, or the ``run.json`` within.
        settings: where copies of a store that is no folder lie.

    Raises:
        UserError: there is no finished training at that place, or it diverged, or the store refuses.
    """
    place = place.rstrip("/").removesuffix(f"/{RUN}")
    found = _fetched(place, settings) or _loose(place)
    if found is None:
        raise UserError(
            f"{place}: no record of a training; name the folder of one, such as runs/STUDY/pretrain/UNIT-KEY"
        )
    if found.run.status == "diverged":
        raise UserError(f"{place}: this training diverged, and left no model that is worth loading; name another")
    return found


def _fetched(place: str, settings: Settings) -> TrainedRecord | None:
    """The record at a place, or around an attempt there; None where there is none."""
    for uri in (place, place.rpartition("/")[0]):
        above, _, name = uri.rpartition("/")
        if not name or name.endswith(":"):
            continue
        record = RecordFolder(open_store(above or "."), name)
        if (manifest := record.manifest()) is None:
            continue
        if RUN not in {file.name for file in manifest.files}:
            raise UserError(
                f"{place_of(record.uri)}: a record of {manifest.stage}, and no training; name one of pretrain"
            )
        folder = record.fetch(settings.scratch, unread=OPTIMIZER)
        return TrainedRecord(read_row(folder / RUN, TrainingRun), folder, manifest, record.uri)
    return None


def _loose(place: str) -> TrainedRecord | None:
    """Files of a training that lie in a folder here."""
    folder = Path(place).expanduser()
    if "://" in place or not (folder / RUN).is_file():
        return None
    try:
        return TrainedRecord(read_row(folder / RUN, TrainingRun), folder, None)
    except ValueError:
        raise StoreError(f"{folder / RUN}: not the run of a training; name the folder of one") from None
