"""The chart `aira`: what it makes of values."""

import json
from typing import Any

import pytest
import yaml

from aira_lib import __version__
from aira_lib.cluster.section import Cluster
from charts.document import CHART as CHART_FOLDER
from charts.document import described, readme, schema_text
from charts.values import Values
from tests.charts.aira_chart import (
    CHART,
    DIGEST,
    EVERYTHING,
    FULL,
    MINIMAL,
    WORKFLOW,
    objects,
    one,
    over,
    template,
    with_values,
)
from tests.docs.pages import ROOT, blocks
from tests.helm import helm

DEVELOPMENT = CHART / "values-dev.yaml"
SECRETS = ("aira-s3", "aira-mlflow", "aira-models", "registry")


def cluster_of(values: dict[str, Any]) -> Cluster:
    found = one(objects(values), "ConfigMap", "aira-cluster")
    return Cluster.model_validate(yaml.safe_load(found["data"]["cluster.yaml"]))


def test_page_and_schema_are_those_of_the_values() -> None:
    assert (CHART_FOLDER / "README.md").read_text() == readme()
    assert (CHART_FOLDER / "values.schema.json").read_text() == schema_text()


def test_every_value_has_its_meaning() -> None:
    told = {key for key, _, _ in described()}

    def leaves(part: Any, path: str) -> Any:
        if isinstance(part, dict) and part and path not in told:
            for key, value in part.items():
                yield from leaves(value, f"{path}.{key}".lstrip("."))
        else:
            yield path

    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(leaves(defaults, "")) == told


def test_defaults_are_those_of_the_library() -> None:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    Values.model_validate(defaults)
    values = Cluster.model_validate(defaults["cluster"])
    library = Cluster(store="", images=values.images)
    own = {"candidates", "kubeflow"}  # pods of their own for candidates, and the release's namespace
    assert values.model_dump(exclude=own) == library.model_dump(exclude=own)
    assert values.kubeflow.model_dump(exclude={"namespace"}) == library.kubeflow.model_dump(exclude={"namespace"})


@pytest.mark.parametrize("values", [MINIMAL, FULL], ids=["minimal", "full"])
def test_lint_finds_nothing(values: dict[str, Any], tmp_path: Any) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    done = helm("lint", "--strict", CHART, "--values", file)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pods_read_what_the_values_say() -> None:
    read = cluster_of(FULL)
    asked = FULL["cluster"]
    assert read.store == asked["store"]
    assert read.kubeflow.namespace == "team-a"
    assert read.models is not None
    assert read.models.variables == {"OPENAI_API_KEY": "openai"}
    assert read.presets["multi-node"].node_selector == {"pool": "h100"}
    assert read.presets["multi-node"].cores == 64
    assert read.training is not None
    assert read.training.queue == "discovery"
    assert read.candidates is not None
    assert read.candidates.runtime_class == "gvisor"


def test_values_left_out_are_the_librarys_and_the_release_is_the_namespace() -> None:
    read = cluster_of(MINIMAL)
    assert read.kubeflow.namespace == "aira-system"
    assert read.presets == Cluster(store="", images=read.images).presets
    assert (read.training, read.models) == (None, None)


def test_large_numbers_stay_whole() -> None:
    values = with_values(FULL, cluster__candidates__deadline_seconds=2_592_000)
    read = cluster_of(values)
    assert read.candidates is not None
    assert read.candidates.deadline_seconds == 2_592_000
    assert "<= 2592000" in json.dumps(one(objects(values), "ValidatingAdmissionPolicy", "aira-candidates-aira-sandbox"))


def test_a_preset_and_the_candidates_can_be_taken_away() -> None:
    values = with_values(MINIMAL, cluster__presets__gpu8=None, cluster__candidates=None)
    read = cluster_of(values)
    assert set(read.presets) == {"cpu", "gpu1", "multi-node"}
    assert read.candidates is None
    left = objects(values, [WORKFLOW])
    assert '"aira-sandbox"' not in json.dumps(left)
    assert {each["metadata"].get("namespace") for each in left} == {"aira-system"}


def test_secrets_are_named_and_never_made() -> None:
    made = objects(FULL)
    assert not [each for each in made if each["kind"] == "Secret"]
    told = helm_notes(FULL)
    for name in SECRETS:
        assert name in told


def helm_notes(values: dict[str, Any]) -> str:
    given = yaml.safe_dump({**values, "capabilityChecks": False})
    done = helm("install", "aira", CHART, "--dry-run=client", "--namespace", "x", "--values", "-", given=given)
    if "cluster unreachable" in done.stderr:
        pytest.skip("helm 3 shows notes on a cluster alone")
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("NOTES:")[2]


def test_notes_warn_of_what_is_not_isolated() -> None:
    bare = with_values(MINIMAL, cluster__candidates=None, network__enabled=False)
    assert "searches with a language model are\nrefused" in helm_notes(bare)
    assert "No network policies" in helm_notes(bare)
    assert "share their node's kernel" in helm_notes(MINIMAL)
    assert "kernel" not in helm_notes(FULL)


def test_equal_values_give_equal_bytes() -> None:
    apis = [word for each in EVERYTHING for word in ("--api-versions", each)]
    place = ["aira", CHART, "--namespace", "aira-system"]
    again = helm("template", *place, "--values", "-", *apis, given=yaml.safe_dump(FULL))
    assert again.stdout == template(FULL).stdout


def test_values_on_the_page_of_the_installation_are_values() -> None:
    page = {block.file: yaml.safe_load(block.text) for block in blocks(ROOT / "docs" / "install.md") if block.file}
    minimal, full = page["minimal-values.yaml"], page["full-values.yaml"]
    assert cluster_of(minimal).s3 is not None
    read = cluster_of(over(minimal, full))
    assert (read.confirm_gpu_hours, read.presets["multi-node"].cores, read.presets["multi-node"].gpus) == (500, 96, 8)
    assert read.kubeflow.namespace == "aira-system"


def test_values_for_one_machine_lack_only_images() -> None:
    values = over({"cluster": {"images": MINIMAL["cluster"]["images"]}}, yaml.safe_load(DEVELOPMENT.read_text()))
    read = cluster_of(values)
    assert set(read.presets) == {"cpu"}
    assert read.kubeflow.namespace == "kubeflow"


def test_tasks_that_start_runs_get_a_token_for_kubeflow_alone_where_pods_look_for_it() -> None:
    made = objects(FULL)
    spec = one(made, "PodDefault", "access-ml-pipeline")["spec"]
    assert spec["selector"] == {"matchLabels": {"access-ml-pipeline": "true"}}
    (source,) = spec["volumes"][0]["projected"]["sources"]
    token = source["serviceAccountToken"]
    assert token["audience"] == "pipelines.kubeflow.org"
    (mount,) = spec["volumeMounts"]
    assert f"{mount['mountPath']}/{token['path']}" == cluster_of(FULL).kubeflow.token


def test_the_chart_is_of_this_version() -> None:
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert about["appVersion"] == __version__


def test_images_are_all_by_digest() -> None:
    images = [value for each in objects(FULL) for key, value in entries(each) if key == "image"]
    assert images
    assert all(image.endswith(DIGEST) for image in images)


def entries(part: Any) -> Any:
    """All keys of a tree with their values."""
    if isinstance(part, dict):
        for key, value in part.items():
            yield key, value
            yield from entries(value)
    elif isinstance(part, list):
        for each in part:
            yield from entries(each)


def test_costs_are_told_apart_by_team() -> None:
    made = objects(FULL)
    assert {each["metadata"]["labels"]["aira/team"] for each in made} == {"discovery"}
    assert {each["metadata"]["labels"]["cost-centre"] for each in made} == {"4711"}


def test_namespaces_outlive_the_release() -> None:
    made = [each for each in objects(FULL) if each["kind"] == "Namespace"]
    security = {
        each["metadata"]["name"]: each["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] for each in made
    }
    assert security == {"team-a": "baseline", "aira-sandbox": "restricted"}
    assert all(each["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for each in made)
