"""What became of a candidate whose pod gives no outcome: passed a limit that the node holds, or was lost with its node.

A candidate is at fault where its container ended, its supervisor included, or was ended for what it used; not where the
pod was taken away for the sake of others, or nobody knows.
"""

import time

from aira_lib.cluster.api import Kubernetes
from aira_lib.cluster.kinds import PODS, Object
from aira_lib.cluster.stream import Ended
from aira_lib.foreign import in_a_line
from aira_lib.sandbox.process import Outcome
from aira_lib.sandbox.starting import PodLost, container_state
from aira_lib.study import CandidateLimits

SETTLED_SECONDS = 10.0
"""Within which the cluster knows that a container has ended."""

_LOOK = 0.5
_OWN_USE = ("exceeds the limit", "exceeded its local ephemeral storage limit", "exceeds the total limit")
_KILLED = 137


def outcome_of_pod(
    kubernetes: Kubernetes, name: str, ended: Ended | None, limits: CandidateLimits, seconds: float
) -> Outcome:
    """How a candidate ended, as far as its pod tells.

    Args:
        kubernetes: For the namespace of the pod.
        name: Of the pod.
        ended: How its supervisor did; None: it fell silent.
        limits: Of the candidate.
        seconds: Since it was sent.

    Raises:
        PodLost: it was nothing that the candidate did.
    """
    pod = _settled(kubernetes, name, ended)
    if pod is None or pod["metadata"].get("deletionTimestamp"):
        raise PodLost("its pod was deleted")
    status = pod.get("status", {})
    reason, message = str(status.get("reason", "")), str(status.get("message", ""))
    if reason == "Evicted" and any(words in message for words in _OWN_USE):
        said = f"wrote more than {limits.disk_mb} MB (or far too many files) into its work directory"
        return _stopped("disk", said, seconds)
    if reason == "DeadlineExceeded":
        return _stopped("timeout", "ran until the deadline of its pod", seconds)
    terminated = container_state(pod).get("terminated") or {}
    if terminated.get("reason") == "OOMKilled":
        return _stopped("memory", f"used more than {limits.memory_mb} MB of memory", seconds)
    if reason or _disrupted(pod) or terminated.get("reason") == "ContainerStatusUnknown":
        raise PodLost(in_a_line(f"{reason or 'the cluster took its pod away'}: {message}".rstrip(": ")))
    if terminated or (ended and ended.code is not None):
        return _stopped("error", "its supervisor died before it ended", seconds)
    raise PodLost(in_a_line(f"the connection to its pod broke ({ended.why if ended else 'nothing is heard'})"))


def _settled(kubernetes: Kubernetes, name: str, ended: Ended | None) -> Object | None:
    """The pod, once it is known how its container is: a kill for memory shows later than the end of its processes."""
    end = time.monotonic() + SETTLED_SECONDS
    while True:
        pod = kubernetes.get(PODS, name)
        known = pod is None or pod.get("status", {}).get("phase") in ("Failed", "Succeeded")
        if known or time.monotonic() > end or (ended and ended.code not in (None, _KILLED)):
            return pod
        time.sleep(_LOOK)


def _disrupted(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(each.get("type") == "DisruptionTarget" and each.get("status") == "True" for each in conditions)


def _stopped(status: str, reason: str, seconds: float) -> Outcome:
    return Outcome(status, None, "", "", seconds, reason)  # type: ignore[arg-type]
