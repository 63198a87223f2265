"""Carry the logs of stages to MLflow: one experiment a study, a parent run a study, nested runs by key.

Carrying is repeatable: runs are found by the tag ``aira.key`` before they are made, a parameter is logged once, a
metric once a step, an artifact once a content. So a log may be carried from its start after any interruption. On one
machine a single process should carry all logs (SQLite knows one writer); on a cluster each stage may carry its own.
A tracking server that fails never stops the work: it is told once, and the logs wait.
"""

import json
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from aira_lib.errors import MissingDependency
from aira_lib.store.files import file_entry
from aira_lib.track.address import without_login
from aira_lib.track.connecting import connect
from aira_lib.track.log import Event, RunStatus, read_events
from aira_lib.track.mlflow_runs import KeyedRuns, Run

METRICS_A_BATCH, OTHERS_A_BATCH = 1000, 100  # MLflow's own limits
_DIGITS, _FILES_A_TAG = 12, 60  # of what a tag says of uploaded files; MLflow takes 5,000 characters
_STATUS = {"running": "RUNNING", "finished": "FINISHED", "failed": "FAILED"}
_log = logging.getLogger(__name__)
T = TypeVar("T")


class MLflowSync:
    """Carries logs of one study to one MLflow server or database."""

    def __init__(
        self, tracking_uri: str, experiment: str, study_tags: Mapping[str, str], patience: float = 30.0,
        study_params: Mapping[str, Any] | None = None, offered: str | None = None,
    ) -> None:  # fmt: skip
        """Prepare; MLflow is contacted at the first `sync`.

        Args:
            tracking_uri: any URI that MLflow takes.
            experiment: its name, ``aira/<study>``.
            study_tags: tags of the parent run; ``aira.spec_digest`` must be one, for it is the parent's key.
            patience: seconds to leave MLflow alone after it failed.
            study_params: parameters of the parent run, which the one who makes it logs.
            offered: id of a run that Kubeflow's plugin has made for this task (see `mlflow_runs`).

        Raises:
            MissingDependency: MLflow is not installed.
        """
        if find_spec("mlflow") is None:
            raise MissingDependency("MLflow tracking", "tracking")
        self.tracking_uri, self.experiment, self.patience = tracking_uri, experiment, patience
        self._study_tags, self._study_params = dict(study_tags), dict(study_params or {})
        self._offered = offered
        self._runs: KeyedRuns | None = None
        self._client: Any = None
        self._told = False
        self._rest_until = 0.0

    def sync(self, run_key: str | None, name: str, log_path: Path, offset: int = 0) -> int:
        """Carry what a log gained since an offset.

        Several logs may go to one run if their metrics have different names or steps.

        Args:
            run_key: ``<stage>:<key>`` of a nested run; None for the study's parent run, whose status logs do not set.
            name: the run's display name, used when it is made.
            log_path: the log (`aira_lib.track.log`).
            offset: what the last call for this log returned; 0 is always right, and slower.

        Returns:
            The offset for the next call: unchanged when MLflow failed.
        """
        events, end = read_events(log_path, offset)
        if events and not self._try(lambda: self._carry(run_key, name, log_path, events, end)):
            return offset
        return end

    def set_status(self, run_key: str | None, name: str, status: RunStatus) -> bool:
        """Say how a run (None: the parent) is; False when MLflow failed."""
        return self._try(lambda: self._set_status(self._run(run_key, name), status, _now()))

    def set_params(self, run_key: str | None, name: str, values: Mapping[str, Any]) -> bool:
        """Log what was chosen for a run (None: the parent), each name once; False when MLflow failed."""
        return self._try(lambda: self._add_params(self._run(run_key, name), values))

    def retry_now(self) -> None:
        """Let the next call try MLflow even if it failed a moment ago."""
        self._rest_until = 0.0

    def _try(self, action: Callable[[], None]) -> bool:
        if time.monotonic() < self._rest_until:
            return False
        try:
            action()
        except Exception as error:  # whatever a tracking server does, the work goes on
            if self._runs:
                self._runs.forget()  # it may have taken a part
            self._rest_until = time.monotonic() + self.patience
            if not self._told:
                reason = without_login((str(error).splitlines() or [""])[0])[:300]
                where = without_login(self.tracking_uri)
                _log.warning(
                    "MLflow at %s: %s: %s; the work goes on, its logs wait for the next run of this command",
                    where, type(error).__name__, reason,
                )  # fmt: skip
            self._told = True
            return False
        self._told = False
        return True

    def _carry(self, run_key: str | None, name: str, log_path: Path, events: Sequence[Event], end: int) -> None:
        run = self._run(run_key, name, events[0].time)
        # Says that all of this very log was carried, so that a finished study costs one look-up a run.
        log = "/".join(log_path.absolute().parts[-3:-1])
        mark = {f"aira.log.{log}": f"{end}:{events[-1].time}"}
        if mark.items() <= run.tags.items():
            return
        self._add_tags(run, _last_values(events, "tags"))
        self._add_params(run, _last_values(events, "params"))
        self._add_metrics(run, events)
        files = dict.fromkeys(str(event.values["path"]) for event in events if event.kind == "artifact")
        self._add_artifacts(run, log, log_path.parent, files)
        statuses = [event for event in events if event.kind == "status"]
        if statuses and run_key is not None:
            self._set_status(run, statuses[-1].values["status"], statuses[-1].time)
        self._add_tags(run, mark)

    def _add_tags(self, run: Run, values: Mapping[str, Any]) -> None:
        from mlflow.entities import RunTag

        new = {_name(key): str(value) for key, value in values.items() if run.tags.get(_name(key)) != str(value)}
        for batch in _batches((RunTag(key, value) for key, value in new.items()), OTHERS_A_BATCH):
            self._client.log_batch(run.id, tags=batch)
        run.tags.update(new)

    def _add_params(self, run: Run, values: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        new = {_name(key): str(value) for key, value in values.items() if _name(key) not in run.params}
        for batch in _batches((Param(key, value) for key, value in new.items()), OTHERS_A_BATCH):
            self._client.log_batch(run.id, params=batch)
        run.params.update(new)

    def _add_metrics(self, run: Run, events: Iterable[Event]) -> None:
        from mlflow.entities import Metric

        points = {
            (_name(key), event.step): Metric(_name(key), value, event.time, event.step)
            for event in events
            if event.kind == "metrics"
            for key, value in event.values.items()
        }
        new = (metric for (key, step), metric in points.items() if step not in self._steps(run, key))
        for batch in _batches(new, METRICS_A_BATCH):
            self._client.log_batch(run.id, metrics=batch)
            for metric in batch:
                run.steps[metric.key].add(metric.step)

    def _steps(self, run: Run, key: str) -> set[int]:
        """Steps at which a run has a metric; asked of MLflow once."""
        if key not in run.steps:
            known = self._client.get_metric_history(run.id, key) if key in run.metrics else []
            run.steps[key] = {metric.step for metric in known}
        return run.steps[key]

    def _add_artifacts(self, run: Run, log: str, folder: Path, references: Iterable[str]) -> None:
        """Upload files whose content the run does not have; one tag a log says which it has."""
        tag = _name(f"aira.artifacts.{log}")
        there = _read_tag(run.tags.get(tag, ""))
        for reference in references:
            path = folder / reference
            if path.is_file():
                name = path.name if Path(reference).is_absolute() else reference
                digest = file_entry(path, name).sha256[:_DIGITS]
                if there.pop(name, "") != digest:
                    self._client.log_artifact(run.id, str(path), name.rpartition("/")[0] or None)
                there[name] = digest
        if there:
            # Where there are more than a tag holds, the first are forgotten: they would only be uploaded once more.
            kept = list(there.items())[-_FILES_A_TAG:]
            self._add_tags(run, {tag: json.dumps(dict(kept))})

    def _set_status(self, run: Run, status: str, at: int) -> None:
        wanted = _STATUS[status]
        if run.status == wanted:
            return
        if wanted == "RUNNING":
            self._client.update_run(run.id, status=wanted)
        else:
            self._client.set_terminated(run.id, wanted, end_time=at)
        run.status = wanted

    def _run(self, run_key: str | None, name: str, started: int | None = None) -> Run:
        """Find a run, or make it with its parent; whoever makes the parent says what the study chose."""
        if self._client is None or self._runs is None:
            self._client = connect(self.tracking_uri)
            self._runs = KeyedRuns(self._client, self.tracking_uri, self.experiment, self._study_tags, self._offered)
        parent = self._runs.parent(started or _now())
        if parent.new:
            self._add_params(parent, self._study_params)
            parent.new = False
        return self._runs.nested(run_key, name, started or _now()) if run_key else parent


def _read_tag(text: str) -> dict[str, str]:
    try:
        known = json.loads(text or "{}")
        return {str(name): str(digest) for name, digest in known.items()}
    except (ValueError, AttributeError):
        return {}


def _last_values(events: Iterable[Event], kind: str) -> dict[str, Any]:
    return {key: value for event in events if event.kind == kind for key, value in event.values.items()}


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def _name(text: str) -> str:
    """A name that MLflow takes: word characters, - . / : and spaces, at most 250, and no odd path."""
    return re.sub(r"/[./]*|^[./]+", "/", re.sub(r"[^\w\-./: ]", "_", text)).strip("/")[:250] or "_"


def _now() -> int:
    return time.time_ns() // 1_000_000
