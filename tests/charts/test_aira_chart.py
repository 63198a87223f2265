"""The chart `aira`: what it makes of values, and what it refuses."""

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
    ADMISSION,
    CHART,
    DIGEST,
    EVERYTHING,
    FULL,
    LOGIN,
    MINIMAL,
    PIPELINES,
    QUEUE,
    RUNTIME,
    WORKFLOW,
    objects,
    one,
    over,
    refusal,
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
        ({"cluster__mlflow__name": ""}, "cluster.mlflow", "1"),
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
