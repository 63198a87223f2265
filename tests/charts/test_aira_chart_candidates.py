"""Pods of agents' programs and the sweep after them, by what the chart `aira` allows and demands."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from aira_lib.cluster.reading import load_cluster
from aira_lib.cluster.section import MOUNTED, VARIABLE, Cluster
from aira_lib.sandbox.manifest import Need, manifest
from aira_lib.sandbox.parent import Parent
from aira_lib.sandbox.sweep import sweep_here
from aira_lib.study import CandidateLimits
from tests.charts.aira_chart import FULL, MINIMAL, Object, objects, one, with_values
from tests.charts.chart_pods import refused, restricted
from tests.fakes.kubernetes import FakeKubernetes

ANYWHERE = with_values(MINIMAL, cluster__candidates__user=None, cluster__candidates__user_namespace=True)


def settings(values: Object, folder: Path) -> Path:
    file = folder / "cluster.yaml"
    file.write_text(one(objects(values), "ConfigMap", "aira-cluster")["data"]["cluster.yaml"])
    return file


def pod(cluster: Cluster, name: str = "candidate-1", uid: str = "u", gpu: bool = False) -> Object:
    need = Need(CandidateLimits(gpu=gpu), 60, 1000, "/work")
    return manifest(name, need, cluster, Parent(cluster.kubeflow.namespace, "search", uid))


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("values", [MINIMAL, FULL, ANYWHERE], ids=["minimal", "full", "anywhere"])
def test_pods_of_agents_programs_are_let_in(values: Object, gpu: bool, tmp_path: Path) -> None:
    made = pod(load_cluster(settings(values, tmp_path)), gpu=gpu)
    assert refused(made["spec"], values) == []
    assert restricted(made["spec"]) == []
    account = one(objects(values), "ServiceAccount", made["spec"]["serviceAccountName"], made["metadata"]["namespace"])
    assert account["automountServiceAccountToken"] is False


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubernetes]:
    """A cluster with what the chart makes, as the sweep's own pod sees it."""
    with FakeKubernetes(namespaces=()) as cluster:
        for each in objects(FULL):
            if each["kind"] in ("Namespace", "ServiceAccount", "Role", "RoleBinding"):
                cluster.put(each)
        user = "system:serviceaccount:team-a:aira-sweep"
        config = cluster.kubeconfig(tmp_path / "config", user=user, namespace="team-a")
        monkeypatch.setenv("KUBECONFIG", str(config))
        monkeypatch.setenv(VARIABLE, str(settings(FULL, tmp_path)))
        yield cluster


def test_the_sweep_may_do_what_it_does(server: FakeKubernetes, tmp_path: Path) -> None:
    alive = server.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "search", "namespace": "team-a"},
                        "spec": {"containers": [{"name": "main", "image": "x"}]}})  # fmt: skip
    cluster = load_cluster(settings(FULL, tmp_path))
    server.put(pod(cluster, "candidate-waited-for", alive["metadata"]["uid"]))
    server.put(pod(cluster, "candidate-left-over", "another"))
    assert sweep_here() == ["candidate-left-over"]
    assert {each["metadata"]["name"] for each in server.all_of("pods", "aira-sandbox")} == {"candidate-waited-for"}
    assert server.all_of("pods", "team-a")


def test_the_sweeps_pod_finds_what_it_reads() -> None:
    job = one(objects(FULL), "CronJob", "aira-sweep")["spec"]["jobTemplate"]["spec"]["template"]
    (container,) = job["spec"]["containers"]
    assert container["args"] == ["python", "-m", "aira_lib.sandbox.sweep"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    assert variables[VARIABLE] == MOUNTED
    mounted: dict[str, Any] = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    volumes = {each["name"]: each for each in job["spec"]["volumes"]}
    assert volumes[mounted[str(Path(MOUNTED).parent)]]["configMap"] == {"name": "aira-cluster"}
    assert variables["AIRA_SCRATCH"] in mounted
    assert yaml.safe_dump(job).count("secret") == 0
