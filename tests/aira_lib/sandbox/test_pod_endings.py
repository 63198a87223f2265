"""Pods that do not start, that end on their own and that are left behind: whose fault it is, and what is said."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import aira_lib.sandbox.ending as ending
import aira_lib.sandbox.starting as starting
from aira_lib.cluster.stream import Ended
from aira_lib.sandbox import SandboxError
from aira_lib.sandbox.ending import outcome_of_pod
from aira_lib.sandbox.manifest import Need, manifest
from aira_lib.sandbox.parent import Parent, parent_here
from aira_lib.sandbox.starting import PodLost, start
from aira_lib.sandbox.sweep import sweep
from aira_lib.study import CandidateLimits
from tests.aira_lib.sandbox.podlike import NAMESPACE, PodLike, cluster_section, podlike

LIMITS = CandidateLimits(seconds=20, memory_mb=256, disk_mb=4)
NEED = Need(LIMITS, 20, 0, "/w")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PodLike]:
    monkeypatch.setattr(ending, "SETTLED_SECONDS", 0.0)
    monkeypatch.setattr(starting, "PAUSE", 0.1)
    with podlike(tmp_path, monkeypatch) as made:
        made.executing.runs = False
        yield made


def pod(name: str = "candidate-1", parent: Parent | None = None, now: datetime | None = None) -> dict[str, Any]:
    return manifest(name, NEED, cluster_section(), parent, now)


def put(here: PodLike, name: str = "candidate-1", **status: object) -> None:
    here.fake.put(pod(name) | {"status": status})


def terminated(reason: str, code: int) -> list[dict[str, Any]]:
    return [{"name": "candidate", "state": {"terminated": {"reason": reason, "exitCode": code}}}]


KILLED = terminated("Error", 137)
FULL = 'Usage of EmptyDir volume "work" exceeds the limit "5Mi". '


@pytest.mark.parametrize(
    ("status", "ended", "expected", "reason"),
    [
        ({"phase": "Failed", "containerStatuses": terminated("OOMKilled", 137)}, Ended(137), "memory", "256 MB"),
        ({"phase": "Failed", "reason": "Evicted", "message": FULL}, None, "disk", "more than 4 MB"),
        ({"phase": "Failed", "reason": "DeadlineExceeded"}, None, "timeout", "deadline of its pod"),
        ({"phase": "Failed", "containerStatuses": KILLED}, None, "error", "supervisor died"),
        ({"phase": "Running"}, Ended(1), "error", "supervisor died"),
    ],
)  # fmt: skip
def test_what_a_candidate_did_is_its_outcome(
    here: PodLike, status: dict[str, Any], ended: Ended | None, expected: str, reason: str
) -> None:
    put(here, **status)
    outcome = outcome_of_pod(here.pods.kubernetes, "candidate-1", ended, LIMITS, 2.0)
    assert (outcome.status, outcome.exit_code, outcome.seconds) == (expected, None, 2.0)
    assert reason in outcome.reason


DISRUPTED = [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: x."}, "low on resource"),
        ({"phase": "Failed", "reason": "NodeLost", "message": "x"}, "NodeLost"),
        ({"phase": "Failed", "conditions": DISRUPTED, "containerStatuses": KILLED}, "took its pod away"),
        ({"phase": "Unknown", "containerStatuses": terminated("ContainerStatusUnknown", 137)}, "took its pod away"),
        ({"phase": "Running"}, "nothing is heard"),
        (None, "deleted"),
    ],
)  # fmt: skip
def test_what_the_cluster_did_is_not(here: PodLike, status: dict[str, Any] | None, said: str) -> None:
    if status is not None:
        put(here, **status)
    with pytest.raises(PodLost, match=said):
        outcome_of_pod(here.pods.kubernetes, "candidate-1", None, LIMITS, 2.0)


def test_a_pod_that_finds_no_node_is_told_with_the_event(here: PodLike) -> None:
    here.fake.put({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e1", "namespace": NAMESPACE},
        "involvedObject": {"kind": "Pod", "name": "candidate-1", "namespace": NAMESPACE},
        "reason": "FailedScheduling", "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
        "lastTimestamp": "2026-01-01T00:00:00Z",
    })  # fmt: skip
    with pytest.raises(SandboxError, match=r"not started in 0 s: FailedScheduling: 0/3 nodes .*start_seconds"):
        start(here.pods.kubernetes, pod(), 0.3)


def test_an_image_that_cannot_be_had_is_told_at_once(here: PodLike) -> None:
    def refuse(request: Any, answer: Any) -> None:
        if request.method == "POST" and request.path.endswith("/pods"):
            here.fake.pod_status(NAMESPACE, "candidate-1", "Pending", reason="InvalidImageName")

    here.fake.after.append(refuse)
    with pytest.raises(SandboxError, match=r"does not start: InvalidImageName.*sha256:5555"):
        start(here.pods.kubernetes, pod(), 60)


def test_a_container_that_does_not_start_is_told_apart_from_a_pod_that_no_node_takes(here: PodLike) -> None:
    put(here, phase="Failed", containerStatuses=terminated("StartError", 128))
    with pytest.raises(SandboxError, match=r"container of a candidate does not start: StartError.*sha256:5555"):
        start(here.pods.kubernetes, pod(), 60)
    put(here, "candidate-2", phase="Failed", reason="UnexpectedAdmissionError", message="no device")
    with pytest.raises(PodLost, match="UnexpectedAdmissionError no device"):
        start(here.pods.kubernetes, pod("candidate-2"), 60)


def test_a_quota_is_waited_for(here: PodLike) -> None:
    full = {"kind": "Status", "reason": "Forbidden", "code": 403, "message": "pods is forbidden: exceeded quota: gpus"}
    from tests.fakes.http import Answer

    times = iter([True, True])
    answer = here.fake.answer
    here.fake.answer = lambda request: (  # type: ignore[method-assign]
        Answer.of(full, 403) if request.method == "POST" and next(times, False) else answer(request)
    )
    here.executing.runs = True
    start(here.pods.kubernetes, pod(), 60)
    assert here.fake.count("POST .*/pods$") == 3


def test_a_sweep_deletes_what_nobody_waits_for(here: PodLike) -> None:
    now = datetime.now(UTC)
    alive, ended, gone = (Parent("aira", name, f"u-{name}") for name in ("alive", "ended", "gone"))
    for parent in (alive, ended):
        container = {"containers": [{"name": "c", "image": "i"}]}
        metadata = {"name": parent.name, "namespace": "aira"}
        made = here.fake.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": container})
        here.fake.pod_status("aira", parent.name, "Running" if parent is alive else "Succeeded")
        here.fake.put(pod(parent.name, Parent("aira", parent.name, made["metadata"]["uid"]), now))
    here.fake.put(pod("replaced", Parent("aira", "alive", "another"), now))
    here.fake.put(pod("gone", gone, now))
    here.fake.put(pod("laptop", None, now))
    here.fake.put(pod("late", None, now - timedelta(days=2)))
    other = {
        "metadata": {"name": "other", "namespace": NAMESPACE},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    here.fake.put({"apiVersion": "v1", "kind": "Pod", **other})
    assert sorted(sweep(here.pods.kubernetes, now)) == ["ended", "gone", "late", "replaced"]
    assert sorted(here.names()) == ["alive", "laptop", "other"]


def test_a_search_knows_its_own_pod(here: PodLike, monkeypatch: pytest.MonkeyPatch) -> None:
    kubernetes = here.pods.kubernetes.within("aira")
    assert parent_here(kubernetes) is None
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KFP_POD_NAME", "mine")
    monkeypatch.setenv("KFP_POD_UID", "u-1")
    assert parent_here(kubernetes) == Parent("aira", "mine", "u-1")
    monkeypatch.delenv("KFP_POD_NAME")
    monkeypatch.delenv("KFP_POD_UID")
    monkeypatch.setenv("HOSTNAME", "host")
    assert parent_here(kubernetes) is None
    spec = {"containers": [{"name": "c", "image": "i"}]}
    made = here.fake.put(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "host", "namespace": "aira"}, "spec": spec}
    )
    assert parent_here(kubernetes) == Parent("aira", "host", made["metadata"]["uid"])
