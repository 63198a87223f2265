"""The file of a cluster: strict, by digest, with a store that all pods share."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from aira_lib.cluster.reading import cluster_here, load_cluster
from aira_lib.errors import SpecError, UserError
from tests.builders import CLUSTER


def _written(folder: Path, **other: Any) -> Path:
    path = folder / "cluster.yaml"
    path.write_text(yaml.safe_dump({**CLUSTER, **other}))
    return path


def test_a_file_is_read_and_found_in_pods_by_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _written(tmp_path, environment={"AWS_REGION": "eu-central-1"})
    read = load_cluster(path)
    assert read.images.cpu == CLUSTER["images"]["cpu"]
    assert read.presets["gpu8"].gpus == 8
    monkeypatch.delenv("AIRA_CLUSTER", raising=False)
    assert cluster_here() is None
    monkeypatch.setenv("AIRA_CLUSTER", str(path))
    assert cluster_here() == read


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"store": "runs"}, "store: 'runs' is a folder"),
        ({"store": "s3://"}, "store: 's3://' is no bucket with a prefix"),
        ({"store": "s3://bucket/a/../b"}, "store: 's3://bucket/a/../b' is no bucket with a prefix"),
        ({"store": "s3://bucket/a?versionId=1"}, "is no bucket with a prefix"),
        ({"kubeflow": {"namespace": "Team A"}}, "kubeflow.namespace: 'Team A' is no namespace"),
        ({"kubeflow": {"namespace": "a" * 64}}, "is no namespace"),
        ({"candidates": {"runtime_class": "x' || true || '"}}, "candidates.runtime_class: string should match pattern"),
        ({"candidates": {"namespace": "A"}}, "candidates.namespace: string should match pattern"),
        ({"s3": {"name": "aira s3", "variables": {}}}, "s3.name: string should match pattern"),
        ({"s3": {"name": "aira-s3", "variables": {"A-B": "id"}}}, "s3.variables: 'A-B' is no name of a variable"),
        ({"environment": {"OPENAI_API_KEY": "sk"}}, "environment: OPENAI_API_KEY looks like a secret"),
        ({"environment": {"AWS_ACCESS_KEY_ID": "id"}}, "environment: AWS_ACCESS_KEY_ID looks like a secret"),
        ({"tracking": {"uri": "https://me:secret@mlflow"}}, "tracking.uri: a login is no part of an address"),
        (
            {"images": {**CLUSTER["images"], "cpu": "repo/aira:latest"}},
            "images.cpu: 'repo/aira:latest' is not named by",
        ),
        ({"imgaes": {}}, "unknown key 'imgaes'; did you mean 'images'?"),
        ({"presets": {"gpu2": {"cores": 1, "memory_gib": 1}}}, "presets.gpu2"),
        ({"kubeflow": {"apo": "x"}}, "unknown key 'kubeflow.apo'; did you mean 'api'?"),
        ({"s3": {"name": "x"}}, "key 's3.variables' is missing"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_with_its_place(tmp_path: Path, wrong: dict[str, Any], line: str) -> None:
    with pytest.raises(SpecError) as error:
        load_cluster(_written(tmp_path, **wrong))
    assert line in str(error.value)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(tmp_path))


@pytest.mark.parametrize("name", ["AWS_WEB_IDENTITY_TOKEN_FILE", "TOKENIZERS_PARALLELISM", "AWS_ENDPOINT_URL"])
def test_variables_that_only_sound_like_secrets_are_taken(tmp_path: Path, name: str) -> None:
    assert load_cluster(_written(tmp_path, environment={name: "x"}, store="s3://b.cket/a.b/c/")).environment == {
        name: "x"
    }


def test_no_file_and_no_mapping_are_said_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        load_cluster(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(SpecError, match="mapping"):
        load_cluster(tmp_path / "list.yaml")
