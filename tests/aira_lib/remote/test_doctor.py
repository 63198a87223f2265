"""`aira doctor --cluster` finds nothing on a cluster that has all, and each thing that is taken away."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from aira_lib.cluster.api import connect
from aira_lib.cluster.rights import rights, roles
from aira_lib.cluster.section import Cluster
from aira_lib.remote.doctor.access import account_rights
from aira_lib.remote.doctor.examine import CHECKS, examine
from aira_lib.remote.doctor.finding import Check, Finding, Place
from aira_lib.remote.doctor.installed import kubernetes_version, trainer, workflows
from aira_lib.remote.doctor.isolation import candidates
from aira_lib.remote.doctor.objects import namespaces, own_file, secrets
from aira_lib.remote.doctor.quantity import amount
from aira_lib.remote.doctor.room import nodes, quotas
from aira_lib.remote.doctor.services import kubeflow, mlflow, store
from tests.aira_lib.cli.in_process import aira
from tests.fakes import kubernetes as fake_kubernetes
from tests.fakes.kubeflow import FakeKubeflow
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.mlflow import FakeMLflow
from tests.fakes.quota import amount as another_amount
from tests.fakes.rights import account

pytest.importorskip("kubernetes")

IMAGES = {name: f"registry.example/aira-{name}@sha256:{'0' * 64}" for name in ("cpu", "train", "eval", "sandbox")}
GPU_TAINT = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
PRESETS = {
    "cpu": {"cores": 4, "memory_gib": 16},
    "gpu1": {
        "cores": 8,
        "memory_gib": 64,
        "gpus": 1,
        "tolerations": [{"key": "gpu"}],
        "node_selector": {"kind": "h100"},
    },
}


def cluster_of(kubeflow_url: str, mlflow_url: str, bucket: str = "s3://bucket/runs", **changes: Any) -> Cluster:
    plain = {
        "store": bucket,
        "images": IMAGES,
        "kubeflow": {"api": kubeflow_url, "token": "/no/such/token"},
        "tracking": {"uri": mlflow_url},
        "s3": {"name": "s3-login", "variables": {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}},
        "candidates": {"runtime_class": "gvisor"},
        "training": {"queue": "team"},
        "presets": PRESETS,
    }
    return Cluster.model_validate({**plain, **changes})


def furnish(fake: FakeKubernetes, cluster: Cluster) -> None:
    """A cluster on which nothing is missing."""
    for each in (*namespace_objects(), *role_objects(cluster), *room_objects(), *training_objects(fake)):
        fake.put(each)
    text = yaml.safe_dump(cluster.model_dump(mode="json"))
    keys = {key: base64.b64encode(b"hidden").decode() for key in ("id", "key")}
    fake.put(thing("v1", "ConfigMap", "aira-cluster", data={"cluster.yaml": text}))
    fake.put(thing("v1", "Secret", "s3-login", data=keys))
    container = {"name": "api", "image": "i", "env": [{"name": "MAX_PARAMETER_BYTES", "value": "50000"}]}
    deployment = {"selector": {}, "template": {"spec": {"containers": [container]}}}
    fake.put(thing("apps/v1", "Deployment", "ml-pipeline", "kubeflow", spec=deployment))


def thing(api: str, kind: str, name: str, namespace: str = "aira", **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **fields}


def namespace_objects() -> Iterator[dict[str, Any]]:
    sandbox = thing("v1", "Namespace", "aira-sandbox", "")
    sandbox["metadata"]["labels"] = {"pod-security.kubernetes.io/enforce": "restricted"}
    yield sandbox
    yield thing("v1", "Namespace", "kubeflow", "")
    closed = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    yield thing("networking.k8s.io/v1", "NetworkPolicy", "closed", "aira-sandbox", spec=closed)
    yield thing("node.k8s.io/v1", "RuntimeClass", "gvisor", "", handler="runsc")


def role_objects(cluster: Cluster) -> Iterator[dict[str, Any]]:
    for role in roles(cluster):
        yield thing("v1", "ServiceAccount", role.account)
        rules = [
            {"apiGroups": [rule.group], "resources": list(rule.resources), "verbs": list(rule.verbs)}
            | ({"resourceNames": list(rule.names)} if rule.names else {})
            for rule in role.rules
        ]
        api = "rbac.authorization.k8s.io/v1"
        yield thing(api, "Role", role.name, role.namespace, rules=rules)
        subjects = [{"kind": "ServiceAccount", "name": role.account, "namespace": "aira"}]
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role.name}
        yield thing(api, "RoleBinding", role.name, role.namespace, subjects=subjects, roleRef=reference)


def room_objects() -> Iterator[dict[str, Any]]:
    hard = {"limits.cpu": "100", "limits.memory": "1Ti", "requests.nvidia.com/gpu": "8", "pods": "50"}
    yield thing("v1", "ResourceQuota", "team", spec={"hard": hard}, status={"used": {"limits.cpu": "10"}})
    limit = {"type": "Container", "default": {"cpu": "500m", "memory": "512Mi"}}
    yield thing("v1", "LimitRange", "defaults", spec={"limits": [limit]})
    has = {"cpu": "16", "memory": "128Gi", "ephemeral-storage": "200Gi"}
    yield thing("v1", "Node", "plain", "", status={"allocatable": has})
    node = thing("v1", "Node", "gpus", "", spec={"taints": [GPU_TAINT]})
    node["metadata"]["labels"] = {"kind": "h100"}
    yield node | {"status": {"allocatable": {**has, "nvidia.com/gpu": "8"}}}


def training_objects(
    fake: FakeKubernetes, patches: str = "runtimePatches", kueue: str = "v1beta2"
) -> Iterator[dict[str, Any]]:
    spec = {"type": "object", "properties": {patches: {"type": "array", "items": {"type": "object"}}}}
    schema = {"type": "object", "properties": {"spec": spec}}
    group = ("trainer.kubeflow.org", "v1alpha1")
    fake.register(*group, "TrainJob", "trainjobs", schema=schema)
    fake.register(*group, "TrainingRuntime", "trainingruntimes")
    fake.register("jobset.x-k8s.io", "v1alpha2", "JobSet", "jobsets")
    fake.register("kueue.x-k8s.io", kueue, "LocalQueue", "localqueues")
    yield thing("/".join(group), "TrainingRuntime", "aira-torch")
    yield thing(f"kueue.x-k8s.io/{kueue}", "LocalQueue", "team")
    yield thing("v1", "Namespace", "kueue-system", "")
    yield kueue_manager("v0.17.3")


class World:
    """The three services, and the place that doctor sees of them."""

    def __init__(self, kubernetes: FakeKubernetes, pipelines: FakeKubeflow, tracking: FakeMLflow) -> None:
        self.kubernetes, self.pipelines, self.tracking = kubernetes, pipelines, tracking
        self.cluster = cluster_of(pipelines.url, tracking.url)
        furnish(kubernetes, self.cluster)

    def place(self) -> Place:
        return Place(self.cluster, connect("aira"), inside=False)

    def found(self, check: Check) -> list[Finding]:
        return list(check(self.place()))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with FakeKubernetes() as kubernetes, FakeKubeflow(kubernetes) as pipelines, FakeMLflow() as tracking:
        monkeypatch.setenv("KUBECONFIG", str(kubernetes.kubeconfig(tmp_path / "kubeconfig")))
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        tracking.route("GET .*/experiments/search", lambda _: fake_kubernetes.Answer.of({"experiments": []}))
        yield World(kubernetes, pipelines, tracking)


def test_a_cluster_that_has_all_lacks_nothing(
    world: World, s3_uri: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.cluster = cluster_of(world.pipelines.url, world.tracking.url, s3_uri)
    world.kubernetes.remove("configmaps", "aira", "aira-cluster")
    text = yaml.safe_dump(world.cluster.model_dump(mode="json"))
    world.kubernetes.put(thing("v1", "ConfigMap", "aira-cluster", data={"cluster.yaml": text}))
    monkeypatch.setenv("COLUMNS", "200")
    assert examine(world.cluster) == 0
    printed = capsys.readouterr().out
    assert not any(word in printed for word in ("missing", "doubtful", "unknown"))
    for area in (
        "Kubernetes",
        "Kubeflow Pipelines",
        "Trainer",
        "rights of aira-pipeline",
        "store",
        "MLflow",
        "candidates",
    ):
        assert area in printed
    assert "hidden" not in printed


def drop(plural: str, namespace: str, name: str) -> Callable[[World], None]:
    return lambda world: world.kubernetes.remove(plural, namespace, name)


def kueue_manager(version: str) -> dict[str, Any]:
    containers = [{"name": "manager", "image": f"registry.k8s.io/kueue/kueue:{version}"}]
    spec = {"selector": {}, "template": {"spec": {"containers": containers}}}
    return thing("apps/v1", "Deployment", "kueue-controller-manager", "kueue-system", spec=spec)


def older_kueue(world: World) -> None:
    world.kubernetes.put(kueue_manager("v0.16.4"))


def oldest_kueue(world: World) -> None:
    world.kubernetes.remove("customresourcedefinitions", "", "localqueues.kueue.x-k8s.io")
    for each in training_objects(world.kubernetes, kueue="v1beta1"):
        world.kubernetes.put(each)


def older_trainer(world: World) -> None:
    list(training_objects(world.kubernetes, "podSpecOverrides"))


def tight(key: str, value: str) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.kubernetes.put(thing("v1", "ResourceQuota", "tight", spec={"hard": {key: value}}))

    return change


def labels(name: str, **given: str) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.kubernetes.put({**thing("v1", "Namespace", name, ""), "metadata": {"name": name, "labels": given}})

    return change


def opened(world: World) -> None:
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}
    world.kubernetes.put(thing("networking.k8s.io/v1", "NetworkPolicy", "open", "aira-sandbox", spec=spec))


def fewer_gpus(world: World) -> None:
    node = world.kubernetes.get("nodes", "", "gpus")
    assert node
    world.kubernetes.set_status("nodes", "", "gpus", {"allocatable": {"cpu": "16", "memory": "128Gi"}})


def old(world: World) -> None:
    world.pipelines.version = "2.14.3"


def away(world: World) -> None:
    world.tracking.fail("GET .*/experiments/search", 404, times=9)


def all_secrets(world: World) -> None:
    api, rules = "rbac.authorization.k8s.io/v1", [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]}]
    world.kubernetes.put(thing(api, "Role", "wide", rules=rules))
    subjects = [{"kind": "ServiceAccount", "name": "aira-pipeline", "namespace": "aira"}]
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "wide"}
    world.kubernetes.put(thing(api, "RoleBinding", "wide", subjects=subjects, roleRef=reference))


@pytest.mark.parametrize(
    ("check", "spoil", "level", "words"),
    [
        (namespaces, drop("namespaces", "", "aira-sandbox"), "missing", "aira-sandbox: make it"),
        (own_file, drop("configmaps", "aira", "aira-cluster"), "missing", "charts/aira makes it"),
        (workflows, drop("customresourcedefinitions", "", "workflows.argoproj.io"), "missing", "install Kubeflow"),
        (trainer, drop("customresourcedefinitions", "", "trainjobs.trainer.kubeflow.org"), "missing", "2.2"),
        (trainer, older_trainer, "missing", "older than 2.2"),
        (trainer, drop("trainingruntimes", "aira", "aira-torch"), "missing", "TrainingRuntime aira-torch"),
        (trainer, drop("localqueues", "aira", "team"), "missing", "LocalQueue team"),
        (trainer, older_kueue, "missing", "older than 0.17"),
        (trainer, oldest_kueue, "missing", "older than 0.17"),
        (trainer, drop("deployments", "kueue-system", "kueue-controller-manager"), "unknown", "0.17 or newer"),
        (
            account_rights,
            drop("rolebindings", "aira", "aira-submitter"),
            "missing",
            "create leases.coordination.k8s.io",
        ),
        (account_rights, drop("serviceaccounts", "aira", "aira-pipeline"), "missing", "charts/aira makes it"),
        (account_rights, drop("rolebindings", "aira-sandbox", "aira-candidates"), "missing", "in aira-sandbox"),
        (account_rights, all_secrets, "doubtful", "all secrets"),
        (quotas, drop("limitranges", "aira", "defaults"), "missing", "init and wait"),
        (quotas, tight("limits.memory", "64Gi"), "missing", "64.5 GiB"),
        (quotas, tight("requests.nvidia.com/gpu", "0"), "missing", "preset gpu1"),
        (nodes, drop("nodes", "", "gpus"), "doubtful", "no label kind=h100"),
        (nodes, fewer_gpus, "doubtful", "0 of nvidia.com/gpu, not 1"),
        (secrets, drop("secrets", "aira", "s3-login"), "missing", "Secret s3-login"),
        (kubeflow, old, "missing", "2.16 or newer"),
        (mlflow, away, "missing", "answers 404"),
        (candidates, labels("aira-sandbox"), "missing", "enforce=restricted"),
        (candidates, drop("networkpolicies", "aira-sandbox", "closed"), "missing", "default deny"),
        (candidates, opened, "missing", "policy open opens"),
        (candidates, drop("runtimeclasses", "", "gvisor"), "missing", "RuntimeClass gvisor"),
    ],
)
def test_what_is_taken_away_is_found(
    check: Check, spoil: Callable[[World], None], level: str, words: str, world: World
) -> None:
    before = world.found(check)
    assert {each.level for each in before} == {"good"}, before
    spoil(world)
    found = world.found(check)
    assert any(each.level == level and words in each.text for each in found), found


@pytest.mark.parametrize("scope", [{"scopes": ["BestEffort"]}, {"scopeSelector": {"matchExpressions": []}}])
def test_a_quota_of_other_pods_is_no_matter(scope: dict[str, Any], world: World) -> None:
    world.kubernetes.put(thing("v1", "ResourceQuota", "tight", spec={"hard": {"limits.memory": "1Gi"}, **scope}))
    assert {each.level for each in world.found(quotas)} == {"good"}


def test_keys_of_secrets_are_named_and_never_shown(world: World) -> None:
    login = {"name": "s3-login", "variables": {"AWS_ACCESS_KEY_ID": "idd"}}
    world.cluster = cluster_of(world.pipelines.url, world.tracking.url, s3=login)
    (found,) = world.found(secrets)
    assert found.level == "missing"
    assert "no key 'idd' for AWS_ACCESS_KEY_ID" in found.text
    assert "hidden" not in found.text


def test_who_may_not_look_is_told_so_and_the_rest_goes_on(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a task in a pod would, which knows its own rights alone."""
    me = account("aira", "aira-pipeline")
    monkeypatch.setenv("KUBECONFIG", str(world.kubernetes.kubeconfig(tmp_path / "pod", me)))
    for check in (nodes, secrets, candidates):
        assert {each.level for each in world.found(check)} <= {"unknown", "good"}, check
        assert any("administrator" in each.text for each in world.found(check)), check
    levels = {each.area: each.level for each in world.found(account_rights)}
    assert levels == {
        "rights of aira-pipeline": "good",
        "rights of aira-submitter": "unknown",
        "rights of aira-sweep": "unknown",
    }


def test_an_address_within_the_cluster_is_no_fault_of_the_cluster(world: World) -> None:
    changed = {"kubeflow": {"api": "http://ml-pipeline.kubeflow.svc.cluster.local:8888"}}
    changed |= {"tracking": {"uri": "http://mlflow.kubeflow.svc"}}
    world.cluster = world.cluster.model_validate({**world.cluster.model_dump(), **changed})
    assert [each.level for each in world.found(kubeflow)] == ["unknown"]
    assert [each.level for each in world.found(mlflow)] == ["unknown"]


def test_a_limit_of_parameters_is_read_where_it_may_be(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = {"kubeflow": {"api": "http://ml-pipeline.kubeflow.svc:8888", "token": "/no/such/token"}}
    world.cluster = world.cluster.model_validate({**world.cluster.model_dump(), **changed})
    place = replace(world.place(), inside=True)
    monkeypatch.setattr("aira_lib.remote.doctor.services.Rest.read", lambda *_: {"tag_name": "2.17.0"})
    monkeypatch.setattr("aira_lib.remote.doctor.services.RunsApi.list", lambda *_, **__: [])
    assert any("50,000 bytes" in each.text for each in kubeflow(place))


def test_a_store_that_cannot_be_reached_is_missing(world: World, s3_env: str) -> None:
    world.cluster = cluster_of(world.pipelines.url, world.tracking.url, "s3://no-such-bucket/runs")
    (found,) = world.found(store)
    assert found.level == "missing"
    assert "no-such-bucket" in found.text


def test_rights_are_those_that_were_asked_for(world: World) -> None:
    """Each as `kubectl auth can-i` has it, once."""
    every = [str(right) for role in roles(world.cluster) for right in rights(role)]
    assert "create leases.coordination.k8s.io in aira" in every
    assert "get secrets/mlpipeline-minio-artifact in aira" in every
    assert not any("secrets in" in right or "*" in right for right in every)


@pytest.mark.parametrize("text", ["500m", "16", "1Ti", "64Gi", "2k", "1.5", "0"])
def test_quantities_are_what_another_reader_takes_them_for(text: str) -> None:
    assert amount(text) == another_amount(text)


def test_the_command_wants_a_clusters_file_and_prints_a_line_a_finding(world: World, tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump(world.cluster.model_dump(mode="json")))
    found = aira("doctor", "--cluster", str(file), COLUMNS="200", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert (found.code, found.err) == (0, "")
    assert "rights of aira-pipeline" in found.out
    drop("secrets", "aira", "s3-login")(world)
    again = aira("doctor", "--cluster", COLUMNS="200", AIRA_CLUSTER=str(file), AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert again.code == 1
    assert "no Secret s3-login" in again.out
    for wrong, words in ((("doctor", "--cluster"), "AIRA_CLUSTER"), (("doctor", str(file)), "behind --cluster")):
        refused = aira(*wrong)
        assert refused.code == 2
        assert words in refused.err


def test_every_check_is_run() -> None:
    assert len(set(CHECKS)) == len(CHECKS)
    assert {kubernetes_version, trainer, account_rights, quotas, nodes, secrets, store, mlflow, candidates} <= set(
        CHECKS
    )
