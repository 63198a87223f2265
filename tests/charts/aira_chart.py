"""The chart `aira` rendered by the real helm: values that a platform team would write, and the objects they give."""

import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import yaml

from tests.helm import CHARTS, helm

CHART = CHARTS / "aira"
Object = dict[str, Any]

WORKFLOW = "argoproj.io/v1alpha1/Workflow"
ADMISSION = "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy"
RUNTIME = "trainer.kubeflow.org/v1alpha1/TrainingRuntime"
QUEUE = "kueue.x-k8s.io/v1beta2/LocalQueue"
PIPELINES = "pipelines.kubeflow.org/v2beta1/PipelineVersion"
LOGIN = "kubeflow.org/v1alpha1/PodDefault"
EVERYTHING = (WORKFLOW, ADMISSION, RUNTIME, QUEUE, PIPELINES, LOGIN)

DIGEST = "sha256:" + "a" * 64
SANDBOX = f"registry.example/aira-sandbox@{DIGEST}"

MINIMAL: Object = {
    "cluster": {
        "store": "s3://bucket/runs",
        "images": {name: f"registry.example/aira-{name}@{DIGEST}" for name in ("cpu", "train", "eval", "sandbox")},
    },
    "network": {
        "kubernetesApi": {"to": [{"cidr": "10.0.0.1/32"}]},
        "s3": {"to": [{"cidr": "10.1.0.0/16"}]},
    },
}

_FULL: Object = {
    "team": "discovery",
    "labels": {"cost-centre": "4711"},
    "cluster": {
        "kubeflow": {"namespace": "team-a", "ui": "https://kubeflow.example"},
        "tracking": {"uri": "http://mlflow.mlflow.svc:5000", "plugin": True},
        "s3": {"name": "aira-s3", "variables": {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}},
        "mlflow": {"name": "aira-mlflow", "variables": {"MLFLOW_TRACKING_TOKEN": "token"}},
        "models": {"name": "aira-models", "variables": {"OPENAI_API_KEY": "openai"}},
        "environment": {"AWS_REGION": "eu-central-1"},
        "candidates": {"runtime_class": "gvisor", "deadline_seconds": 7200},
        "training": {"runtime": "aira-torch", "queue": "discovery", "priority_class": "normal"},
        "presets": {
            "multi-node": {
                "node_selector": {"pool": "h100"},
                "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            },
        },
    },
    "namespaces": {"runs": {"create": True}},
    "accounts": {
        "imagePullSecrets": ["registry"],
        "podDefault": True,
        "annotations": {"pipeline": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/aira"}},
    },
    "quotas": {
        "runs": {
            "hard": {"requests.nvidia.com/gpu": 64, "limits.cpu": 800},
            "default": {"cpu": "500m"},
            "max": {"memory": "1Ti"},
        }
    },
    "network": {
        "mlflow": {"to": [{"namespace": "mlflow", "pods": {"app": "mlflow"}}], "ports": [5000]},
        "models": {"to": [{"cidr": "10.9.0.1/32"}]},
    },
    "runtime": {"addCapabilities": ["IPC_LOCK"], "environment": {"NCCL_SOCKET_IFNAME": "eth0"}},
    "queue": {"clusterQueue": "gpus"},
}


def with_values(base: Mapping[str, Any], **changes: Any) -> Object:
    """Values with others over them; `a__b=value` is `{"a": {"b": value}}`."""
    nested: Object = {}
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = nested
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return over(base, nested)


def over(base: Mapping[str, Any], other: Mapping[str, Any]) -> Object:
    """Values with others over them, as helm lays one file of values over another."""
    both = {key: over(base[key], other[key]) for key in base.keys() & other.keys()
            if isinstance(base[key], Mapping) and isinstance(other[key], Mapping)}  # fmt: skip
    return {**base, **other, **both}


FULL = over(MINIMAL, _FULL)


PIPELINE = """\
apiVersion: pipelines.kubeflow.org/v2beta1
kind: Pipeline
metadata:
  name: aira-first
spec:
  displayName: first
---
apiVersion: pipelines.kubeflow.org/v2beta1
kind: PipelineVersion
metadata:
  name: aira-first-1
  annotations: {of: it}
spec:
  pipelineName: aira-first
  pipelineSpec: {root: {dag: {}}}
"""
WITH_PIPELINE = with_values(FULL, pipelines__manifests={"first": PIPELINE})
"""Values with a compiled pipeline, as `aira compile --kubernetes` writes it."""


def template(values: Mapping[str, Any], apis: Iterable[str] = EVERYTHING) -> "subprocess.CompletedProcess[str]":
    """What `helm template` says, in a release `aira` in namespace `aira-system`."""
    return _template(yaml.safe_dump(dict(values)), tuple(apis))


@cache
def _template(values: str, apis: tuple[str, ...]) -> "subprocess.CompletedProcess[str]":
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(values)
        file.flush()
        has = [word for api in apis for word in ("--api-versions", api)]
        return helm("template", "aira", CHART, "--namespace", "aira-system", "--values", file.name, *has)


def objects(values: Mapping[str, Any], apis: Iterable[str] = EVERYTHING) -> list[Object]:
    """The objects that the chart gives; they are shared by tests, which leave them as they are."""
    made = template(values, apis)
    assert made.returncode == 0, made.stderr
    return _parsed(made.stdout)


@cache
def _parsed(text: str) -> list[Object]:
    return [each for each in yaml.load_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if each]


def refusal(values: Mapping[str, Any], apis: Iterable[str] = EVERYTHING) -> str:
    """What helm says that refuses the values."""
    made = template(values, apis)
    assert made.returncode != 0, "nothing was refused"
    return made.stderr


def one(found: Iterable[Object], kind: str, name: str, namespace: str | None = None) -> Object:
    """The object of that kind, name and, where it matters, namespace."""
    (only,) = (
        each
        for each in found
        if each["kind"] == kind
        and each["metadata"]["name"] == name
        and namespace in (None, each["metadata"].get("namespace"))
    )
    return only
