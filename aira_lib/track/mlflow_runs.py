"""Runs of MLflow by our own keys: found by the tag ``aira.key``, or made, and never twice.

Where Kubeflow's MLflow plugin has made a run for a task, MLFLOW_RUN_ID names it. It becomes the task's own run, and
the root of its parents the study's, if they lie in the study's experiment and there is no run of the key yet: a plugin
whose runs lie elsewhere changes nothing. A run is never taken out of another's hands: it may have one key.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aira_lib.track.address import sqlite_file

KEY_TAG = "aira.key"
MADE_TAG = "aira.made"  # nanoseconds since the epoch; a run's start time is its log's instead
DIGEST_TAG = "aira.spec_digest"
PARENT_TAG = "mlflow.parentRunId"
PLUGIN_VARIABLE = "MLFLOW_RUN_ID"
_DEEPEST = 10  # of the plugin's runs: a pipeline, loops, their iterations, tasks


@dataclass
class Run:
    """What MLflow is known to hold of one run; `new` says that this process has just made it, or taken it."""

    id: str
    status: str
    params: set[str]
    tags: dict[str, str]
    metrics: set[str]
    steps: dict[str, set[int]] = field(default_factory=dict)
    new: bool = False


class KeyedRuns:
    """The runs of one study in its experiment."""

    def __init__(
        self, client: Any, tracking_uri: str, experiment: str, study_tags: Mapping[str, str], offered: str | None
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            client: an `mlflow.MlflowClient`.
            tracking_uri: its address.
            experiment: its name.
            study_tags: tags of the parent run; ``aira.spec_digest`` is its key.
            offered: id of a run that the plugin has made for this task.
        """
        self._client, self._uri, self._name = client, tracking_uri, experiment
        self._study_tags, self._offered = dict(study_tags), offered
        self._known: dict[str, Run] = {}
        self._experiment_id = ""

    def parent(self, started: int) -> Run:
        """The study's parent run."""
        key = f"study:{self._study_tags[DIGEST_TAG]}"
        if key not in self._known:
            name = self._name.rpartition("/")[2]
            self._known[key] = self._found_or_made(key, name, self._study_tags, started, self._root())
        return self._known[key]

    def nested(self, key: str, name: str, started: int) -> Run:
        """A run below it.

        Args:
            key: ``<stage>:<key>``.
            name: its display name, used when it is made.
            started: milliseconds since the epoch, of a run that is made.
        """
        if key not in self._known:
            tags = {PARENT_TAG: self.parent(started).id}
            self._known[key] = self._found_or_made(key, name, tags, started, self._offered)
        return self._known[key]

    def forget(self) -> None:
        """Ask MLflow the next time: it may hold more or less than was known."""
        self._known.clear()

    def _found_or_made(self, key: str, name: str, tags: Mapping[str, str], started: int, offered: str | None) -> Run:
        found = self._with_key(key)
        if found:
            return _known(found[0])
        own = {**tags, KEY_TAG: key, MADE_TAG: str(time.time_ns())}
        taken = offered and self._take(offered, name, own)
        if not taken:
            made = self._client.create_run(self._experiment(), start_time=started, tags=own, run_name=name).info.run_id
        # MLflow knows no unique tags: where two processes made the run at once, all keep the first.
        found = self._with_key(key) or [self._client.get_run(taken or made)]
        first = found[0].info.run_id
        if not taken and first != made:
            self._client.delete_run(made)
        return _known(found[0], new=first == (taken or made))

    def _take(self, run_id: str, name: str, tags: Mapping[str, str]) -> str | None:
        """Make the plugin's run ours; None: it lies in another experiment, or has a key."""
        run = self._there(run_id)
        if run is None or run.info.experiment_id != self._experiment() or KEY_TAG in run.data.tags:
            return None
        for tag, value in tags.items():
            self._client.set_tag(run_id, tag, value)
        self._client.update_run(run_id, name=name)
        return run_id

    def _root(self) -> str | None:
        """The run of the whole pipeline run, of which the plugin has made one for this task."""
        run, above = None, self._offered
        for _ in range(_DEEPEST):
            if not above or (found := self._there(above)) is None:
                break
            run, above = found, found.data.tags.get(PARENT_TAG)
        return run.info.run_id if run and run.info.run_id != self._offered else None

    def _there(self, run_id: str) -> Any:
        """A run by its id; None where there is none, as of a variable that somebody left."""
        from mlflow.exceptions import MlflowException

        try:
            return self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    def _with_key(self, key: str) -> list[Any]:
        runs = self._client.search_runs([self._experiment()], f"tags.`{KEY_TAG}` = '{key}'")
        return sorted(runs, key=lambda run: (run.data.tags.get(MADE_TAG, ""), run.info.run_id))

    def _experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        if not self._experiment_id:
            known = self._client.get_experiment_by_name(self._name)
            if known is None:
                try:
                    self._client.create_experiment(self._name, artifact_location=self._artifacts())
                except MlflowException:
                    if self._client.get_experiment_by_name(self._name) is None:
                        raise
                    # Another process was faster: its experiment is as good.
                known = self._client.get_experiment_by_name(self._name)
            elif known.lifecycle_stage == "deleted":
                self._client.restore_experiment(known.experiment_id)
            self._experiment_id = str(known.experiment_id)
        return self._experiment_id

    def _artifacts(self) -> str | None:
        """A folder beside an SQLite file, whatever the working directory is; a server knows its own place."""
        database = sqlite_file(self._uri)
        return (database.parent / "mlflow-artifacts" / self._name).as_uri() if database else None


def _known(found: Any, new: bool = False) -> Run:
    data = found.data
    return Run(found.info.run_id, found.info.status, set(data.params), dict(data.tags), set(data.metrics), new=new)
