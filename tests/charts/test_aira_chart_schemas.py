"""Every object of the chart `aira` is one that Kubernetes takes: by its published schemas, and by those of the CRDs."""

from typing import Any

import pytest

from tests.charts.aira_chart import FULL, MINIMAL, Object, objects, with_values
from tests.charts.test_aira_chart import WITH_PIPELINE

OLDEST, NEWEST = "1.30", "1.36"
MATRIX = {
    "minimal": MINIMAL,
    "full": FULL,
    "shared": with_values(FULL, network__scope="aira"),
    "bare": with_values(
        MINIMAL,
        cluster__candidates=None,
        network__enabled=False,
        accounts__create=False,
        accounts__roles=False,
        quotas__runs={"hard": {}, "default": {}, "max": {}},
    ),
    "quotas": with_values(FULL, quotas__candidates__max={"memory": "64Gi"}, quotas__runs__default={}),
    "pipelines": WITH_PIPELINE,
}


def is_custom(each: Object) -> bool:
    group = each["apiVersion"].rpartition("/")[0]
    return "." in group and not group.endswith(".k8s.io") or group == "kueue.x-k8s.io"


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", MATRIX)
def test_kubernetes_knows_every_field(name: str, version: str) -> None:
    schemas = pytest.importorskip("kubernetes_validate", reason="the package kubernetes-validate is not installed")
    for each in objects(MATRIX[name]):
        if not is_custom(each):
            schemas.validate(each, version, strict=True)


def test_pods_within_custom_resources_are_pods() -> None:
    schemas = pytest.importorskip("kubernetes_validate", reason="the package kubernetes-validate is not installed")
    for each in objects(FULL):
        if each["kind"] == "TrainingRuntime":
            for job in each["spec"]["template"]["spec"]["replicatedJobs"]:
                as_job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}, **job["template"]}
                schemas.validate({**as_job, "metadata": {"name": "x"}}, NEWEST, strict=True)


@pytest.mark.parametrize("name", MATRIX)
def test_names_are_unique_and_fit(name: str) -> None:
    made = objects(MATRIX[name])
    keys = [(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in made]
    assert len(keys) == len(set(keys))
    assert all(len(key) <= 63 for _, _, key in keys)


@pytest.mark.parametrize("name", MATRIX)
def test_every_object_says_where_it_belongs(name: str) -> None:
    everywhere = {"Namespace", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    for each in objects(MATRIX[name]):
        assert ("namespace" in each["metadata"]) == (each["kind"] not in everywhere), each["kind"]
        labels: dict[str, Any] = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "aira"
