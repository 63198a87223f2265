"""Compiled pipelines in the chart `aira`: they go through it whole, outlive it, and ask for what it makes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts.aira_chart import FULL, PIPELINE, WITH_PIPELINE, Object, objects, one, refusal, with_values


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The smoke pipeline as Kubernetes objects, compiled from what the chart says of the cluster."""
    from aira_lib.cluster.reading import load_cluster
    from pipelines.compiling import write_pipeline
    from pipelines.smoke.pipeline import FORM, smoke_pipeline

    folder: Path = tmp_path_factory.mktemp("compiled")
    said = one(objects(FULL), "ConfigMap", "aira-cluster")["data"]["cluster.yaml"]
    (folder / "cluster.yaml").write_text(said)
    cluster = load_cluster(folder / "cluster.yaml")
    file = folder / "smoke.yaml"
    write_pipeline(FORM, cluster, None, smoke_pipeline(cluster, cluster.store), file, kubernetes=True)
    return file.read_text()


@pytest.mark.slow
def test_it_goes_through_the_chart_whole(compiled: str) -> None:
    made = objects(with_values(FULL, pipelines__manifests={"smoke": compiled}))
    for each in yaml.safe_load_all(compiled):
        passed = one(made, each["kind"], each["metadata"]["name"])
        assert passed["spec"] == each["spec"]
        assert each["metadata"]["labels"].items() <= passed["metadata"]["labels"].items()


@pytest.mark.slow
def test_its_pods_find_what_they_name_and_the_policies_know_them(compiled: str) -> None:
    made = objects(FULL)
    maps = {each["metadata"]["name"] for each in made if each["kind"] == "ConfigMap"}
    secrets = {FULL["cluster"][key]["name"]: set(FULL["cluster"][key]["variables"].values())
               for key in ("s3", "mlflow", "models")}  # fmt: skip
    labels = {}
    for name, executor in executors(compiled):
        labels[name] = executor["podMetadata"]["labels"]
        assert labels[name]["aira/stage"]
        assert {each["configMapName"] for each in executor["configMapAsVolume"]} <= maps
        for secret in executor.get("secretAsEnv", []):
            assert {key["secretKey"] for key in secret["keyToEnv"]} <= secrets[secret["secretName"]]
            assert secret["secretName"] != "aira-models" or labels[name]["aira/stage"] == "search"
    wanted = one(made, "PodDefault", "access-ml-pipeline")["spec"]["selector"]["matchLabels"]
    assert labels["exec-begin"].items() >= wanted.items()
    assert not labels["exec-search"].items() >= wanted.items()


def executors(text: str) -> Iterator[tuple[str, Object]]:
    """What the pipeline's pods get, by their tasks."""
    _, version = yaml.safe_load_all(text)
    found: dict[str, Any] = version["spec"]["platformSpec"]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert found
    yield from found.items()


def test_pipelines_stay_when_release_or_file_go_and_come_before_their_versions() -> None:
    made = objects(WITH_PIPELINE)
    pipeline, version = one(made, "Pipeline", "aira-first"), one(made, "PipelineVersion", "aira-first-1")
    for each in (pipeline, version):
        said = each["metadata"]["annotations"]
        assert said["helm.sh/resource-policy"] == "keep"
        assert "Prune=false" in said["argocd.argoproj.io/sync-options"]
        assert each["metadata"]["namespace"] == "team-a"
    waves = [int(each["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"]) for each in (pipeline, version)]
    assert waves[0] < waves[1]
    assert version["metadata"]["annotations"]["of"] == "it"
    assert version["spec"] == {"pipelineName": "aira-first", "pipelineSpec": {"root": {"dag": {}}}}


def test_pipelines_of_another_image_are_not_made() -> None:
    ours, other = (PIPELINE.replace("spec:\n  pipelineName", f"spec:\n  tags: {{image: {image}}}\n  pipelineName")
                   for image in ("a" * 60, "b" * 60))  # fmt: skip
    assert objects(with_values(FULL, pipelines__manifests={"first": ours}))
    said = refusal(with_values(FULL, pipelines__manifests={"first": other}))
    assert "aira-first-1 was compiled for another image than cluster.images.cpu" in said


@pytest.mark.parametrize("text", ["a: [", "kind: Secret\nmetadata: {name: x}\n"])
def test_what_is_no_pipeline_is_not_made(text: str) -> None:
    assert "pipelines: a file " in refusal(with_values(FULL, pipelines__manifests={"first": text}))
