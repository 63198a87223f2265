"""From the manifest of a candidate's pod to a container that runs, or the one line that says why it does not."""

import time
from datetime import UTC, datetime
from typing import Any

from aira_lib.cluster.api import Kubernetes
from aira_lib.cluster.kinds import EVENTS, PODS, Object
from aira_lib.cluster.refusals import Refused
from aira_lib.foreign import in_a_line
from aira_lib.sandbox.process import SandboxError

PULL_SECONDS = 300.0
"""A container whose image cannot be pulled, or that cannot be made, for so long will not start."""

PAUSE = 10.0
"""Seconds from one look to the next where nothing is heard."""

_NEVER = (
    "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError", "CreateContainerError", "RunContainerError",
)  # fmt: skip
_SLOWLY = ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError")


class PodLost(Exception):
    """A pod that the cluster took away, or whose node is gone: nothing its candidate did. The text says how."""


def start(kubernetes: Kubernetes, pod: Object, patience: float) -> Object:
    """Create a pod and wait until its container runs.

    Args:
        kubernetes: For the namespace of the pod.
        pod: Its manifest.
        patience: Seconds for which a quota or nodes may be full.

    Returns:
        The pod as it is.

    Raises:
        SandboxError: it does not start.
        PodLost: it was taken away before it did.
    """
    end = time.monotonic() + patience
    _create(kubernetes, pod, end)
    name, since = pod["metadata"]["name"], time.monotonic()
    for change in kubernetes.watch(PODS, fields=f"metadata.name={name}", seconds=PAUSE):
        found = kubernetes.get(PODS, name) if change is None or not change.there else change.object
        if found is None or found["metadata"].get("deletionTimestamp"):
            raise PodLost("its pod was deleted before it ran")
        if runs(found):
            return found
        _refuse_hopeless(kubernetes, found, time.monotonic() - since)
        if time.monotonic() > end:
            raise SandboxError(_waited(kubernetes, name, patience))
    raise AssertionError("a watch has no end")


def runs(pod: Object) -> bool:
    """Whether its container runs."""
    return pod.get("status", {}).get("phase") == "Running" and "running" in container_state(pod)


def container_state(pod: Object) -> dict[str, Any]:
    """The state of its one container."""
    statuses = pod.get("status", {}).get("containerStatuses") or [{}]
    state: dict[str, Any] = statuses[0].get("state") or {}
    return state


def _create(kubernetes: Kubernetes, pod: Object, end: float) -> None:
    """Create it, waiting where a quota is used up: other candidates end."""
    while True:
        try:
            kubernetes.create(PODS, pod)
            return
        except Refused as error:
            if error.exists:  # by our own first request, whose answer was lost: nobody else knows the name
                return
            full = error.code == 403 and "exceeded quota" in str(error)
            if not full or time.monotonic() + PAUSE > end:
                raise SandboxError(f"no pod for a candidate in {pod['metadata']['namespace']}: {error}") from None
        time.sleep(PAUSE)


def _refuse_hopeless(kubernetes: Kubernetes, pod: Object, seconds: float) -> None:
    """Raise where waiting does not help."""
    status = pod.get("status", {})
    ended = container_state(pod).get("terminated") or {}
    if status.get("phase") in ("Failed", "Succeeded") and ended and not status.get("reason"):
        said = in_a_line(f"{ended.get('reason', '')} {ended.get('message', '')}", 300)
        raise SandboxError(f"the container of a candidate does not start: {said} (image {_image(pod)})")
    if status.get("phase") in ("Failed", "Succeeded"):
        why = in_a_line(f"{status.get('reason', '')} {status.get('message', '')}".strip() or "nothing says why")
        raise PodLost(f"its pod ended before its candidate began: {why}")
    waiting = container_state(pod).get("waiting") or {}
    reason = waiting.get("reason", "")
    if reason in _NEVER or (reason in _SLOWLY and seconds > PULL_SECONDS):
        said = in_a_line(str(waiting.get("message") or last_event(kubernetes, pod["metadata"]["name"])), 300)
        raise SandboxError(f"the pod of a candidate does not start: {reason}: {said} (image {_image(pod)})")


def _image(pod: Object) -> str:
    return str(pod["spec"]["containers"][0]["image"])


def _waited(kubernetes: Kubernetes, name: str, patience: float) -> str:
    event = last_event(kubernetes, name) or "no event says why"
    return (
        f"the pod of a candidate has not started in {patience:.0f} s: {event}; give the cluster room for it, or "
        "raise candidates.start_seconds"
    )


def last_event(kubernetes: Kubernetes, name: str) -> str:
    """What the cluster said last of a pod, on a line; nothing where it may not be asked, or said nothing."""
    try:
        events = kubernetes.find(EVENTS, fields=f"involvedObject.name={name}")
    except Refused:
        return ""
    if not events:
        return ""
    latest = max(events, key=_time_of)
    return in_a_line(f"{latest.get('reason', '')}: {latest.get('message', '')}", 300)


def _time_of(event: Object) -> datetime:
    named = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
    return datetime.fromisoformat(named) if named else datetime.min.replace(tzinfo=UTC)
