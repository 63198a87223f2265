"""A pipeline that was compiled for a cluster of the chart `aira` goes through it whole, and asks for what it makes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts.aira_chart import FULL, Object, objects, one, with_values


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
