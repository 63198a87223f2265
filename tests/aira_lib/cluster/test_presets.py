"""What a pod gets: what the study asks for, the rest from the cluster's preset; each stage its own secrets."""

from typing import Any

import pytest

from aira_lib.cluster.presets import pod_of, waiting_pod
from aira_lib.cluster.section import Cluster
from aira_lib.errors import SpecError
from aira_lib.flow.stage import STAGES
from aira_lib.study import Study
from aira_lib.study.reading import parse_study
from tests.builders import CLUSTER, TINY_STUDY

HERE = Cluster.model_validate(CLUSTER)


def _study(**resources: Any) -> Study:
    return parse_study({**TINY_STUDY, "resources": resources}, "x")


def test_a_study_that_says_nothing_gets_the_smallest_preset_with_bounds_for_all() -> None:
    for stage in STAGES:
        pod = pod_of(stage, _study(), HERE)
        preset = HERE.presets["cpu"]
        assert (pod.preset, pod.cores, pod.memory_gib, pod.gpus) == ("cpu", preset.cores, preset.memory_gib, 0)
        assert pod.shm_gib == preset.memory_gib / 4
        assert pod.deadline_seconds == preset.deadline_hours * 3600
        assert pod.variables["AIRA_THREADS"] == "4"
        assert "AIRA_GPUS" not in pod.variables


@pytest.mark.parametrize(
    ("asked", "preset", "cores", "memory", "threads"),
    [
        ({"gpus_per_node": 1}, "gpu1", 8, 64, "8"),
        ({"gpus_per_node": 8}, "gpu8", 64, 512, "8"),
        ({"gpus_per_node": 4}, "gpu8", 32, 256, "8"),  # half a node's GPUs, and half of all else
        ({"gpus_per_node": 8, "nodes": 2}, "multi-node", 64, 512, "8"),
        ({"gpus_per_node": 1, "cores": 3, "memory_gib": 7}, "gpu1", 3, 7, "3"),
        ({"ranks_per_node": 2, "cores": 5}, "cpu", 5, 16, "2"),
    ],
)
def test_a_preset_follows_from_gpus_and_nodes_and_what_is_asked_for_comes_first(
    asked: dict[str, Any], preset: str, cores: float, memory: float, threads: str
) -> None:
    pod = pod_of("pretrain", _study(pretrain=asked), HERE)
    assert (pod.preset, pod.cores, pod.memory_gib, pod.variables["AIRA_THREADS"]) == (preset, cores, memory, threads)
    assert pod.variables.get("AIRA_GPUS", "0") == str(asked.get("gpus_per_node", 0))
    assert pod.nodes == asked.get("nodes", 1)
    assert pod.shm_gib <= pod.memory_gib


def test_a_scale_may_get_more() -> None:
    study = _study(pretrain={"by_scale": {"nano": {"gpus_per_node": 1, "deadline_hours": 3}}})
    assert pod_of("pretrain", study, HERE, "nano").preset == "gpu1"
    assert pod_of("pretrain", study, HERE, "nano").deadline_seconds == 3 * 3600
    assert pod_of("pretrain", study, HERE).preset == "cpu"


def test_what_a_cluster_lacks_is_refused_with_the_place() -> None:
    with pytest.raises(SpecError, match=r"resources\.pretrain: 16 gpus_per_node, .*'gpu8' has 8"):
        pod_of("pretrain", _study(pretrain={"gpus_per_node": 16}), HERE)
    small = HERE.model_copy(update={"presets": {"cpu": HERE.presets["cpu"]}})
    with pytest.raises(SpecError, match=r"resources\.pretrain at scale nano wants preset 'gpu1', which .*cpu"):
        pod_of("pretrain", _study(pretrain={"gpus_per_node": 1}), small, "nano")


def test_each_stage_has_its_own_secrets_alone_and_no_value_of_any() -> None:
    mlflow = {"name": "aira-mlflow", "variables": {"MLFLOW_TRACKING_TOKEN": "token"}}
    cluster = Cluster.model_validate({**CLUSTER, "mlflow": mlflow})
    for stage in STAGES:
        names = [secret.name for secret in pod_of(stage, _study(), cluster).secrets]
        assert names == ["aira-s3", "aira-mlflow", *(["aira-models"] if stage == "search" else [])]
    waiter = waiting_pod(cluster)
    assert [secret.name for secret in waiter.secrets] == ["aira-s3", "aira-mlflow"]
    assert waiter.variables["MLFLOW_TRACKING_URI"] == cluster.tracking.uri, "it says how the study is"
    assert waiter.deadline_seconds > max(preset.deadline_hours for preset in cluster.presets.values()) * 3600


def test_images_go_by_what_a_stage_needs() -> None:
    study = _study(search={"gpus_per_node": 1})
    names = {stage: pod_of(stage, study, HERE).image_name for stage in STAGES}
    assert names["search"] == "train"
    assert names["evaluate"] == names["downstream"] == "eval"
    assert {names[stage] for stage in ("archive", "aggregate", "report", "pretrain")} == {"cpu"}
    assert pod_of("search", study, HERE).image == HERE.images.train
