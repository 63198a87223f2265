"""Start a run file on a cluster, once: by whom and how often it is submitted makes no difference.

The order is what makes it so, wherever a process dies and whatever answer is lost: first the run is looked for, then
it is claimed by a Lease that is named by it, then it is looked for again (its row, and its Workflow, which the server
makes before the row), and only then it is created. See `aira_lib.cluster.runs` and `aira_lib.cluster.claim`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from aira_lib.cluster.api import Kubernetes
from aira_lib.cluster.claim import SECONDS, claimed, done_before, note_done
from aira_lib.cluster.rest import Unanswered
from aira_lib.cluster.run import NewRun, Run, Version
from aira_lib.cluster.runs import RunsApi
from aira_lib.cluster.section import Cluster
from aira_lib.errors import UserError
from aira_lib.flow.texts import write_study
from aira_lib.remote.parts import end_whole
from aira_lib.remote.run_file import Wanted
from aira_lib.study import Study
from aira_lib.track.follow import experiment_of

MOST_PARAMETER_BYTES = 10_000
"""Of all parameters of a run as JSON: the default of Kubeflow's API server."""


@dataclass(frozen=True)
class Submitted:
    """What came of a run file.

    Attributes:
        run: The run; None: there is none any more, or it was never started and is not to be.
        new: Whether it was started just now.
        before: What was done before, where its run is gone.
    """

    run: Run | None
    new: bool
    before: str | None = None


class Submitter:
    """Starts runs on a cluster.

    Args:
        cluster: which.
        runs: its runs.
        kubernetes: Its API, for the namespace of the runs.
        granted: Seconds for which a claim is granted.
        pause: Seconds between two looks at a claim that another holds.
    """

    def __init__(
        self, cluster: Cluster, runs: RunsApi, kubernetes: Kubernetes, granted: int = SECONDS, pause: float = 2.0
    ) -> None:
        self._cluster, self._runs, self._kubernetes = cluster, runs, kubernetes
        self._granted, self._pause = granted, pause

    def submit(self, wanted: Wanted) -> Submitted:
        """Start a run that nobody has started yet, or end it where its file says so.

        Raises:
            UserError: it is refused; or (exit code 75) nobody knows yet whether it was started.
        """
        if (found := self._runs.started(wanted.run_id)) is None:
            before = done_before(self._kubernetes, lease_of(wanted))
            return self._start(wanted) if wanted.file.state == "running" and not before else _gone(before)
        note_done(self._kubernetes, lease_of(wanted), _started(found))
        if wanted.file.state == "terminated":
            end_whole(self._runs, self._cluster.kubeflow.experiment, found.id)
            found = self._runs.get(found.id) or found
        return Submitted(found, False)

    def _start(self, wanted: Wanted) -> Submitted:
        wanted = fitting(wanted, write_study, self._cluster)
        version = self._runs.version(wanted.file.pipeline, wanted.file.version)
        experiment = self._runs.experiment(self._cluster.kubeflow.experiment)
        run = new_run(wanted, self._cluster, version, experiment)
        with claimed(self._kubernetes, lease_of(wanted), self._is_there(wanted), self._granted, self._pause) as claim:
            if (found := self._runs.started(wanted.run_id)) is not None:
                return Submitted(found, False)
            if claim is None or claim.done:  # it was there, and was deleted a moment ago
                return _gone(done_before(self._kubernetes, lease_of(wanted)))
            made = self._runs.create(run, before=claim.renew)
            claim.note(_started(made))
            return Submitted(made, True)

    def _is_there(self, wanted: Wanted) -> Callable[[], bool]:
        return lambda: self._runs.get(wanted.run_id) is not None


def _started(run: Run) -> str:
    return f"run {run.id} was started at {run.created.isoformat() if run.created else 'an unknown time'}"


def _gone(before: str | None) -> Submitted:
    return Submitted(None, False, before)


def lease_of(wanted: Wanted) -> str:
    """The name of the Lease by which a run is claimed."""
    return f"aira-run-{wanted.run_id}"


def new_run(wanted: Wanted, cluster: Cluster, version: Version, experiment_id: str) -> NewRun:
    """What is sent to start a run."""
    plugin = wanted.meant if cluster.tracking.plugin else None  # its runs are in the study's experiment, as on a laptop
    return NewRun(
        id=wanted.run_id,
        name=wanted.name,
        experiment_id=experiment_id,
        source=version,
        parameters=wanted.parameters(),
        service_account=cluster.kubeflow.service_account,
        description=wanted.description,
        plugins={"mlflow": {"experiment_name": experiment_of(plugin.name)}} if plugin else {},
    )


def dryrun(wanted: Wanted, cluster: Cluster, runs: RunsApi) -> dict[str, Any]:
    """What would be sent: the Lease's name, and the body of POST /runs. Nothing is made.

    Where Kubeflow does not answer, names stand for the ids that it would give.
    """
    wanted = fitting(wanted, lambda study, store: f"<name of study {study.name} in {store}>", cluster)
    file, experiment = wanted.file, cluster.kubeflow.experiment
    try:
        version = runs.version(file.pipeline, file.version)
        experiment_id = runs.find_experiment(experiment)
    except Unanswered:
        version = Version(f"<id of {file.pipeline}>", f"<id of {file.version or 'its newest version'}>", "")
        experiment_id = None
    body = new_run(wanted, cluster, version, experiment_id or f"<id of {experiment}>").body()
    return {"lease": lease_of(wanted), "run": body}


def fitting(wanted: Wanted, write: Callable[[Study, str], str], cluster: Cluster) -> Wanted:
    """A run with parameters that the server takes: a study that is longer is kept in the store, and named.

    Args:
        wanted: the run.
        write: keeps a study in a store, and gives its name there.
        cluster: whose store it is, unless the run has another.

    Raises:
        UserError: they are too many all the same; or the store refuses.
    """
    if _size(wanted) <= MOST_PARAMETER_BYTES:
        return wanted
    if wanted.study:
        name = write(wanted.study, wanted.file.store or cluster.store)
        wanted = replace(wanted, study=None, file=wanted.file.model_copy(update={"study": name}))
    if (size := _size(wanted)) > MOST_PARAMETER_BYTES:
        raise UserError(
            f"run {wanted.file.name}: its parameters have {size:,} bytes, and Kubeflow takes {MOST_PARAMETER_BYTES:,}; "
            "write what its overrides say into its study"
        )
    return wanted


def _size(wanted: Wanted) -> int:
    return len(json.dumps(wanted.parameters(), separators=(",", ":")).encode())
