"""Text becomes token shards: by several processes, resumed after any interruption, the same bytes in every case.

::

    parts/plan.json   what is to be made, before anything is
    parts/00000.json  what became of a part, when its shards are there; a further run passes it over
    manifest.json     last of all; then parts/ goes
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from aira_lib.datasets.shards.estimate import Sample, sample_of
from aira_lib.datasets.shards.folder import TOKENIZER_FILE, read_manifest
from aira_lib.datasets.shards.inputs import find_inputs
from aira_lib.datasets.shards.manifest import SPLITS, ShardManifest, Split, SplitEntry
from aira_lib.datasets.shards.megatron import token_type
from aira_lib.datasets.shards.part import PARTS_FOLDER, Part, PartRecord, record_name, write_part
from aira_lib.datasets.shards.plan import (
    LOCK,
    Plan,
    Preparation,
    begin,
    begun,
    check_apart,
    parts_of,
    plan_of,
    refuse_others,
)
from aira_lib.datasets.shards.processes import shared_count, side_by_side
from aira_lib.datasets.shards.tokenizer import BYTES, Engine, quickest, tokenizer_of
from aira_lib.errors import UserError
from aira_lib.store import Store, open_store, place_of
from aira_lib.store.base import MANIFEST, TEMPORARY
from aira_lib.store.lease import lease

_TELL_SECONDS = 0.5


@dataclass(frozen=True)
class Progress:
    """How far a preparation is: parts, and bytes of input (0 of 0 where they have no size), since `seconds`.

    `bytes_here` are those that this run read; the others were there.
    """

    parts_done: int
    parts: int
    bytes_done: int
    bytes: int
    bytes_here: int
    seconds: float


@dataclass(frozen=True)
class Prepared:
    """The manifest; whether it was there before; and why trained ids were not computed by tiktoken, if so."""

    manifest: ShardManifest
    already: bool
    remark: str = ""


def prepare(
    asked: Preparation, output: str, processes: int, tell: Callable[[Progress], None], engine: str = "auto"
) -> Prepared:
    """Write token shards, or what is missing of them.

    Args:
        asked: what of, and how.
        output: a folder or ``s3://bucket/prefix``: empty, or what an earlier run left of the same preparation.
        processes: how many work side by side; they change nothing but the time.
        tell: told every half second how far it is.
        engine: ``tokenizers`` leaves tiktoken alone.

    Raises:
        UserError: an input, the tokenizer or the output is not what it should be, or another process is at it.
        StoreError: disk or bucket refuse.
        MissingDependency: a trained tokenizer or a Hugging Face data set without the packages for it.
    """
    if asked.validation_one_in == 1:
        raise UserError("--validation-one-in 1: would hold out every document; 2 holds out half, 0 none")
    store, inputs = open_store(output), find_inputs(asked.places, asked.part_bytes)
    check_apart(asked.places, store)
    tokenizer = tokenizer_of(asked.tokenizer)
    plan = plan_of(asked, inputs, tokenizer.entry)
    if store.exists(MANIFEST):
        return Prepared(_finished(store, plan), already=True)
    begun(store, plan)
    # Inputs are read here first, so that what is wrong with all of them is said before anything is written.
    computes, remark = engine_of(asked, sample_of(inputs, asked.text_field), engine)
    with _alone(store):
        begin(store, plan)
        if tokenizer.file:
            store.write(TOKENIZER_FILE, tokenizer.file.encode())
        parts = parts_of(asked, inputs, store.uri, plan.tokenizer.digest, computes)
        missing = [part for part in parts if not store.exists(record_name(part.number))]
        _write(missing, _Report(parts, missing, inputs.bytes, tell), processes)
        manifest = _whole(store, plan)
        store.write(MANIFEST, (manifest.model_dump_json(indent=1) + "\n").encode())
    store.remove(PARTS_FOLDER)
    return Prepared(manifest, already=False, remark=remark)


def engine_of(asked: Preparation, sample: Sample, engine: str) -> tuple[Engine, str]:
    """What computes the ids, and why it is not tiktoken, if it should be.

    Args:
        asked: the tokenizer.
        sample: of the text, on which ids are compared.
        engine: ``tokenizers`` leaves tiktoken alone.

    Raises:
        UserError: there is no such tokenizer.
        MissingDependency: a trained tokenizer without the package `tokenizers`.
    """
    if engine == "tokenizers" and asked.tokenizer != BYTES:
        return "tokenizers", ""
    return quickest(asked.tokenizer, sample.texts)


def _finished(store: Store, plan: Plan) -> ShardManifest:
    """The manifest that is there, if it is that of the plan."""
    manifest, shown = read_manifest(store), place_of(store.uri)
    refuse_others(shown, {"tokenizer": manifest.tokenizer.model_dump()}, {"tokenizer": plan.tokenizer.model_dump()})
    refuse_others(shown, manifest.source, plan.source())
    store.remove(PARTS_FOLDER)
    return manifest


@contextmanager
def _alone(store: Store) -> Iterator[None]:
    """Nobody else writes there; what was left half-written by one that was killed goes."""
    with lease(store, LOCK, enough=lambda holder: True) as held:
        if held is None:
            raise UserError(f"{place_of(store.uri)}: being prepared already, by {store.holder(LOCK)}; wait for it")
        if store.uri.startswith("file://"):
            for left in Path(place_of(store.uri)).glob(f".*{TEMPORARY}"):
                left.unlink(missing_ok=True)
        yield


class _Report:
    """Counts what is read and tells it."""

    def __init__(self, parts: Sequence[Part], missing: Sequence[Part], total: int, tell: Callable[[Progress], None]):
        self._parts, self._missing, self._total, self._tell = len(parts), len(missing), total, tell
        self._before = total - sum(piece.bytes for part in missing for piece in part.pieces)
        self._start = self._told = time.monotonic()

    def tell(self, done: int, read: int, last: bool = False) -> None:
        """Parts that are done, and bytes read, both by this run."""
        now = time.monotonic()
        if last or now - self._told >= _TELL_SECONDS:
            self._told = now
            parts = self._parts - self._missing + done
            progress = Progress(parts, self._parts, self._before + read, self._total, read, now - self._start)
            self._tell(progress)


def _write(parts: Sequence[Part], report: _Report, processes: int) -> None:
    if processes == 1 or len(parts) < 2:
        read = 0
        for done, part in enumerate(parts):

            def advance(more: int, done: int = done) -> None:
                nonlocal read
                read += more
                report.tell(done, read)

            write_part(part, advance)
        report.tell(len(parts), read, last=True)
    else:
        _write_side_by_side(parts, report, min(processes, len(parts)))


def _write_side_by_side(parts: Sequence[Part], report: _Report, processes: int) -> None:
    read, stop = shared_count(), shared_count()
    with side_by_side(processes, _begin_process, read, stop) as pool:
        running = {pool.submit(_in_process, part) for part in parts}
        try:
            _follow(running, report, read)
        except BaseException:
            stop.value = 1
            raise


def _follow(running: "set[Future[None]]", report: _Report, read: "Synchronized[int]") -> None:
    done = 0
    while running:
        ended, running = wait(running, _TELL_SECONDS, FIRST_COMPLETED)
        for future in ended:
            future.result()
        done += len(ended)
        report.tell(done, read.value, last=not running)


_shared: dict[str, "Synchronized[int]"] = {}


def _begin_process(read: "Synchronized[int]", stop: "Synchronized[int]") -> None:
    _shared.update(read=read, stop=stop)


def _in_process(part: Part) -> None:
    def advance(more: int) -> None:
        with _shared["read"].get_lock():
            _shared["read"].value += more
        if _shared["stop"].value:
            raise UserError("ended with the others")

    write_part(part, advance)


def _whole(store: Store, plan: Plan) -> ShardManifest:
    """The manifest, from the records of all parts."""
    records = [PartRecord.model_validate_json(store.read(record_name(number))) for number in range(plan.parts)]
    counts = {
        "documents_read": sum(record.documents_read for record in records),
        "duplicates_dropped": sum(record.duplicates for record in records),
        "held_out_above_limit": sum(record.left_out for record in records),
        "text_sha256": hashlib.sha256("".join(record.text_sha256 for record in records).encode()).hexdigest(),
    }
    splits: dict[Split, SplitEntry] = {
        split: SplitEntry(
            shards=tuple(shard for record in records for shard in record.shards[split]),
            text_bytes=sum(record.text_bytes[split] for record in records),
        )
        for split in SPLITS
    }
    if not splits["train"].tokens:
        raise UserError(
            f"{place_of(store.uri)}: no document is left for training of {counts['documents_read']:,} in the inputs; "
            "name others"
        )
    tokenizer = plan.tokenizer
    return ShardManifest(
        type=token_type(tokenizer.vocab_size), tokenizer=tokenizer, splits=splits, source={**plan.source(), **counts}
    )
