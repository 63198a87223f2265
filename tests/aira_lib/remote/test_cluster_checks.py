"""What a cluster cannot run is refused as a study is compiled, in one line that says how to mend it."""

from pathlib import Path
from typing import Any

import pytest

from aira_lib.cluster.section import Cluster
from aira_lib.errors import UserError
from aira_lib.remote.checks import check_cluster
from aira_lib.study.reading import load_study, parse_study
from tests.builders import CLUSTER, TINY_STUDY

ROOT = Path(__file__).parents[3]
HERE = Cluster.model_validate(CLUSTER)


def _refusal(study: dict[str, Any], **cluster: Any) -> str:
    with pytest.raises(UserError) as error:
        check_cluster(parse_study({**TINY_STUDY, **study}, "x"), Cluster.model_validate({**CLUSTER, **cluster}))
    assert "\n" not in str(error.value)
    return str(error.value)


def _agent(model: str) -> list[dict[str, Any]]:
    return [{"model": model, "seeds": 1, "steps": 3}]


def test_a_package_that_an_image_lacks_is_named_with_the_image() -> None:
    said = _refusal({"agents": _agent("bo-one-shot")})
    assert "model 'bo-one-shot' needs the extra 'bo', which image 'cpu' of stage search lacks" in said
    more = {"cpu": [*HERE.images.extras_of("cpu"), "bo"]}
    study = parse_study({**TINY_STUDY, "agents": _agent("bo-one-shot")}, "x")
    check_cluster(study, Cluster.model_validate({**CLUSTER, "images": {**CLUSTER["images"], "extras": more}}))


def test_the_study_that_compares_baselines_wants_an_image_of_its_own() -> None:
    with pytest.raises(UserError, match="extra 'bo'"):
        check_cluster(load_study(ROOT / "pipelines/compose/comparison.yaml"), HERE)


def test_models_want_a_secret_that_is_named() -> None:
    assert "names no secret with keys of models" in _refusal({"agents": _agent("openai/gpt-5")}, models=None)
    check_cluster(parse_study({**TINY_STUDY, "agents": _agent("openai/gpt-5")}, "x"), HERE)


def test_several_nodes_want_kubeflow_trainer() -> None:
    resources = {"pretrain": {"nodes": 2, "gpus_per_node": 8}}
    said = _refusal({"resources": resources, "pretrain": {**TINY_STUDY["pretrain"], "trainer": "fsdp"}}, training=None)
    assert "2 nodes" in said
    assert "training" in said


@pytest.mark.parametrize(
    "study",
    [
        {"pretrain": {"data": {"name": "shards", "shards": "data/shards"}}},
        {"pretrain": {"data": {"name": "files", "paths": ["text"]}}},
        {"proxy": {**TINY_STUDY["proxy"], "language": {"paths": ["text"]}}},
        {"downstream": {"data": "items"}},
    ],
)
def test_files_of_this_machine_are_none_of_a_pods(study: dict[str, Any]) -> None:
    assert "is a path of this machine, and pods have others" in _refusal(study)


def test_a_name_that_no_label_can_have_is_refused_before_a_pod_is() -> None:
    assert "'tiny-' ends in a dash" in _refusal({"name": "tiny-"})


def test_the_papers_study_runs_once_its_shards_lie_in_a_bucket() -> None:
    paper = load_study(ROOT / "pipelines/compose/paper.yaml")
    with pytest.raises(UserError, match="data/dclm-baseline-llama3"):
        check_cluster(paper, HERE)
    data = paper.pretrain.data.model_copy(update={"shards": "s3://bucket/dclm"})
    pretrain = paper.pretrain.model_copy(update={"data": data})
    check_cluster(paper.model_copy(update={"pretrain": pretrain}), HERE)


def test_items_of_downstream_tasks_are_in_a_bucket_and_their_image_has_the_harness() -> None:
    said = _refusal({"downstream": {}})
    assert said.startswith("downstream.data: pods have no folder of this machine; copy the one that `make eval-data`")
    asking = {**TINY_STUDY, "downstream": {"data": "s3://bucket/items"}}
    check_cluster(parse_study(asking, "x"), HERE)
    without = {**CLUSTER["images"], "extras": {"eval": ["kfp"]}}
    lacks = "scoring downstream tasks needs the extra 'eval', which image 'eval' of stage downstream lacks"
    assert lacks in _refusal({"downstream": {"data": "s3://bucket/items"}}, images=without)
    check_cluster(parse_study(TINY_STUDY, "x"), Cluster.model_validate({**CLUSTER, "images": without}))
