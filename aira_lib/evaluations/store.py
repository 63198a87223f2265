"""Get or train: every evaluation is made once, however many searches, processes and machines ask for it.

In a store (a folder or a bucket, see `aira_lib.store`) lie

    entries/ab/<key>.json     an evaluation that was made, see `aira_lib.evaluations.entry`
    settings/<digest>.json    data and settings of entries, in full
    use/<who>-<random>.json   how often one process trained and found
    leases/<key>              held while an evaluation is being made

A design that fails to train because its loss diverges has that for a result. Memory that runs out or a process that was
killed is no result of the design but of the machine, so it is not kept; nor is anything of an evaluation that raises.
"""

import hashlib
import logging
import platform
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Protocol

from aira_lib import __version__
from aira_lib.architecture.pattern import Layers, render
from aira_lib.device import device
from aira_lib.errors import StoreError
from aira_lib.evaluations.entry import Damaged, Provenance, StoredEvaluation, decode, encode
from aira_lib.evaluations.key import EvaluationKey, key_of
from aira_lib.records import Evaluation, Row
from aira_lib.store import Holder, open_store
from aira_lib.store.lease import SECONDS, lease
from aira_lib.study import ProxySection, canonical_json

ENTRIES, SETTINGS, USE, LEASES = "entries", "settings", "use", "leases"
WAITING = "another process trains this design; waiting for its score"

Progress = Callable[[float, float, str], None]
_log = logging.getLogger(__name__)


class Evaluate(Protocol):
    """What trains a design: `aira_lib.proxy.evaluate`, or a cheap one for tests."""

    def __call__(
        self, layers: Layers, section: ProxySection, *, seed: int, threads: int, progress: Progress
    ) -> Evaluation:
        """Score a design."""


class Use(Row):
    """What one process asked for: how many evaluations it trained and found, and the seconds of these trainings."""

    asked_by: str
    created: str
    trained: int = 0
    found: int = 0
    seconds_trained: float = 0.0
    seconds_saved: float = 0.0


@dataclass(frozen=True)
class Answer:
    """An evaluation, and whether it was there (`found`) or was made now; `entry` None: it is not kept."""

    evaluation: Evaluation
    found: bool
    entry: StoredEvaluation | None


class EvaluationStore:
    """Evaluations in the store at a URI. An instance can take the place of the `evaluate` that it wraps."""

    def __init__(self, uri: str, evaluate: Evaluate, asked_by: str = "aira", *, lease_seconds: float = SECONDS) -> None:
        """Open a store; nothing is contacted yet.

        Args:
            uri: a folder, ``file://`` or ``s3://``.
            evaluate: trains what is not there.
            asked_by: who asks, such as a study and one of its searches.
            lease_seconds: see `aira_lib.store.lease`.

        Raises:
            StoreError: the URI names no store.
        """
        self.store = open_store(uri)
        self._evaluate, self._lease_seconds = evaluate, lease_seconds
        self.use = Use(asked_by=asked_by, created=_now())
        self._use_name = f"{USE}/{re.sub(r'[^A-Za-z0-9.-]+', '-', asked_by)[:80]}-{secrets.token_hex(6)}.json"
        self._known_settings: set[str] = set()
        self._damaged: set[str] = set()

    def __call__(
        self, layers: Layers, section: ProxySection, *, seed: int, threads: int, progress: Progress
    ) -> Evaluation:
        """Score a design, or take its score from the store."""
        return self.answer(layers, section, seed=seed, threads=threads, progress=progress).evaluation

    def answer(
        self,
        layers: Layers,
        section: ProxySection,
        *,
        seed: int,
        threads: int = 1,
        progress: Progress = lambda done, total, note: None,
    ) -> Answer:
        """Take an evaluation from the store, or make it and keep it; waits while another process makes the same.

        Raises:
            UserError: settings without sense, or a store that refuses.
        """
        key = key_of(layers, section, seed)
        answer = self._there(key, section)
        while answer is None:
            with self._lease(key.digest, progress) as mine:
                # What another made while this process waited is there now.
                answer = self._there(key, section)
                if answer is None and mine:
                    answer = self._make(key, section, threads, progress)
        self._count(answer)
        return answer

    def find(self, key: str) -> StoredEvaluation | None:
        """The entry of a key; None where there is none, or a damaged one.

        Raises:
            StoreError: the store refuses.
        """
        name = entry_name(key)
        if not self.store.exists(name):
            return None
        try:
            return decode(self.store.read(name), key)
        except Damaged as damage:
            if key not in self._damaged:
                _log.warning("%s/%s: %s; it is made anew", self.store.uri, name, damage)
            self._damaged.add(key)
            return None

    def _there(self, key: EvaluationKey, section: ProxySection) -> Answer | None:
        """The whole training, as far as the bars of the section let it go; or one that stopped where they do."""
        entry = self.find(key.digest)
        if not section.stopping.bars:
            return None if entry is None else Answer(_found(entry, entry.evaluation), True, entry)
        from aira_lib.proxy.stopping import as_stopped, stopping_epoch

        if entry is not None:
            return Answer(_found(entry, as_stopped(entry.evaluation, section)), True, entry)
        for epoch in section.rungs:
            entry = self.find(key_of(key.layers, section, key.seed, epoch).digest)
            if entry is not None and stopping_epoch(entry.evaluation.curve, section) == epoch:
                return Answer(_found(entry, entry.evaluation), True, entry)
        return None

    def _lease(self, key: str, progress: Progress) -> Any:
        def enough(holder: Holder | None) -> bool:
            progress(0, 1, WAITING)
            return self.find(key) is not None

        return lease(self.store, f"{LEASES}/{key}", enough, self._lease_seconds)

    def _make(self, key: EvaluationKey, section: ProxySection, threads: int, progress: Progress) -> Answer:
        seed = key.seed
        made = self._evaluate(key.layers, section, seed=seed, threads=threads, progress=progress).finite()
        if _depends_on_machine(made):
            return Answer(made, False, None)
        if made.stopped_at is not None:
            key = key_of(key.layers, section, seed, made.stopped_at)
        entry = self._keep(key, made, threads)
        return Answer(made.model_copy(update={"key": entry.key}), False, entry)

    def _keep(self, key: EvaluationKey, made: Evaluation, threads: int) -> StoredEvaluation:
        entry = StoredEvaluation(
            key=key.digest, design=render(key.layers), layers=key.layers, dataset=key.dataset,
            lower_is_better=key.dataset != "mad", settings=key.settings_digest, seed=key.seed, code=key.code,
            platform=key.platform, evaluation=made,
            made=Provenance(
                asked_by=self.use.asked_by, created=_now(), machine=machine(), device=_device(), threads=threads,
                versions={"aira": __version__, "python": platform.python_version()},
            ),
        )  # fmt: skip
        name = f"{SETTINGS}/{entry.settings}.json"
        if entry.settings not in self._known_settings and not self.store.exists(name):
            whole = canonical_json({"dataset": key.dataset, **key.settings})
            self.store.write(name, (whole + "\n").encode())
        self._known_settings.add(entry.settings)
        self.store.write(entry_name(entry.key), encode(entry))
        return entry

    def _count(self, answer: Answer) -> None:
        use = self.use
        if answer.found and answer.entry:
            saved = use.seconds_saved + answer.entry.evaluation.seconds
            self.use = use.model_copy(update={"found": use.found + 1, "seconds_saved": saved})
        else:
            spent = use.seconds_trained + answer.evaluation.seconds
            self.use = use.model_copy(update={"trained": use.trained + 1, "seconds_trained": spent})
        try:
            self.store.write(self._use_name, self.use.json_line().encode())
        except StoreError as error:  # a count is no reason to stop: what is only read may lie in a read-only store
            _log.warning("the use of the store is not counted: %s", error)


def entry_name(key: str) -> str:
    """Where the entry of a key lies in its store."""
    return f"{ENTRIES}/{key[:2]}/{key}.json"


def _found(entry: StoredEvaluation, evaluation: Evaluation) -> Evaluation:
    took = evaluation.training_seconds or evaluation.seconds
    return evaluation.model_copy(update={"key": entry.key, "seconds": 0.0, "training_seconds": took})


def _depends_on_machine(evaluation: Evaluation) -> bool:
    return evaluation.cause is not None and evaluation.cause.of_machine


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@cache
def machine() -> str:
    """Tells machines apart without naming them: the first 12 hex digits of the SHA-256 of the host's name."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:12]


def _device() -> str:
    """The model of what computes."""
    import torch

    if (place := device()) != "cpu":
        return torch.cuda.get_device_name(place)
    return f"{platform.machine()} CPU, {torch.backends.cpu.get_cpu_capability()}"
