"""What is installed: Kubernetes itself, kinds of objects, and pairs of versions that are known not to work."""

import re
from collections.abc import Iterator
from typing import Any

from aira_lib.cluster.api import Kubernetes
from aira_lib.cluster.kinds import Kind
from aira_lib.cluster.refusals import Refused
from aira_lib.remote.doctor.finding import Finding, Place, unseen

OLDEST_KUBERNETES = (1, 30)
"""Since when ValidatingAdmissionPolicy, which the candidates' namespace is guarded by, is stable."""

TRAINER, TRAINER_API = "trainer.kubeflow.org", "v1alpha1"
_RUNTIMES = Kind(f"{TRAINER}/{TRAINER_API}", "trainingruntimes")
KUEUE, KUEUE_VERSIONS, KUEUE_NAMESPACE = "kueue.x-k8s.io", ("v1beta2", "v1beta1"), "kueue-system"
OLDEST_KUEUE = (0, 17)
"""The first that knows Trainer 2.2 (kubernetes-sigs/kueue, CHANGELOG-0.17)."""


def kubernetes_version(place: Place) -> Iterator[Finding]:
    """Whether the API server is new enough."""
    said = place.kubernetes.connection.request("GET", "/version")
    found = tuple(int(re.match(r"\d*", str(said[part]))[0] or 0) for part in ("major", "minor"))  # type: ignore[index]
    if found < OLDEST_KUBERNETES:
        wanted = ".".join(map(str, OLDEST_KUBERNETES))
        yield Finding("missing", "Kubernetes", f"{said['gitVersion']}: upgrade it to {wanted} or newer")
    else:
        yield Finding("good", "Kubernetes", str(said["gitVersion"]))


def workflows(place: Place) -> Iterator[Finding]:
    """Whether Argo's Workflows are there, which Kubeflow Pipelines runs."""
    if _served(place.kubernetes, "argoproj.io", "v1alpha1"):
        yield Finding("good", "Argo Workflows", "argoproj.io/v1alpha1 is served")
    else:
        yield Finding("missing", "Argo Workflows", "argoproj.io/v1alpha1 is not served: install Kubeflow Pipelines")


def trainer(place: Place) -> Iterator[Finding]:
    """Whether trainings of several nodes find Kubeflow Trainer in a version that works, their runtime, and a queue."""
    training = place.cluster.training
    if training is None:
        yield Finding("good", "Kubeflow Trainer", "not asked for: no trainings of several nodes (training in the file)")
        return
    if not _served(place.kubernetes, TRAINER, TRAINER_API):
        text = f"{TRAINER}/{TRAINER_API} is not served: install Kubeflow Trainer 2.2 or newer, or take training away"
        yield Finding("missing", "Kubeflow Trainer", text)
        return
    yield _trainer_version(place.kubernetes)
    if not _served(place.kubernetes, "jobset.x-k8s.io", "v1alpha2"):
        yield Finding("missing", "JobSet", "jobset.x-k8s.io/v1alpha2 is not served: install JobSet, which Trainer runs")
    if place.kubernetes.within(place.cluster.kubeflow.namespace).get(_RUNTIMES, training.runtime) is None:
        where = f"{training.runtime} in {place.cluster.kubeflow.namespace}"
        yield Finding("missing", "training runtime", f"there is no TrainingRuntime {where}: charts/aira makes it")
    else:
        yield Finding("good", "training runtime", training.runtime)
    yield from _queue(place)


def _trainer_version(kubernetes: Kubernetes) -> Finding:
    """Trainer tells no version; jobs have the field runtimePatches since 2.2."""
    try:
        answer = kubernetes.connection.request("GET", f"/openapi/v3/apis/{TRAINER}/{TRAINER_API}")
    except Refused as error:
        return unseen("Kubeflow Trainer", error, "its version")
    job = _schema(answer, "TrainJob").get("properties", {}).get("spec", {}).get("properties", {})
    if "runtimePatches" in job:
        return Finding("good", "Kubeflow Trainer", "2.2 or newer")
    text = "older than 2.2: with Kueue its jobs stay suspended, and AIRA's are refused; upgrade it to 2.2 or newer"
    return Finding("missing", "Kubeflow Trainer", text)


def _schema(answer: dict[str, Any], kind: str) -> dict[str, Any]:
    for schema in answer.get("components", {}).get("schemas", {}).values():
        if any(each.get("kind") == kind for each in schema.get("x-kubernetes-group-version-kind", [])):
            return dict(schema)
    return {}


def _queue(place: Place) -> Iterator[Finding]:
    queue = place.cluster.training and place.cluster.training.queue
    served = next((each for each in KUEUE_VERSIONS if _served(place.kubernetes, KUEUE, each)), "")
    if queue and not served:
        yield Finding("missing", "Kueue", f"{KUEUE} is not served: install Kueue, or take training.queue away")
    elif queue:
        namespace = place.cluster.kubeflow.namespace
        there = place.kubernetes.within(namespace).get(Kind(f"{KUEUE}/{served}", "localqueues"), queue)
        text = f"there is no LocalQueue {queue} in {namespace}: make it, or name another as training.queue"
        yield Finding("good", "Kueue", f"queue {queue}") if there else Finding("missing", "Kueue", text)
        yield _kueue_version(place.kubernetes, served)
    elif served:
        text = "it is there, and training.queue names no queue: trainings start without waiting for room"
        yield Finding("doubtful", "Kueue", text)


def _kueue_version(kubernetes: Kubernetes, served: str) -> Finding:
    """An older Kueue writes fields that jobs of Trainer 2.2 no longer have, so that they stay suspended.

    It tells no version: its image does, where that may be looked at; the API v1beta2 is younger than 0.14.
    """
    wanted = ".".join(map(str, OLDEST_KUEUE))
    old = f"older than {wanted}: it lets no job of Trainer 2.2 begin; upgrade it to {wanted} or newer"
    if served == KUEUE_VERSIONS[-1]:
        return Finding("missing", "Kueue", old)
    try:
        deployments = kubernetes.within(KUEUE_NAMESPACE).find(Kind("apps/v1", "deployments"))
    except Refused as error:
        return unseen("Kueue", error, f"its version, which has to be {wanted} or newer,")
    for each in deployments:
        for container in each["spec"]["template"]["spec"]["containers"]:
            if found := re.search(r"/kueue:v(\d+)\.(\d+)", container.get("image", "")):
                new = (int(found[1]), int(found[2])) >= OLDEST_KUEUE
                return Finding("good", "Kueue", f"{found[1]}.{found[2]}") if new else Finding("missing", "Kueue", old)
    return Finding(
        "unknown", "Kueue", f"no manager in {KUEUE_NAMESPACE} says its version: see that it is {wanted} or newer"
    )


def _served(kubernetes: Kubernetes, group: str, version: str) -> bool:
    try:
        kubernetes.connection.request("GET", f"/apis/{group}/{version}")
    except Refused as error:
        if error.code != 404:
            raise
        return False
    return True
