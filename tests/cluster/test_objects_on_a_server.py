"""An API server takes all that AIRA makes: every object of the charts, and the manifests of jobs and candidates."""

from pathlib import Path
from typing import Any

import pytest

from aira_lib.cluster.refusals import Refused
from aira_lib.cluster.section import Cluster
from aira_lib.launch.job import Job
from aira_lib.launch.trainjob_manifest import manifest as job_manifest
from aira_lib.sandbox.manifest import Need
from aira_lib.sandbox.manifest import manifest as pod_manifest
from aira_lib.study import CandidateLimits
from tests.builders import CLUSTER
from tests.charts.aira_chart import FULL, MINIMAL, Object, objects, with_values
from tests.charts.test_aira_runs_chart import written
from tests.cluster.server import Server
from tests.helm import rendered

IMAGE = "registry.example/aira-cpu@sha256:" + "a" * 64
RUN_FILE = "name: smoke\npipeline: aira-smoke\npreset: smoke\n"
JOB = Job(
    name="a-point-0123456789ab", command=("python", "-m", "train"), nodes=2, ranks_per_node=8, gpus_per_node=8,
    deadline_seconds=7200, study="a", unit="pretrain a s0",
)  # fmt: skip


def of_the_chart(server: Server, base: Object) -> list[Object]:
    """The chart `aira`, for the server's namespaces, which are there already."""
    candidates = {**base["cluster"].get("candidates", {}), "namespace": server.candidates}
    values = with_values(
        base,
        cluster__kubeflow__namespace=server.runs,
        cluster__candidates=candidates,
        namespaces={"runs": {"create": False}, "candidates": {"create": False}},
    )
    return [each for each in objects(values) if each["kind"] != "Namespace"]


def cluster_of(server: Server, **changes: Any) -> Cluster:
    candidates, kubeflow = {"namespace": server.candidates}, {"namespace": server.runs}
    return Cluster.model_validate({**CLUSTER, "candidates": candidates, "kubeflow": kubeflow, **changes})


def applied(server: Server, found: list[Object]) -> None:
    """Apply objects without keeping them; kinds that the server lacks are told when all others were taken."""
    lacking = set()
    for each in found:
        if server.kind(each["apiVersion"], each["kind"]) is None:
            lacking.add(f"{each['kind']} ({each['apiVersion']})")
            continue
        server.apply(each)
    if lacking:
        pytest.skip(f"{len(found)} objects but those of {', '.join(sorted(lacking))} were taken, which are not served")


@pytest.mark.parametrize("values", [MINIMAL, FULL], ids=["minimal", "full"])
def test_every_object_of_the_chart_is_taken(values: Object, server: Server) -> None:
    applied(server, of_the_chart(server, values))


def test_every_object_of_a_run_file_is_taken(server: Server, tmp_path: Path) -> None:
    chart = written(tmp_path, {"smoke.yaml": RUN_FILE})
    applied(server, rendered(chart, "--namespace", server.runs, "--set", f"image={IMAGE}"))


def test_a_field_that_is_not_known_is_refused(server: Server) -> None:
    """Else the tests above would say nothing."""
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "dada": {}}
    if not server.real:
        pytest.skip("the fake knows the fields of custom resources alone")
    with pytest.raises(Refused, match="dada"):
        server.apply(config)


def test_a_training_of_several_nodes_is_taken(server: Server) -> None:
    made = job_manifest(JOB, cluster_of(server))
    for each in of_the_chart(server, FULL):
        if each["kind"] == "TrainingRuntime" and server.kind(each["apiVersion"], each["kind"]):
            server.apply(each, dry_run=False)  # Trainer refuses jobs of a runtime that is not there
    applied(server, [made])
    wrong = {**made, "spec": {**made["spec"], "podSpecOverrides": []}}
    with pytest.raises(Refused, match="podSpecOverrides"):
        server.apply(wrong)


def test_a_candidates_pod_is_taken_by_a_namespace_that_wants_restricted_ones(server: Server) -> None:
    made = pod_manifest("candidate", Need(CandidateLimits(), 60.0, 1 << 20, "/work"), cluster_of(server), None)
    server.create(made, dry_run=True)
    if server.real:
        pod = {**made["spec"], "hostNetwork": True}
        with pytest.raises(Refused, match="restricted"):
            server.create({**made, "spec": pod}, dry_run=True)


def test_a_job_that_is_there_does_not_change(server: Server, tmp_path: Path) -> None:
    """So an object of a run file is named by its content."""
    chart = written(tmp_path, {"smoke.yaml": RUN_FILE})
    (job,) = (
        each for each in rendered(chart, "--namespace", server.runs, "--set", f"image={IMAGE}") if each["kind"] == "Job"
    )
    server.apply({**job, "spec": {**job["spec"], "suspend": True}}, dry_run=False)
    template = job["spec"]["template"]
    other = {**template, "spec": {**template["spec"], "terminationGracePeriodSeconds": 7}}
    with pytest.raises(Refused, match="immutable"):
        server.apply({**job, "spec": {**job["spec"], "suspend": True, "template": other}}, dry_run=False)
