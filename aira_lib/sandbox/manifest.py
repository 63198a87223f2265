"""The pod of one candidate: what it gets, and above all what it does not.

No token, no secret, no volume of anybody else, no variable, no name of a service; a user without privilege or
capability; a root that cannot be written to; the runtime's filter of system calls; limits of everything; no network, by
a policy on its namespace (charts/aira), which the supervisor in it tries before anything runs.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aira_lib.cluster.kinds import Object
from aira_lib.cluster.section import Cluster, Toleration
from aira_lib.sandbox.parent import PLACE, UID, Parent
from aira_lib.sandbox.within import MARK, PR_SET_DUMPABLE
from aira_lib.study import CandidateLimits

CONTAINER = "candidate"
COMPONENT = "app.kubernetes.io/component"
ROLE = {"app.kubernetes.io/name": "aira", COMPONENT: CONTAINER, "sidecar.istio.io/inject": "false"}
"""Labels of all such pods; no mesh is to add a container of its own."""

DEADLINE = "aira/deadline"
"""Annotation: the time after which nobody waits for the pod any more."""

HOME = "/aira"
"""A folder in the pod for the supervisor's sources and for inputs."""

FIRST_SECONDS = 600
"""Within which a supervisor has to begin in a pod that runs."""

_SUPERVISOR_MB = 320  # two processes of Python, shared memory, and what the kernel holds for files that are written
_SPARE_MB = 128  # of disk; a watch holds the limit itself, and the node only what gets past it
_SPARE_SECONDS = 600  # of the pod: to take files in and to send them back
_MIB = 1 << 20

# The first process of the container: waits for a supervisor, and then for its end. Without either signal it ends, too,
# so that a pod whose search died before it began does not stay. Candidates, the same user, see nothing of it.
_WAIT = (
    f"import ctypes, signal; ctypes.CDLL(None).prctl({PR_SET_DUMPABLE}, 0, 0, 0, 0); "
    "begun, ended = signal.SIGUSR1, signal.SIGTERM; "
    "signal.pthread_sigmask(signal.SIG_BLOCK, (begun, ended)); "
    f"first = signal.sigtimedwait((begun, ended), {FIRST_SECONDS}); "
    "first and first.si_signo == begun and signal.sigwait((ended,))"
)


@dataclass(frozen=True)
class Need:
    """What one candidate needs of its pod.

    Attributes:
        limits: Of the candidate.
        seconds: That it may run.
        input_bytes: Of files that are copied in.
        workdir: The path of its work directory, the same as the search's own, which programs may have been told.
    """

    limits: CandidateLimits
    seconds: float
    input_bytes: int
    workdir: str


def manifest(name: str, need: Need, cluster: Cluster, parent: Parent | None, now: datetime | None = None) -> Object:
    """The pod as Kubernetes takes it.

    Args:
        name: Of the pod.
        need: See there.
        cluster: Whose section `candidates` says where and how.
        parent: The pod of the search; None outside of a cluster.
        now: The time; None: this moment.
    """
    section = cluster.candidates
    assert section is not None
    runs = min(section.deadline_seconds, math.ceil(need.seconds) + _SPARE_SECONDS + FIRST_SECONDS)
    over = (now or datetime.now(UTC)) + timedelta(seconds=section.start_seconds + runs)
    metadata: Object = {
        "name": name,
        "namespace": section.namespace,
        "labels": ROLE | ({UID: parent.uid} if parent else {}),
        "annotations": {
            DEADLINE: over.isoformat(timespec="seconds"),
            "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
            **({PLACE: parent.place} if parent else {}),
        },
    }
    if parent and parent.namespace == section.namespace:  # owners of other namespaces count as gone
        metadata["ownerReferences"] = [{"apiVersion": "v1", "kind": "Pod", "name": parent.name, "uid": parent.uid}]
    spec: Object = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": runs,
        "terminationGracePeriodSeconds": 0,
        "serviceAccountName": section.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "hostname": CONTAINER,
        # Kubernetes wants one server where it is to write none of its own; nobody answers there.
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["127.0.0.1"], "searches": []},
        "securityContext": _pod_security(section.user),
        "containers": [_container(need, cluster)],
        "volumes": _volumes(need),
    }
    optional = {
        "runtimeClassName": section.runtime_class,
        "hostUsers": False if section.user_namespace else None,
        "nodeSelector": section.node_selector,
        "tolerations": [_toleration(each) for each in section.tolerations],
    }
    spec |= {key: value for key, value in optional.items() if value not in (None, {}, [])}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _pod_security(user: int | None) -> Object:
    number = {} if user is None else {"runAsUser": user, "runAsGroup": user}
    return {"runAsNonRoot": True, **number, "seccompProfile": {"type": "RuntimeDefault"}}


def _container(need: Need, cluster: Cluster) -> Object:
    amounts = _amounts(need, cluster)
    return {
        "name": CONTAINER,
        "image": cluster.images.sandbox,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-I", "-S", "-B", "-c", _WAIT, MARK],
        "workingDir": "/",
        "resources": {"requests": amounts, "limits": amounts},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": "work", "mountPath": need.workdir}, {"name": "home", "mountPath": HOME}],
    }


def _amounts(need: Need, cluster: Cluster) -> Mapping[str, str]:
    section = cluster.candidates
    assert section is not None
    amounts = {
        "cpu": f"{round(section.cores * 1000)}m",
        "memory": f"{need.limits.memory_mb + _SUPERVISOR_MB}Mi",
        "ephemeral-storage": f"{2 * _input_mb(need) + _work_mb(need) + _SPARE_MB}Mi",
    }
    return amounts | ({section.gpu_resource: str(section.gpus)} if need.limits.gpu else {})


def _volumes(need: Need) -> list[Object]:
    """Inputs lie in the one or in the other, as the supervisor finds it can show them."""
    sizes = {"work": _input_mb(need) + _work_mb(need), "home": _input_mb(need) + _SPARE_MB}
    return [{"name": name, "emptyDir": {"sizeLimit": f"{size}Mi"}} for name, size in sizes.items()]


def _input_mb(need: Need) -> int:
    return math.ceil(need.input_bytes / _MIB)


def _work_mb(need: Need) -> int:
    return math.ceil(need.limits.disk_mb * 1.25) + _SPARE_MB


def _toleration(toleration: Toleration) -> Object:
    return toleration.model_dump(exclude_none=True)
