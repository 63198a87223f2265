"""The chart `aira`: what it refuses, each in a line that says what to do."""

from typing import Any

import pytest

from tests.charts.aira_chart import (
    ADMISSION,
    EVERYTHING,
    FULL,
    LOGIN,
    PIPELINES,
    QUEUE,
    RUNTIME,
    WITH_PIPELINE,
    WORKFLOW,
    objects,
    one,
    refusal,
    with_values,
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "place", "word"),
    [
        ({"cluster__store": "runs"}, "cluster.store", "^s3://"),
        ({"cluster__images__cpu": "aira:latest"}, "cluster.images.cpu", "@sha256:"),
        ({"cluster__images__extras": {"gpu": []}}, "", "sandbox"),
        ({"cluster__kubeflow__expriment": "a"}, "cluster.kubeflow", "expriment"),
        ({"cluster__presets__gpu2": {"cores": 1}}, "cluster.presets", "gpu8"),
        ({"cluster__presets__gpu1__cores": 0}, "cluster.presets.gpu1.cores", "0"),
        ({"cluster__candidates__deadline_seconds": 5}, "cluster.candidates", "60"),
        ({"cluster__mlflow__name": ""}, "cluster.mlflow", "pattern"),
        ({"cluster__candidates__runtime_class": "x' || true || '"}, "cluster.candidates", "pattern"),
        ({"cluster__images__sandbox": "a'b@sha256:" + "0" * 64}, "cluster.images.sandbox", "pattern"),
        ({"cluster__store": "s3://bucket/a/../b"}, "cluster.store", "^s3://"),
        ({"netwrok": {}}, "", "netwrok"),
        ({"team": "a team"}, "team", "pattern"),
        ({"network__scope": "pods"}, "network.scope", "namespace"),
        ({"network__s3__to": [{}]}, "network.s3.to.0", "cidr"),
        ({"network__s3__ports": [70000]}, "network.s3.ports.0", "65"),
        ({"runtime__maxRestarts": -1}, "runtime.maxRestarts", "0"),
        ({"namespaces__runs__podSecurity": "strict"}, "namespaces.runs.podSecurity", "restricted"),
    ],
)
def test_the_schema_refuses(change: dict[str, Any], place: str, word: str) -> None:
    said = refusal(with_values(FULL, **change))
    assert "values don't meet the specifications of the schema" in said
    assert place in said.replace("/", ".")  # as helm 4 says it, or as helm 3 does
    assert word in said


def test_what_is_required_is_asked_for() -> None:
    said = refusal({}).replace("/", ".")
    for key in ("store", "images.cpu", "images.train", "images.eval", "images.sandbox"):
        assert f"cluster.{key}" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cluster__candidates__namespace": "team-a"}, 'would share namespace "team-a", with the runs'),
        ({"cluster__environment": {"OPENAI_API_KEY": "sk"}}, "cluster.environment: OPENAI_API_KEY looks like a secret"),
        ({"cluster__tracking__uri": "https://me:sk@mlflow"}, "cluster.tracking.uri: a login is no part of an address"),
        ({"cluster__kubeflow__namespace": "aira-system"}, "is the release's own namespace"),
        ({"cluster__kubeflow__namespace": "kubeflow"}, "would cut off Kubeflow itself; say network.scope=aira"),
        ({"network__kubernetesApi__to": []}, "network.kubernetesApi.to: name the API server's addresses"),
        ({"network__s3__to": []}, "network.s3.to: name where the store is"),
        ({"network__mlflow__to": []}, "network.mlflow.to: cluster.tracking.uri is set"),
        ({"network__models__to": []}, "network.models.to: cluster.models is set"),
        ({"queue__clusterQueue": ""}, 'queue.clusterQueue: cluster.training.queue is "discovery"'),
    ],
)
def test_what_could_not_work_is_one_line(change: dict[str, Any], words: str) -> None:
    said = refusal(with_values(FULL, **change))
    assert words in said
    assert len([line for line in said.splitlines() if words in line]) == 1


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        (WORKFLOW, "no argoproj.io/v1alpha1 Workflow: install Kubeflow Pipelines"),
        (ADMISSION, "ValidatingAdmissionPolicy, which Kubernetes has since 1.30; say candidates.admission=false"),
        (RUNTIME, "no trainer.kubeflow.org/v1alpha1 TrainingRuntime: install Kubeflow Trainer 2.2 or newer"),
        (QUEUE, "no kueue.x-k8s.io LocalQueue: install Kueue"),
        (LOGIN, "no kubeflow.org/v1alpha1 PodDefault, which comes with Kubeflow's multi-user mode"),
        (PIPELINES, "no pipelines.kubeflow.org/v2beta1 PipelineVersion"),
    ],
)
def test_a_capability_that_is_not_there_is_one_line(missing: str, words: str) -> None:
    assert words in refusal(WITH_PIPELINE, [api for api in EVERYTHING if api != missing])


@pytest.mark.parametrize(
    ("missing", "off"),
    [
        (ADMISSION, {"candidates__admission": False}),
        (ADMISSION, {"cluster__candidates": None}),
        (RUNTIME, {"cluster__training": None}),
        (RUNTIME, {"runtime__create": False}),
        (QUEUE, {"cluster__training__queue": None}),
        (QUEUE, {"queue__create": False}),
        (LOGIN, {"accounts__podDefault": False}),
        (PIPELINES, {"pipelines__create": False}),
        (WORKFLOW, {"capabilityChecks": False}),
    ],
)
def test_what_is_turned_off_needs_no_capability(missing: str, off: dict[str, Any]) -> None:
    kind = missing.rpartition("/")[2]
    made = objects(with_values(WITH_PIPELINE, **off), [api for api in EVERYTHING if api != missing])
    assert kind not in {each["kind"] for each in made}


def test_an_older_kueue_is_spoken_to_in_its_own_version() -> None:
    older = [api.replace("v1beta2", "v1beta1") for api in EVERYTHING]
    assert one(objects(FULL, older), "LocalQueue", "discovery")["apiVersion"] == "kueue.x-k8s.io/v1beta1"
