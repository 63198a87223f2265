"""The TrainJob of a job: the object that Kubeflow Trainer (2.2 or newer) makes pods of, one a node.

What holds for all trainings of a cluster is in the TrainingRuntime that it names (`aira-torch` of charts/aira): the
policy `torch: {}`; one replicated job `node` with one container `node`; who the pods are (a service account without
rights, no token), what they may not do, a writable volume at /scratch, restarts (`failurePolicy.maxRestarts`, for nodes
that are taken back; exit code 2 of a pod is a user's mistake, which no restart mends), seconds between SIGTERM and
SIGKILL, and no time to live, for a job that is gone cannot be looked at. Trainer patches no such fields.

What a job says itself: image, command, variables and references to secrets, resources, nodes, deadline, /dev/shm, which
nodes it wants. Kueue's labels are on the TrainJob alone: pods that carried them would wait for a quota of their own.
"""

import re
from typing import Any

from aira_lib.cluster.kinds import TRAIN_JOBS, Object
from aira_lib.cluster.pod import Pod
from aira_lib.cluster.presets import pod_asked_for
from aira_lib.cluster.section import VARIABLE, Cluster, TrainingSection
from aira_lib.errors import UserError
from aira_lib.launch.job import Job
from aira_lib.study import ResourcesAtScale

NODE = "node"
"""Of the runtime: its replicated job, and the container in it."""

OF_JOB = "aira/job"
"""The annotation that holds the job as it was submitted."""

STUDY, STAGE = "aira/study", "aira/stage"
QUEUE, PRIORITY = "kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/priority-class"

_MANAGER = "aira/launcher"
_MOST_OF_A_LABEL = 63
_NOT_FOR_RANKS = ("MLFLOW_TRACKING_URI", VARIABLE)


def manifest(job: Job, cluster: Cluster, owner: Object | None = None) -> Object:
    """The TrainJob of a job, as it is sent.

    Args:
        job: of any number of nodes.
        cluster: what is said of it.
        owner: an object of the same namespace with whose end the job ends; None: it ends by itself.

    Raises:
        UserError: the cluster has no TrainJobs, or not what the job asks for.
    """
    training = training_of(cluster)
    pod = pod_of_job(job, cluster)
    labels = _labels(job)
    return {
        "apiVersion": TRAIN_JOBS.api,
        "kind": "TrainJob",
        "metadata": {
            "name": job.name,
            "namespace": cluster.kubeflow.namespace,
            "labels": {**labels, **_queue(training)},
            "annotations": {OF_JOB: job.model_dump_json(exclude_defaults=True)},
            **({"ownerReferences": [reference(owner)]} if owner else {}),
        },
        "spec": {
            "runtimeRef": {"apiGroup": "trainer.kubeflow.org", "kind": "TrainingRuntime", "name": training.runtime},
            "activeDeadlineSeconds": pod.deadline_seconds,
            "trainer": {
                "image": pod.image,
                "command": ["python", "-m", "aira_lib.launch.node", *job.command],
                "env": _variables(job, pod, cluster),
                "numNodes": job.nodes,
                "numProcPerNode": job.ranks_per_node,
                "resourcesPerNode": _resources(pod),
            },
            "runtimePatches": [{"manager": _MANAGER, "trainingRuntimeSpec": _patch(pod, labels)}],
        },
    }


def training_of(cluster: Cluster) -> TrainingSection:
    """What is said of trainings of several nodes.

    Raises:
        UserError: nothing is.
    """
    if cluster.training is None:
        raise UserError(
            "this cluster trains on one node: nothing is said of `training` in its file; install Kubeflow Trainer and "
            "say so, or ask for nodes: 1"
        )
    return cluster.training


def pod_of_job(job: Job, cluster: Cluster) -> Pod:
    """What each pod of a job gets: what the job asks for, the rest as the preset has it."""
    asked = ResourcesAtScale(
        nodes=job.nodes,
        ranks_per_node=job.ranks_per_node,
        gpus_per_node=job.gpus_per_node,
        cores=job.cores,
        memory_gib=job.memory_gib,
        deadline_hours=job.deadline_seconds and job.deadline_seconds / 3600,
    )
    return pod_asked_for(stage_of(job), asked, cluster, f"job {job.name}")


def stage_of(job: Job) -> str:
    """The stage of which a job makes a unit."""
    return job.unit.partition(" ")[0]


def reference(owner: Object) -> Object:
    """How an object names another with whose end it ends."""
    meta = owner["metadata"]
    return {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"]}


def label_value(text: str) -> str:
    """A text as the value of a label: what may not stand there becomes a dash."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[:_MOST_OF_A_LABEL].strip("-_.")


def _labels(job: Job) -> dict[str, str]:
    """Quotas and costs are told apart by them."""
    said = {STUDY: label_value(job.study), STAGE: label_value(stage_of(job))}
    return {name: value for name, value in said.items() if value}


def _queue(training: TrainingSection) -> dict[str, str]:
    said = {QUEUE: training.queue, PRIORITY: training.priority_class}
    return {name: value for name, value in said.items() if value}


def _variables(job: Job, pod: Pod, cluster: Cluster) -> list[Object]:
    """Those of its pods, and of its secrets the store's alone: ranks log into files, which another process carries on.

    Raises:
        UserError: the job wants a variable of this process, which a pod has no way to.
    """
    seen = {name: value for name, value in pod.variables.items() if name not in _NOT_FOR_RANKS}
    seen = {"PYTHONUNBUFFERED": "1", **seen, **dict(job.variables)}
    hidden = {name: (cluster.s3.name, key) for name, key in cluster.s3.variables.items()} if cluster.s3 else {}
    for name in job.environment:
        if name not in seen and name not in hidden:
            raise UserError(
                f"job {job.name} passes on {name}, whose value is not put into a manifest; name it in the cluster's "
                "`environment`, or in the Secret of `s3`"
            )
    variables: list[Object] = [{"name": name, "value": value} for name, value in sorted(seen.items())]
    for name, (secret, key) in sorted(hidden.items()):
        variables.append({"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}})
    return variables


def _resources(pod: Pod) -> Object:
    """Requests are limits: see `aira_lib.cluster.section.Preset`."""
    amounts: dict[str, Any] = {"cpu": f"{round(pod.cores * 1000)}m", "memory": _mebibytes(pod.memory_gib)}
    amounts["ephemeral-storage"] = _mebibytes(pod.disk_gib)
    if pod.gpus:
        amounts[pod.gpu_resource] = str(pod.gpus)
    return {"requests": dict(amounts), "limits": amounts}


def _patch(pod: Pod, labels: dict[str, str]) -> Object:
    """What the runtime cannot know: without a volume /dev/shm has 64 MB, in which NCCL fails."""
    shm = {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": _mebibytes(pod.shm_gib)}}
    spec: Object = {
        "volumes": [shm],
        "containers": [{"name": NODE, "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}]}],
    }
    if pod.node_selector:
        spec["nodeSelector"] = dict(pod.node_selector)
    if pod.tolerations:
        spec["tolerations"] = [each.model_dump(exclude_none=True) for each in pod.tolerations]
    template = {"spec": {"template": {"metadata": {"labels": labels}, "spec": spec}}}
    return {"template": {"spec": {"replicatedJobs": [{"name": NODE, "template": template}]}}}


def _mebibytes(gib: float) -> str:
    return f"{round(gib * 1024)}Mi"
