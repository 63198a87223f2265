"""Every object of the chart `aira` is one that Kubernetes takes: by its published schemas, and by those of the CRDs."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts.aira_chart import FULL, MINIMAL, WITH_PIPELINE, Object, objects, with_values
from tests.fakes.schemas import problem, unknown

CRDS = Path(__file__).parents[1] / "cluster" / "crds"
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
    ),
    "quotas": with_values(FULL, quotas__candidates__max={"memory": "64Gi"}, quotas__runs={"hard": {"pods": 9}}),
    "pipelines": WITH_PIPELINE,
}


def is_custom(each: Object) -> bool:
    group = each["apiVersion"].rpartition("/")[0]
    return ("." in group and not group.endswith(".k8s.io")) or group == "kueue.x-k8s.io"


@pytest.fixture(scope="module")
def check() -> Callable[[Object, str], None]:
    """Refuses an object that a version of Kubernetes does not take as it is, each once."""
    package = pytest.importorskip("kubernetes_validate", reason="the package kubernetes-validate is not installed")
    package.utils.schema_contents = cache(package.utils.schema_contents)  # megabytes, read for each object

    @cache
    def once(text: str, version: str) -> None:
        package.validate(json.loads(text), version, strict=True)

    return lambda each, version: once(json.dumps(each), version)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", MATRIX)
def test_kubernetes_knows_every_field(name: str, version: str, check: Callable[[Object, str], None]) -> None:
    for each in objects(MATRIX[name]):
        if not is_custom(each):
            check(each, version)


def test_a_field_that_kubernetes_does_not_know_is_found(check: Callable[[Object, str], None]) -> None:
    (policy, *_) = (each for each in objects(FULL) if each["kind"] == "NetworkPolicy")
    with pytest.raises(Exception, match="egres"):
        check({**policy, "spec": {**policy["spec"], "egres": []}}, NEWEST)


@pytest.mark.parametrize("name", MATRIX)
def test_custom_resources_are_as_their_definitions_say(name: str) -> None:
    for each in objects(MATRIX[name]):
        if is_custom(each):
            schema = yaml.safe_load((CRDS / f"{each['kind'].lower()}s.yaml").read_text())
            assert problem(each, schema) == ""
            assert list(unknown(each, schema)) == []


def test_pods_within_custom_resources_are_pods(check: Callable[[Object, str], None]) -> None:
    for each in objects(FULL):
        if each["kind"] == "TrainingRuntime":
            for job in each["spec"]["template"]["spec"]["replicatedJobs"]:
                check(
                    {"apiVersion": "batch/v1", "kind": "Job", "metadata": {}, "spec": job["template"]["spec"]}, NEWEST
                )


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
