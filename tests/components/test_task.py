"""What a pod is to get stands in the compiled pipeline: bounds, GPUs, volumes, secrets by name."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler, dsl

from aira_lib.cluster.presets import pod_of
from aira_lib.cluster.section import Cluster
from aira_lib.study.reading import parse_study
from components.task import fitted
from tests.builders import CLUSTER, TINY_STUDY

TOLERATED = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
PRESETS = {
    "gpu1": {
        "cores": 7.5, "memory_gib": 60, "gpus": 1, "node_selector": {"gpu": "h100"}, "tolerations": [TOLERATED],
        "deadline_hours": 2, "disk_gib": 30,
    }
}  # fmt: skip


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def nothing() -> str:
    """Do nothing."""
    return ""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    study = parse_study({**TINY_STUDY, "resources": {"search": {"gpus_per_node": 1}}}, "x")
    pod = pod_of("search", study, Cluster.model_validate({**CLUSTER, "presets": PRESETS}))
    path: Path = tmp_path_factory.mktemp("compiled") / "x.yaml"

    @dsl.pipeline(name="one")
    def one() -> None:
        fitted(nothing(), pod, {"aira/study": "tiny"})

    compiler.Compiler().compile(one, str(path))
    spec, platform = yaml.safe_load_all(path.read_text())
    (executor,) = spec["deploymentSpec"]["executors"].values()
    (kubernetes,) = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values()
    return executor["container"], kubernetes


def test_requests_are_limits_and_a_gpu_is_asked_for(compiled: tuple[dict[str, Any], dict[str, Any]]) -> None:
    container, _ = compiled
    resources = container["resources"]
    assert resources["resourceCpuRequest"] == resources["resourceCpuLimit"] == "7500m"
    assert resources["resourceMemoryRequest"] == resources["resourceMemoryLimit"] == f"{60 * 1024}Mi"
    assert resources["accelerator"]["resourceType"] == "nvidia.com/gpu"
    assert resources["accelerator"]["resourceCount"] == "1"
    assert container["image"] == CLUSTER["images"]["train"]


def test_volumes_nodes_and_a_deadline(compiled: tuple[dict[str, Any], dict[str, Any]]) -> None:
    _, pod = compiled
    mounts = {each["mountPath"]: each for each in pod["emptyDirMounts"]}
    assert mounts["/dev/shm"]["medium"] == "Memory"
    assert mounts["/dev/shm"]["sizeLimit"] == f"{15 * 1024}Mi"
    assert mounts["/scratch"]["sizeLimit"] == f"{30 * 1024}Mi"
    assert [each["mountPath"] for each in pod["configMapAsVolume"]] == ["/etc/aira"]
    assert pod["nodeSelector"]["labels"] == {"gpu": "h100"}
    assert pod["tolerations"] == [TOLERATED]
    assert int(pod["activeDeadlineSeconds"]) == 7200
    assert pod["podMetadata"]["labels"] == {"aira/study": "tiny"}


def test_secrets_are_named_and_only_named(compiled: tuple[dict[str, Any], dict[str, Any]]) -> None:
    container, pod = compiled
    shown = {
        (each["secretName"], key["secretKey"], key["envVar"])
        for each in pod["secretAsEnv"]
        for key in each["keyToEnv"]
    }  # fmt: skip
    assert shown == {
        ("aira-s3", "id", "AWS_ACCESS_KEY_ID"),
        ("aira-s3", "key", "AWS_SECRET_ACCESS_KEY"),
        ("aira-models", "openai", "OPENAI_API_KEY"),
    }
    variables = {each["name"]: each["value"] for each in container["env"]}
    assert variables["AIRA_GPUS"] == "1"
    assert variables["AIRA_THREADS"] == "7"
    assert variables["AIRA_CLUSTER"] == "/etc/aira/cluster.yaml"
    assert not {"AWS_ACCESS_KEY_ID", "OPENAI_API_KEY"} & set(variables)
    assert {each["name"] for each in pod["fieldPathAsEnv"]} == {"AIRA_POD", "AIRA_WORKFLOW"}
