"""Follow logs to MLflow while they grow.

On one machine the launcher follows the logs of all stages (`Follower`: one writer, as SQLite wants it). On a cluster
every stage follows its own (`followed`). A log says by itself which run it belongs to: its first tags are
`aira.run` (empty for the study's parent run) and `aira.run_name`.

There as well a run has one writer at a time: a stage with a run of its own only looks up the parent's id, or makes the
parent if nobody has; stages that log to the parent run one after another, and so does what starts and ends the study
(`tell_study`). What a server refuses for the moment is tried again until a stage's end, and `PATIENCE` seconds more.
"""

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aira_lib.errors import StoreError
from aira_lib.store import LostClaim
from aira_lib.store.files import write_file
from aira_lib.track.address import sqlite_file
from aira_lib.track.log import RunStatus, read_events
from aira_lib.track.mlflow_runs import DIGEST_TAG, PLUGIN_VARIABLE
from aira_lib.track.mlflow_sync import MLflowSync

SECONDS_BETWEEN_SYNCS = 5.0
PATIENCE = 30.0
"""Seconds after a stage's end for which MLflow is asked again to take its log: on a cluster nobody brings it later."""

LOG_NAME = "track.jsonl"
RUN_TAG = "aira.run"
RUN_NAME_TAG = "aira.run_name"


def study_tags(study: str, digest: str) -> dict[str, str]:
    """Tags of a study's parent run."""
    return {"aira.study": study, DIGEST_TAG: digest}


def experiment_of(study: str) -> str:
    """The name of a study's experiment."""
    return f"aira/{study}"


@dataclass(frozen=True)
class Carried:
    """What a launcher knows to have arrived at an address, in a small file, so that it need not ask MLflow.

    Attributes:
        file: Where it is kept. Whatever is wrong with it, nothing counts as carried.
        tracking: The address; it is kept as a digest, for it may hold a password.
    """

    file: Path
    tracking: str

    def all_of(self, study_digest: str, logs: Iterable[Path]) -> bool:
        """Whether these logs, whole, and the end of their study have arrived."""
        database = sqlite_file(self.tracking)
        if database and not database.exists():
            return False
        mine = self._read().get(self._name, {})
        return mine.get("finished") == study_digest and all(
            mine.get(str(log)) == log.stat().st_size for log in logs if log.exists()
        )

    def remember(self, offsets: Mapping[Path, int], finished: str | None) -> None:
        """Write down how far each log has arrived, and the digest of the study if its end has."""
        known = {self._name: {**{str(log): offset for log, offset in offsets.items()}, "finished": finished}}
        with suppress(StoreError):  # it only saves a look
            write_file(self.file, json.dumps({**self._read(), **known}).encode())

    @property
    def _name(self) -> str:
        return hashlib.sha256(self.tracking.encode("utf-8", "surrogateescape")).hexdigest()

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            known: dict[str, dict[str, Any]] = json.loads(self.file.read_bytes())
            return known if all(isinstance(each, dict) for each in known.values()) else {}
        except (OSError, ValueError, AttributeError):
            return {}


class Follower:
    """Carries every log below a folder to MLflow, in a thread of its own, until closed."""

    def __init__(
        self, tracking: str, study: str, digest: str, logs: Callable[[], Iterator[Path]],
        params: Mapping[str, Any] | None = None, carried: Carried | None = None, nested: tuple[str, str] | None = None,
        offered: str | None = None,
    ) -> None:  # fmt: skip
        """Begin to follow.

        Args:
            tracking: MLflow tracking URI.
            study: the study's name.
            digest: the study's digest, the key of its parent run.
            logs: gives the log files there are, each time it is called.
            params: parameters of the parent run: what the study chose.
            carried: where to write down, at the end, what has arrived.
            nested: key and name of the only run that is written to; None: the study's parent is, too.
            offered: id of a run that Kubeflow's plugin has made for this task.
        """
        experiment, tags = experiment_of(study), study_tags(study, digest)
        self._sync = MLflowSync(tracking, experiment, tags, study_params=params, offered=offered)
        self._key: str | None = nested[0] if nested else None
        self._name = nested[1] if nested else ""
        self._logs, self._offsets = logs, dict[Path, int]()
        self._digest, self._params, self._carried = digest, params or {}, carried
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def close(self, status: RunStatus | None, patience: float = 0.0) -> int:
        """Carry what is left and set the status of the study's parent run, unless it is None (still going on).

        Args:
            status: of the parent run; of the nested one, where that is the only one that is written to.
            patience: seconds for which a server that fails is asked again.

        Returns:
            How many logs have not arrived whole: they wait for the next time.
        """
        self._stop.set()
        self._thread.join()
        until, pause = time.monotonic() + patience, 1.0
        while True:
            self._sync.retry_now()
            self._carry()
            told, waiting = self._tell(status), self._waiting()
            if (told and not waiting) or time.monotonic() + pause > until:
                break
            time.sleep(pause)
            pause *= 2
        if self._carried:
            finished = self._digest if told and status == "finished" else None
            self._carried.remember(self._offsets, finished)
        return waiting

    def _tell(self, status: RunStatus | None) -> bool:
        told = not status or self._sync.set_status(self._key, self._name, status)
        of_parent = self._key is None and self._params
        return (not of_parent or self._sync.set_params(None, "", self._params)) and told

    def _waiting(self) -> int:
        return sum(log.exists() and log.stat().st_size > self._offsets.get(log, 0) for log in self._logs())

    def _follow(self) -> None:
        if self._key is None:
            self._sync.set_status(None, "", "running")
        while not self._stop.wait(SECONDS_BETWEEN_SYNCS):
            self._carry()

    def _carry(self) -> None:
        for log in self._logs():
            name = run_of_log(log)
            if name is not None:
                self._offsets[log] = self._sync.sync(name[0], name[1], log, self._offsets.get(log, 0))


def run_of_log(log: Path) -> tuple[str | None, str] | None:
    """Key (None: the parent) and name of the run that a log belongs to; None while the log does not say."""
    tags: Mapping[str, str] = {}
    for event in read_events(log)[0]:
        if event.kind == "tags":
            tags = event.values
            break
    if RUN_TAG not in tags:
        return None
    return tags[RUN_TAG] or None, tags.get(RUN_NAME_TAG, "")


@contextmanager
def followed(
    tracking: str | None, study: str, digest: str, log: Path, last: bool, params: Mapping[str, Any] | None = None
) -> Iterator[None]:
    """Follow one log for as long as the block runs; without a tracking URI, do nothing.

    The run that the log belongs to ends as failed where the block fails, and the study's as finished at the end of its
    last stage (`last`). It goes on where another process has taken the record over.
    """
    offered = os.environ.pop(PLUGIN_VARIABLE, None)  # MLflow would take it for the parent's, whatever it is asked for
    if tracking is None:
        yield
        return
    run = run_of_log(log)
    nested = (run[0], run[1]) if run and run[0] else None
    follower = Follower(tracking, study, digest, lambda: iter([log]), params, nested=nested, offered=offered)
    try:
        yield
    except BaseException as error:
        follower.close(None if isinstance(error, LostClaim) else "failed", PATIENCE)
        raise
    follower.close("finished" if last else None, PATIENCE)


def tell_study(
    tracking: str | None, study: str, digest: str, status: RunStatus, params: Mapping[str, Any] | None = None
) -> bool:
    """Say how a study is, in the run that all others of it lie below; without a tracking URI, do nothing.

    It is made where there is none: whoever starts a study on a cluster does so before its stages run. Where Kubeflow's
    plugin has made a run for the whole pipeline run, in the study's experiment, it is that one.

    Args:
        tracking: MLflow tracking URI.
        study: the study's name.
        digest: the study's digest.
        status: of the study.
        params: what the study chose.

    Returns:
        Whether MLflow knows it now; it has been told on standard error what kept it from that.
    """
    offered = os.environ.pop(PLUGIN_VARIABLE, None)
    if tracking is None:
        return True
    tags = study_tags(study, digest)
    sync = MLflowSync(tracking, experiment_of(study), tags, study_params=params, offered=offered)
    until, pause = time.monotonic() + PATIENCE, 1.0
    while not sync.set_status(None, "", status):
        if time.monotonic() + pause > until:
            return False
        time.sleep(pause)
        pause *= 2
        sync.retry_now()
    return True
