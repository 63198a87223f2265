"""The fake Kubernetes API, asked by the real client."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.rights import account

kubernetes = pytest.importorskip("kubernetes")


@pytest.fixture
def fake() -> Iterator[FakeKubernetes]:
    with FakeKubernetes() as server:
        yield server


def client(fake: FakeKubernetes, path: Path, **options: Any) -> Any:
    return kubernetes.config.new_client_from_config(str(fake.kubeconfig(path / f"k{time.time_ns()}", **options)))


def pod(name: str = "p", **metadata: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "main", "image": "i"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata}, "spec": spec}


def status_of(error: Any) -> int:
    return int(error.value.status)


def test_objects_are_made_found_changed_and_deleted(fake: FakeKubernetes, tmp_path: Path) -> None:
    core = kubernetes.client.CoreV1Api(client(fake, tmp_path))
    made = core.create_namespaced_pod("aira", {**pod(), "metadata": {"generateName": "p-", "labels": {"a": "1"}}})
    assert made.metadata.name.startswith("p-")
    assert made.status.phase == "Pending"
    assert [one.metadata.uid for one in core.list_namespaced_pod("aira", label_selector="a in (1, 2)").items] == [
        made.metadata.uid
    ]
    assert core.list_namespaced_pod("aira", label_selector="a!=1").items == []
    core.delete_namespaced_pod(made.metadata.name, "aira")
    with pytest.raises(kubernetes.client.ApiException) as error:
        core.read_namespaced_pod(made.metadata.name, "aira")
    assert status_of(error) == 404


def test_an_old_version_is_a_conflict_and_a_template_does_not_change(fake: FakeKubernetes, tmp_path: Path) -> None:
    batch = kubernetes.client.BatchV1Api(client(fake, tmp_path))
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "i"}]}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"template": template}}
    first = batch.create_namespaced_job("aira", job)
    with pytest.raises(kubernetes.client.ApiException) as error:
        batch.create_namespaced_job("aira", job)
    assert status_of(error) == 409
    changed = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "other"}]}}}}
    with pytest.raises(kubernetes.client.ApiException) as error:
        batch.patch_namespaced_job("j", "aira", changed)
    assert status_of(error) == 422
    batch.patch_namespaced_job("j", "aira", {"spec": {"suspend": True}})
    with pytest.raises(kubernetes.client.ApiException) as error:
        batch.replace_namespaced_job("j", "aira", first)
    assert status_of(error) == 409


def test_what_an_object_owns_goes_with_it_and_only_in_its_namespace(fake: FakeKubernetes, tmp_path: Path) -> None:
    core = kubernetes.client.CoreV1Api(client(fake, tmp_path))
    owner = core.create_namespaced_pod("aira", pod("owner"))
    mine = [{"apiVersion": "v1", "kind": "Pod", "name": "owner", "uid": owner.metadata.uid}]
    core.create_namespaced_pod("aira", pod("owned", ownerReferences=mine))
    core.create_namespaced_pod("default", pod("elsewhere", ownerReferences=mine))
    assert fake.get("pods", "default", "elsewhere") is None
    assert fake.get("pods", "aira", "owned")
    core.delete_namespaced_pod("owner", "aira")
    assert fake.get("pods", "aira", "owned") is None


def test_a_watch_sees_changes_and_is_told_when_they_are_gone(fake: FakeKubernetes, tmp_path: Path) -> None:
    core = kubernetes.client.CoreV1Api(client(fake, tmp_path))
    before = core.list_namespaced_pod("aira").metadata.resource_version
    core.create_namespaced_pod("aira", pod())
    fake.pod_status("aira", "p", "Failed", exit_code=3)
    core.delete_namespaced_pod("p", "aira")
    watched = kubernetes.watch.Watch().stream(
        core.list_namespaced_pod, "aira", resource_version=before, timeout_seconds=1
    )
    seen = [(event["type"], event["object"].status.phase) for event in watched]
    assert seen == [("ADDED", "Pending"), ("MODIFIED", "Failed"), ("DELETED", "Failed")]
    fake.compact()
    with pytest.raises(kubernetes.client.ApiException) as error:
        list(
            kubernetes.watch.Watch().stream(
                core.list_namespaced_pod, "aira", resource_version=before, timeout_seconds=1
            )
        )
    assert status_of(error) == 410


def test_a_list_comes_in_pages_while_the_server_knows_its_version(fake: FakeKubernetes) -> None:
    for name in "abc":
        fake.put(pod(name, namespace="aira"))
    pods = f"{fake.url}/api/v1/namespaces/aira/pods"
    first = requests.get(pods, {"limit": "2"}, timeout=10).json()
    assert [each["metadata"]["name"] for each in first["items"]] == ["a", "b"]
    token = {"limit": "2", "continue": first["metadata"]["continue"]}
    rest = requests.get(pods, token, timeout=10).json()
    assert [each["metadata"]["name"] for each in rest["items"]] == ["c"]
    assert "continue" not in rest["metadata"]
    fake.compact()
    assert requests.get(pods, token, timeout=10).status_code == 410


def test_logs_are_followed_to_the_end_of_the_pod(fake: FakeKubernetes, tmp_path: Path) -> None:
    core = kubernetes.client.CoreV1Api(client(fake, tmp_path))
    core.create_namespaced_pod("aira", pod())
    with pytest.raises(kubernetes.client.ApiException) as error:
        core.read_namespaced_pod_log("p", "aira")
    assert status_of(error) == 400
    fake.pod_status("aira", "p", "Running")
    fake.say("aira", "p", "one\n")
    stream = core.read_namespaced_pod_log("p", "aira", follow=True, _preload_content=False)

    def later() -> None:
        fake.say("aira", "p", "two\n")
        fake.pod_status("aira", "p", "Succeeded")

    threading.Thread(target=later).start()
    assert stream.read() == b"one\ntwo\n"
    assert core.read_namespaced_pod_log("p", "aira", tail_lines=1) == "two\n"


def test_rights_come_from_roles_that_are_stored(fake: FakeKubernetes, tmp_path: Path) -> None:
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]
    fake.put({**rbac, "kind": "Role", "metadata": {"name": "r", "namespace": "aira"}, "rules": rules})
    subjects = [{"kind": "ServiceAccount", "name": "a", "namespace": "aira"}]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
    metadata = {"name": "b", "namespace": "aira"}
    fake.put({**rbac, "kind": "RoleBinding", "metadata": metadata, "subjects": subjects, "roleRef": role})
    core = kubernetes.client.CoreV1Api(client(fake, tmp_path, user=account("aira", "a")))
    assert core.list_namespaced_pod("aira").items == []
    for forbidden in (
        lambda: core.list_namespaced_pod("default"),
        lambda: core.list_namespaced_secret("aira"),
        lambda: core.create_namespaced_pod("aira", pod()),
    ):
        with pytest.raises(kubernetes.client.ApiException) as error:
            forbidden()
        assert status_of(error) == 403


def test_a_quota_refuses_a_pod_that_says_too_little_or_wants_too_much(fake: FakeKubernetes, tmp_path: Path) -> None:
    core = kubernetes.client.CoreV1Api(client(fake, tmp_path))
    metadata = {"name": "q", "namespace": "aira"}
    fake.put({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": {"limits.cpu": "2"}}})
    with pytest.raises(kubernetes.client.ApiException) as error:
        core.create_namespaced_pod("aira", pod())
    assert "must specify limits.cpu for: main" in error.value.body
    container = {"name": "main", "image": "i", "resources": {"limits": {"cpu": "1500m"}}}
    core.create_namespaced_pod("aira", {**pod("one"), "spec": {"containers": [container]}})
    with pytest.raises(kubernetes.client.ApiException) as error:
        core.create_namespaced_pod("aira", {**pod("two"), "spec": {"containers": [container]}})
    assert "exceeded quota" in error.value.body


def test_custom_resources_are_pruned_checked_and_refused_when_strict(fake: FakeKubernetes, tmp_path: Path) -> None:
    spec = {"type": "object", "properties": {"nodes": {"type": "integer", "minimum": 1}}}
    schema = {"type": "object", "properties": {"spec": spec}}
    fake.register("example.org", "v1", "Thing", "things", schema=schema, immutable=("spec.nodes",))
    custom = kubernetes.client.CustomObjectsApi(client(fake, tmp_path))
    place = ("example.org", "v1", "aira", "things")

    def thing(**fields: Any) -> dict[str, Any]:
        return {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": fields}

    with pytest.raises(kubernetes.client.ApiException) as error:
        custom.create_namespaced_custom_object(*place, thing(nodes=0))
    assert status_of(error) == 422
    with pytest.raises(kubernetes.client.ApiException) as error:
        custom.create_namespaced_custom_object(*place, thing(nods=1), field_validation="Strict")
    assert status_of(error) == 400
    assert custom.create_namespaced_custom_object(*place, thing(nodes=1, other=2))["spec"] == {"nodes": 1}
    with pytest.raises(kubernetes.client.ApiException) as error:
        custom.patch_namespaced_custom_object(*place, "t", {"spec": {"nodes": 2}})
    assert status_of(error) in (415, 422)


def test_faults_strike_as_often_as_they_are_told(fake: FakeKubernetes) -> None:
    pods = f"{fake.url}/api/v1/namespaces/aira/pods"
    fake.fail("GET .*/pods$", 429, retry_after=1)
    refused = requests.get(pods, timeout=10)
    assert (refused.status_code, refused.headers["Retry-After"], refused.json()["code"]) == (429, "1", 429)
    fake.drop("POST .*/pods$", after=True)
    with pytest.raises(requests.ConnectionError):
        requests.post(pods, json=pod(), timeout=10)
    assert fake.get("pods", "aira", "p")
    fake.drop("POST .*/pods$", after=False)
    with pytest.raises(requests.ConnectionError):
        requests.post(pods, json=pod("other"), timeout=10)
    assert [each["metadata"]["name"] for each in requests.get(pods, timeout=10).json()["items"]] == ["p"]


def test_a_race_for_a_lease_has_one_winner(fake: FakeKubernetes, tmp_path: Path) -> None:
    api = client(fake, tmp_path)
    answers = []

    def claim() -> None:
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {}}
        try:
            kubernetes.client.CoordinationV1Api(api).create_namespaced_lease("aira", lease)
            answers.append(201)
        except kubernetes.client.ApiException as error:
            answers.append(error.status)

    threads = [threading.Thread(target=claim) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201] + [409] * 29
