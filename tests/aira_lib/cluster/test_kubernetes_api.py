"""The API of a cluster, spoken with a server that fails: what is tried again, what is said, what a watch survives."""

import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from aira_lib.cluster import api, connection
from aira_lib.cluster.api import Change, Kubernetes, connect
from aira_lib.cluster.kinds import LEASES, PODS, TRAIN_JOBS
from aira_lib.cluster.refusals import Refused, Unreachable
from aira_lib.errors import UserError
from tests.fakes.kubernetes import FakeKubernetes

pytest.importorskip("kubernetes")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeKubernetes]:
    monkeypatch.setattr(connection, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(connection, "PATIENCE", 5.0)
    monkeypatch.setattr(api, "SHORTEST_WATCH", 0.0)
    with FakeKubernetes() as server:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(tmp_path / "kubeconfig")))
        yield server


@pytest.fixture
def cluster(server: FakeKubernetes) -> Iterator[Kubernetes]:
    made = connect()
    yield made
    made.connection.close()


def pod(name: str, **labels: str) -> dict[str, Any]:
    spec = {"containers": [{"name": "node", "image": "i"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


def lease(name: str, holder: str = "a") -> dict[str, Any]:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name},
        "spec": {"holderIdentity": holder},
    }


def test_objects_are_created_found_changed_and_deleted(cluster: Kubernetes) -> None:
    assert cluster.namespace == "aira"
    assert cluster.get(LEASES, "a") is None
    made = cluster.create(LEASES, lease("a"))
    cluster.create(LEASES, lease("b"))
    assert [each["metadata"]["name"] for each in cluster.find(LEASES)] == ["a", "b"]
    cluster.patch(LEASES, "a", {"spec": {"holderIdentity": None, "leaseDurationSeconds": 5}})
    changed = cluster.get(LEASES, "a")
    assert changed
    assert changed["spec"] == {"leaseDurationSeconds": 5}
    with pytest.raises(Refused) as stale:
        cluster.replace(LEASES, "a", made)
    assert stale.value.conflict
    assert not cluster.delete(LEASES, "a", uid="another")
    assert cluster.delete(LEASES, "a", uid=made["metadata"]["uid"])
    assert not cluster.delete(LEASES, "a")
    assert cluster.within("default").find(LEASES) == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_short_of_time_is_asked_again(
    server: FakeKubernetes, cluster: Kubernetes, status: int
) -> None:
    server.fail("POST .*/leases$", status, times=2, retry_after=0)
    cluster.create(LEASES, lease("a"))
    assert server.count("POST .*/leases$") == 3


def test_the_wait_that_a_server_asks_for_is_kept(
    server: FakeKubernetes, cluster: Kubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(connection.time, "sleep", waits.append)
    server.fail("GET .*/leases$", 429, retry_after=3)
    cluster.find(LEASES)
    assert waits == [3]


def test_a_lost_answer_shows_as_an_object_that_exists(server: FakeKubernetes, cluster: Kubernetes) -> None:
    server.drop("POST .*/leases$")
    with pytest.raises(Refused) as error:
        cluster.create(LEASES, lease("a"))
    assert error.value.exists
    assert cluster.get(LEASES, "a")


def test_who_cannot_be_reached_is_given_up_after_a_while(
    server: FakeKubernetes, cluster: Kubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.drop("GET .*", times=100)
    impatient = Kubernetes(connection.Connection(cluster.connection.client, patience=0.05), "aira")
    with pytest.raises(Unreachable, match="cannot be reached") as error:
        impatient.find(LEASES)
    assert error.value.exit_code == 75


def test_a_right_that_is_missing_and_a_kind_that_is_not_installed_are_named(
    server: FakeKubernetes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    poor = server.kubeconfig(tmp_path / "poor", user="system:serviceaccount:aira:poor")
    monkeypatch.setenv("KUBECONFIG", str(poor))
    with pytest.raises(Refused, match=r'poor" cannot list resource "leases".*give that right') as error:
        connect().find(LEASES)
    assert (error.value.code, error.value.exit_code) == (403, 2)
    monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(tmp_path / "admin")))
    for ask in (connect().find, lambda kind: connect().get(kind, "a")):
        with pytest.raises(Refused, match=r"no objects of such a kind.*install what defines it"):
            ask(TRAIN_JOBS)


def test_no_configuration_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"no Kubernetes cluster: .*none.*let KUBECONFIG name"):
        connect()


def names(changes: Iterator[Change | None], count: int) -> list[tuple[str, bool]]:
    """Of the next changes, passing over the ends of answers."""
    found = (change for change in changes if change)
    return [(change.object["metadata"]["name"], change.there) for change in islice(found, count)]


def test_a_watch_gives_what_is_there_and_what_changes(server: FakeKubernetes, cluster: Kubernetes) -> None:
    server.put(pod("p", of="a") | {"metadata": {"name": "p", "namespace": "aira", "labels": {"of": "a"}}})
    changes = cluster.watch(PODS, "of=a")
    assert names(changes, 1) == [("p", True)]
    cluster.create(PODS, pod("q", of="a"))
    cluster.create(PODS, pod("r", of="b"))
    cluster.delete(PODS, "p")
    assert names(changes, 2) == [("q", True), ("p", False)]


def test_a_watch_goes_on_after_a_broken_connection_and_tells_what_was_missed(
    server: FakeKubernetes, cluster: Kubernetes
) -> None:
    changes = cluster.watch(PODS)
    cluster.create(PODS, pod("p"))
    assert names(changes, 1) == [("p", True)]
    server.break_connections()
    cluster.create(PODS, pod("q"))
    assert names(changes, 1) == [("q", True)]


def test_a_watch_whose_version_is_forgotten_lists_anew_and_tells_what_is_gone(
    server: FakeKubernetes, cluster: Kubernetes
) -> None:
    cluster.create(PODS, pod("p"))
    cluster.create(PODS, pod("q"))
    changes = cluster.watch(PODS)
    assert sorted(names(changes, 2)) == [("p", True), ("q", True)]
    cluster.create(PODS, pod("r"))  # the watch has begun, so that it has a version that can be forgotten
    assert names(changes, 1) == [("r", True)]
    server.break_connections()
    server.remove("pods", "aira", "p")
    server.compact()
    assert names(changes, 1) == [("p", False)]  # and not again what has not changed
    cluster.create(PODS, pod("s"))
    assert names(changes, 1) == [("s", True)]


def test_a_watch_ends_its_answers_now_and_then_and_leaves_no_thread(
    server: FakeKubernetes, cluster: Kubernetes
) -> None:
    before = threading.active_count()
    changes = cluster.watch(PODS, seconds=1)
    assert next(changes) is None
    assert server.requests[-1].query["timeoutSeconds"] == "1"
    changes.close()  # type: ignore[attr-defined]
    assert threading.active_count() <= before + 1  # the server's own of this connection


def test_logs_of_a_pod(server: FakeKubernetes, cluster: Kubernetes) -> None:
    cluster.create(PODS, pod("p"))
    assert cluster.log("p") == []  # it has not begun
    server.pod_status("aira", "p", "Running")
    server.say("aira", "p", "a\nb\u2028c\nd\n")
    assert cluster.log("p") == ["a", "b\u2028c", "d"]
    assert cluster.log("p", tailLines=1) == ["d"]
    assert cluster.log("gone") == []
