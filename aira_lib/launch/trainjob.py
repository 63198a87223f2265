"""Jobs of several nodes as TrainJobs of Kubeflow Trainer, in the cluster that AIRA_CLUSTER describes.

A job's name says which it is: whoever submits it again gets the one that runs. One that failed is removed and made
anew, for Trainer begins none again; what it makes goes on from its checkpoint. How a job is, is said by its pods as
well as by its conditions, which a job that was suspended and resumed does not renew.

It is asked every few seconds rather than watched: one job is two small requests, and a question has no connection that
could be lost meanwhile.

A job ends with the workflow that submitted it (AIRA_WORKFLOW, which pods of a pipeline have): it is owned by that
object. Where another workflow adopts the job, both own it, and it stays until both are gone.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence

import yaml
from pydantic import ValidationError

from aira_lib.cluster.api import Kubernetes
from aira_lib.cluster.kinds import TRAIN_JOBS, WORKFLOWS, Object
from aira_lib.cluster.refusals import Refused
from aira_lib.cluster.section import Cluster
from aira_lib.console import duration
from aira_lib.errors import UserError, nearest
from aira_lib.foreign import in_a_line
from aira_lib.launch.job import Job
from aira_lib.launch.launcher import Failure, How, Status
from aira_lib.launch.trainjob_manifest import OF_JOB, manifest, reference, training_of
from aira_lib.launch.trainjob_pods import Following, NodePod, failure_of, pods_of

WORKFLOW = "AIRA_WORKFLOW"
"""Names the Argo Workflow that this pod is of."""

PAUSE = 2.0
"""Seconds between two looks at a job."""

PATIENCE = 900.0
"""Seconds for which the pods of a job that is removed may take to end."""


class TrainJobLauncher:
    """See `aira_lib.launch.launcher.Launcher`."""

    def __init__(self, cluster: Cluster, connect: Callable[[str], Kubernetes], pause: float = PAUSE) -> None:
        """A launcher.

        Args:
            cluster: what is said of it.
            connect: gives its API for a namespace; called when something is asked of it.
            pause: seconds between two looks.

        Raises:
            UserError: the cluster has no TrainJobs.
        """
        training_of(cluster)
        self._cluster, self._connect, self._pause = cluster, connect, pause
        self._connected: Kubernetes | None = None
        self._cancelled: set[str] = set()

    @property
    def _api(self) -> Kubernetes:
        self._connected = self._connected or self._connect(self._cluster.kubeflow.namespace)
        return self._connected

    def dryrun(self, job: Job) -> str:
        """The manifest, but for its owner, which is looked up when it is submitted."""
        return yaml.safe_dump(manifest(job, self._cluster), sort_keys=False, width=120).rstrip()

    def submit(self, job: Job) -> How:
        """See `Launcher`.

        Raises:
            UserError: the cluster refuses it, or the workflow that asks for it is gone.
        """
        owner = self._owner()
        wanted = manifest(job, self._cluster, owner)
        while True:
            try:
                self._api.create(TRAIN_JOBS, wanted)
                return "started"
            except Refused as error:
                if not error.exists:
                    raise
            found = self._api.get(TRAIN_JOBS, job.name)
            if found is None:
                continue
            status = self._status(found)
            if found["metadata"].get("deletionTimestamp") or status.state == "failed":
                self._remove(found)
            elif self._owned(found, owner):
                return "done" if status.state == "succeeded" else "adopted"

    def jobs(self) -> Sequence[Job]:
        """See `Launcher`."""
        found = sorted(self._api.find(TRAIN_JOBS), key=lambda each: str(each["metadata"]["name"]))
        return [job for each in found if (job := _job(each))]

    def status(self, name: str) -> Status:
        """See `Launcher`."""
        found = self._api.get(TRAIN_JOBS, name)
        if found is None:
            return Status(state="cancelled" if name in self._cancelled else "unknown")
        return self._status(found)

    def logs(self, name: str, follow: bool = False) -> Iterator[str]:
        """See `Launcher`: of node 0, as torchrun puts the lines of its ranks together."""
        self._known(name)
        following = Following(self._api)
        while True:
            ended = not follow or self.status(name).ended  # asked first: what was printed before it is read then
            yield from following.new(pods_of(self._api, name))
            if ended:
                return
            time.sleep(self._pause)

    def cancel(self, name: str) -> None:
        """See `Launcher`. Its ranks have as long to end by themselves as the runtime says; then it is gone."""
        found = self._known(name)
        if not self._status(found).ended:
            self._remove(found)
            self._cancelled.add(name)

    def place(self, name: str) -> str:
        """See `Launcher`: which object it is."""
        return f"trainjob/{self._known(name)['metadata']['name']} in namespace {self._cluster.kubeflow.namespace}"

    def _known(self, name: str) -> Object:
        found = self._api.get(TRAIN_JOBS, name)
        if found is None:
            raise UserError(f"there is no job {name!r}{nearest(name, (job.name for job in self.jobs()))}")
        return found

    def _owner(self) -> Object | None:
        """The workflow of this pod; None: it is of none."""
        name = os.environ.get(WORKFLOW)
        if not name:
            return None
        workflow = self._api.get(WORKFLOWS, name)
        if workflow is None:
            raise UserError(f"the workflow {name} of this run is gone, so nothing is started for it")
        return workflow

    def _owned(self, found: Object, owner: Object | None) -> bool:
        """Have the owner own the job, too; whether it does now."""
        owners = found["metadata"].get("ownerReferences") or []
        if owner is None or any(each["uid"] == owner["metadata"]["uid"] for each in owners):
            return True
        change = {
            "resourceVersion": found["metadata"]["resourceVersion"],
            "ownerReferences": [*owners, reference(owner)],
        }
        try:
            self._api.patch(TRAIN_JOBS, found["metadata"]["name"], {"metadata": change})
        except Refused as error:
            if error.conflict or error.reason == "NotFound":
                return False  # it has changed meanwhile: look again
            raise
        return True

    def _remove(self, found: Object) -> None:
        """Delete a job, and return when nothing of it runs any more."""
        name, uid = found["metadata"]["name"], found["metadata"]["uid"]
        self._api.delete(TRAIN_JOBS, name, uid, foreground=True)
        end = time.monotonic() + PATIENCE
        while (there := self._api.get(TRAIN_JOBS, name)) and there["metadata"]["uid"] == uid:
            if time.monotonic() > end:
                raise UserError(
                    f"trainjob {name} does not end; see `kubectl get pods -l jobset.sigs.k8s.io/jobset-name`"
                )
            time.sleep(self._pause)

    def _status(self, found: Object) -> Status:
        """How a job is, by its conditions where they say that it ended, else by its pods."""
        name = found["metadata"]["name"]
        conditions = {each["type"]: each for each in (found.get("status") or {}).get("conditions") or []}
        pods = pods_of(self._api, name)
        if _true(conditions, "Complete"):
            return Status(state="succeeded", seconds=_took(pods))
        if _true(conditions, "Failed"):
            return Status(state="failed", failure=self._failure(found, conditions["Failed"], pods), seconds=_took(pods))
        nodes = int(found["spec"]["trainer"].get("numNodes") or 1)
        if len([pod for pod in pods if pod.phase == "Succeeded"]) == nodes:
            return Status(state="succeeded", seconds=_took(pods))
        running = any(pod.phase == "Running" for pod in pods)
        return Status(state="running" if running else "waiting", seconds=_took(pods))

    def _failure(self, found: Object, condition: Object, pods: Sequence[NodePod]) -> Failure:
        if condition.get("reason") == "DeadlineExceeded":
            limit = float(found["spec"]["activeDeadlineSeconds"])
            return Failure(reason=f"not finished within its deadline of {duration(limit)}")
        said = in_a_line(f"{condition.get('reason') or 'failed'}: {condition.get('message') or ''}", 300)
        if condition.get("reason") == "TrainingRuntimeNotSupported":
            return Failure(reason=said)
        return failure_of(self._api, pods, said)


def _true(conditions: dict[str, Object], name: str) -> bool:
    return conditions.get(name, {}).get("status") == "True"


def _took(pods: Sequence[NodePod]) -> float | None:
    """Seconds from the first start of a pod to the last end, or to now."""
    begun = [pod.begun for pod in pods if pod.begun is not None]
    if not begun:
        return None
    ends = [min(pod.ended, time.time()) for pod in pods]
    return max(0.0, max(ends) - min(begun))


def _job(found: Object) -> Job | None:
    """The job that a TrainJob was made of; None: it is of somebody else."""
    try:
        return Job.model_validate_json((found["metadata"].get("annotations") or {}).get(OF_JOB, ""))
    except ValidationError:
        return None
