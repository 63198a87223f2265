"""The one way to run a stage: command line, Kubeflow component and test all call `run_stage`.

It finds the record if it was made before, else makes it in a workplace that survives interruption and commits it
with the manifest last.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from aira_lib.errors import UserError, from_os_error
from aira_lib.flow.making import Making
from aira_lib.flow.stage import STAGES, Input, Unit
from aira_lib.flow.units import unit_before
from aira_lib.records import Manifest
from aira_lib.settings import Settings
from aira_lib.store import Attempt, Holder, RecordFolder, open_store
from aira_lib.study import Study, digest, flat
from aira_lib.track.follow import followed, tell_study
from aira_lib.track.progress import ProgressFile

_LAST = "report"
"""The stage with which a study ends."""


@dataclass(frozen=True)
class Made:
    """A record that exists: where it is, whether it was there before, and what its stage said last if it was not."""

    uri: str
    reused: bool
    note: str = ""


def run_stage(
    study: Study,
    unit: Unit,
    settings: Settings,
    inputs: Sequence[str] = (),
    say: Callable[[str], None] = lambda line: None,
) -> Made:
    """Make the record of one unit, or find it; waits while another process makes it.

    Args:
        study: the whole study.
        unit: what to make (see `aira_lib.flow.units`).
        settings: where and with how much of the machine.
        inputs: URIs of the input records, as returned for the units before.
        say: told who is waited for.

    Raises:
        UserError: anything a user can mend; the unit's files stay for the next attempt.
    """
    store = open_store(settings.store)
    folder = RecordFolder(store, unit.folder(study))
    progress = ProgressFile(settings.progress, unit.stage, unit.name)
    try:
        made = False
        if folder.manifest() is None:
            inputs = [*inputs, *_made_before(study, unit, settings, progress, say)]
            made = _claim(study, unit, settings, folder, progress, inputs, say)
    except UserError as error:
        progress.fail(str(error), mendable=True)
        raise
    except OSError as error:
        mendable = from_os_error(error)
        progress.fail(str(mendable or error), mendable=mendable is not None)
        raise mendable or error from None
    except Exception as error:
        progress.fail(f"{type(error).__name__}: {error}", mendable=False)
        raise
    progress.finish("done" if made else "reused")
    if not made and unit.stage == _LAST:  # whoever began the study anew said that it runs
        tell_study(settings.tracking, study.name, digest(study), "finished", flat(study))
    return Made(folder.uri, reused=not made, note=progress.note if made else "")


def _made_before(
    study: Study, unit: Unit, settings: Settings, progress: ProgressFile, say: Callable[[str], None]
) -> list[str]:
    """The URI of the record that the unit goes on from, which is made, or waited for, first; none where it has none."""
    before = unit_before(unit, study)
    if before is None:
        return []
    progress.update(0, 0, f"first {before.name}")
    # Whoever makes that as a unit of its own tells of its progress.
    return [run_stage(study, before, replace(settings, progress=None), (), say).uri]


def _claim(
    study: Study, unit: Unit, settings: Settings, folder: RecordFolder, progress: ProgressFile, inputs: Sequence[str],
    say: Callable[[str], None],
) -> bool:  # fmt: skip
    """Be the one who makes the record, or wait for who does; whether it was made here."""
    heard: set[Holder | None] = set()

    def waiting(holder: Holder | None) -> None:
        line = f"waiting for {holder or 'another process'}, which makes it"
        progress.update(0, 0, line)
        if holder not in heard:
            heard.add(holder)
            say(f"{unit.stage} {unit.name}: {line}")

    def lost() -> None:
        say(f"{unit.stage} {unit.name}: another process has taken over, perhaps since this one had stood still")

    def make(attempt: Attempt) -> None:
        records = [fetch(uri, settings, _unread(unit)) for uri in inputs]
        stand_ins = [entry for record in records for entry in record.manifest.stand_ins]
        making.fill(attempt, lambda work: STAGES.named(unit.stage).make(study, unit, records, work), stand_ins, follow)

    def follow(log: Path) -> AbstractContextManager[None]:
        return followed(settings.tracking, study.name, digest(study), log, unit.stage == _LAST, flat(study))

    making = Making(unit, study.name, digest(study), settings, progress.update)
    return making.claimed(folder, make, waiting, lost)


def _unread(unit: Unit) -> list[str]:
    """Patterns of the files of its inputs that a unit does not read."""
    from aira_lib.pretrain.branching import not_read

    row, point = STAGES.named(unit.stage), unit.point
    reads_trunk = point and (row.goes_on_from or point.protocol == "trunk")
    return [*row.unread, *(not_read(point) if point and reads_trunk else [])]


def fetch(uri: str, settings: Settings, unread: Sequence[str] = ()) -> Input:
    """Open a finished record: its manifest and a local folder with its verified files.

    Args:
        uri: where it is.
        settings: names the store, and the folder for copies.
        unread: patterns of files that are not needed.

    Raises:
        UserError: it is not finished, not in the store, or damaged.
    """
    folder, manifest = _finished(uri, settings)
    return Input(manifest, folder.fetch(settings.scratch, unread=unread))


def stage_of(uri: str) -> str:
    """The stage whose record lies at a URI; nothing is read."""
    return uri.rpartition("/")[0].rpartition("/")[2]


def keys_of(records: Sequence[str], settings: Settings) -> list[str]:
    """Keys of finished records, as their manifests say.

    Raises:
        UserError: one is not finished, or not in the store.
    """
    return [_finished(uri, settings)[1].key for uri in records]


def record_at(uri: str, settings: Settings) -> RecordFolder:
    """The record at a URI, finished or not.

    Raises:
        UserError: it is not in the store.
    """
    store = open_store(settings.store)
    if not uri.startswith(f"{store.uri}/"):
        raise UserError(f"record {uri} is not in the store {store.uri}; name its store with --store")
    return RecordFolder(store, uri[len(store.uri) + 1 :])


def _finished(uri: str, settings: Settings) -> tuple[RecordFolder, Manifest]:
    folder = record_at(uri, settings)
    manifest = folder.manifest()
    if manifest is None:
        raise UserError(f"{uri} is not a finished record; run the stage before this one first")
    return folder, manifest
