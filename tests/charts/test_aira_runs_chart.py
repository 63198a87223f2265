"""The chart `aira-runs`: equal files are equal objects, changed ones are others, and none is ever changed in place."""

import json
import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from aira_lib.cluster.reading import BY_DIGEST
from aira_lib.cluster.section import Cluster
from aira_lib.remote.run_file import RunFile, load_run_file
from tests.builders import CLUSTER
from tests.charts import aira_chart
from tests.fakes.http import Json
from tests.fakes.kubernetes import FakeKubernetes
from tests.helm import CHARTS, helm, rendered

CHART = CHARTS / "aira-runs"
IMAGE = "registry.example/aira-cpu@sha256:" + "a" * 64
OTHER = "registry.example/aira-cpu@sha256:" + "b" * 64
FILE = "name: smoke\npipeline: aira-smoke\npreset: smoke\n"

Chart = Callable[..., list[Json]]


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Chart:
    """Renders the chart with some run files, by their names; the same only once."""
    folder = tmp_path_factory.mktemp("chart")

    @cache
    def once(runs: tuple[tuple[str, str], ...], arguments: tuple[str, ...]) -> str:
        return json.dumps(rendered(written(folder, dict(runs)), "--namespace", "aira", *arguments))

    def render(runs: dict[str, str], *arguments: str, image: str = IMAGE) -> list[Json]:
        made: list[Json] = json.loads(once(tuple(runs.items()), ("--set", f"image={image}", *arguments)))
        return made

    return render


def written(folder: Path, runs: dict[str, str]) -> Path:
    place = folder / "aira-runs"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(CHART, place)
    for name, text in runs.items():
        (place / "runs" / name).write_text(text)
    return place


def names(objects: list[Json]) -> dict[str, str]:
    """By kind, of the one object there is of each."""
    assert sorted(each["kind"] for each in objects) == ["ConfigMap", "Job"]
    return {each["kind"]: each["metadata"]["name"] for each in objects}


def of(objects: list[Json], kind: str) -> Json:
    (found,) = (each for each in objects if each["kind"] == kind)
    return found


def test_the_same_file_is_the_same_objects(chart: Chart, tmp_path: Path) -> None:
    again = rendered(written(tmp_path, {"smoke.yaml": FILE}), "--namespace", "aira", "--set", f"image={IMAGE}")
    assert chart({"smoke.yaml": FILE}) == again
    assert chart({}) == []


@pytest.mark.parametrize("changed", [FILE + "attempt: 2\n", FILE + " ", FILE.replace("smoke\n", "laptop\n")])
def test_a_changed_byte_is_other_objects(chart: Chart, changed: str) -> None:
    before, after = names(chart({"smoke.yaml": FILE})), names(chart({"smoke.yaml": changed}))
    assert before["ConfigMap"] != after["ConfigMap"]
    assert before["Job"] != after["Job"]


def test_another_image_is_another_job_for_the_template_of_one_cannot_change(chart: Chart) -> None:
    """A real server refuses to change a Job's template; the fake does, too."""
    old, new = chart({"smoke.yaml": FILE}), chart({"smoke.yaml": FILE}, image=OTHER)
    assert names(old)["ConfigMap"] == names(new)["ConfigMap"]
    with FakeKubernetes() as kubernetes:
        for each in [*old, *new, *old]:  # an upgrade, and its rollback
            kubernetes.put(each)
        assert len(kubernetes.all_of("jobs", "aira")) == 2


def test_a_removed_file_takes_its_two_objects_alone(chart: Chart) -> None:
    both = chart({"one.yaml": FILE, "two.yaml": FILE})
    left = chart({"two.yaml": FILE})
    gone = [each for each in both if each not in left]
    assert [each["metadata"]["name"][:4] for each in gone] == ["one-", "one-"]
    assert sorted(each["kind"] for each in gone) == ["ConfigMap", "Job"]
    assert all(each in both for each in left)


def test_the_job_submits_the_very_file_and_nothing_lets_it_vanish(chart: Chart, tmp_path: Path) -> None:
    text = FILE + 'confirm: "1 2"\n# ä {{ x }}\noverrides:\n  description: "{{ no }} ü"\n'
    objects = chart({"smoke.yaml": text})
    assert of(objects, "ConfigMap")["data"] == {"run.yaml": text}
    assert of(objects, "ConfigMap")["immutable"] is True
    job = of(objects, "Job")
    assert "ttlSecondsAfterFinished" not in job["spec"]
    assert not [name for name in job["metadata"]["annotations"] if "hook" in name]
    spec = job["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert container["args"] == ["aira", "submit", f"{mounts['run']}/run.yaml"]
    volume = next(each for each in spec["volumes"] if each["name"] == "run")
    assert volume["configMap"]["name"] == names(objects)["ConfigMap"]
    (tmp_path / "run.yaml").write_text(text)
    wanted = load_run_file(tmp_path / "run.yaml", Cluster.model_validate(CLUSTER))
    assert wanted.file.overrides == {"description": "{{ no }} ü"}


def test_the_job_finds_what_the_chart_of_the_cluster_says(chart: Chart) -> None:
    """The token, the cluster's file and its variable are where the library looks for them."""
    from aira_lib.cluster.rights import SUBMITTER
    from aira_lib.cluster.section import MOUNTED, VARIABLE, KubeflowSection

    spec = of(chart({"smoke.yaml": FILE}), "Job")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    (token,) = next(each for each in spec["volumes"] if each["name"] == "kubeflow")["projected"]["sources"]
    assert f"{mounts['kubeflow']}/{token['serviceAccountToken']['path']}" == KubeflowSection().token
    assert token["serviceAccountToken"]["audience"] == "pipelines.kubeflow.org"
    assert f"{mounts['cluster']}/cluster.yaml" == MOUNTED
    assert {"name": VARIABLE, "value": MOUNTED} in container["env"]
    assert spec["serviceAccountName"] == SUBMITTER


def test_the_job_is_hardened_and_bounded(chart: Chart) -> None:
    spec = of(chart({"smoke.yaml": FILE}), "Job")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["requests"] == container["resources"]["limits"] == {"cpu": "500m", "memory": "512Mi"}
    written_to = {each["mountPath"] for each in container["volumeMounts"] if not each.get("readOnly")}
    scratch = next(each["value"] for each in container["env"] if each["name"] == "AIRA_SCRATCH")
    assert written_to == {"/tmp"}
    assert scratch.startswith("/tmp/")


def test_no_secret_is_given_unless_it_is_named(chart: Chart, tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(
        yaml.safe_dump({"secrets": [{"name": "aira-s3", "variables": {"AWS_ACCESS_KEY_ID": "id"}}]})
    )
    plain = of(chart({"smoke.yaml": FILE}), "Job")
    assert "secretKeyRef" not in yaml.safe_dump(plain)
    given = of(chart({"smoke.yaml": FILE}, "--values", str(tmp_path / "values.yaml")), "Job")
    (container,) = given["spec"]["template"]["spec"]["containers"]
    assert {
        "name": "AWS_ACCESS_KEY_ID", "valueFrom": {"secretKeyRef": {"name": "aira-s3", "key": "id"}}
    } in container["env"]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("My_run.yaml", FILE, "small letters"),
        (f"{'a' * 41}.yaml", FILE, "40 characters"),
        ("a.yaml", "name: smoke\n", 'key "pipeline" is missing'),
        ("a.yaml", FILE + "atempt: 2\n", 'unknown key "atempt"'),
        ("a.yaml", "a: [", "no YAML"),
        ("a.yml", FILE, "ends in .yaml"),
        ("a.yaml", "name: First\npipeline: p\n", 'name "First": small letters'),
        ("a.yaml", FILE + "state: stopped\n", 'state "stopped": it is running or terminated'),
        ("a.yaml", FILE + "attempt: 0\n", 'attempt "0": give a number'),
        ("a.yaml", "name: a\npipeline: p\npreset: smoke\nstudy: {name: x}\n", "keep one"),
        ("a.yaml", "name: a\npipeline: p\nstudy: mine.yaml\n", "a pod has no file beside this one"),
    ],
)
def test_a_file_that_no_pod_could_submit_is_refused_as_it_is_rendered(
    tmp_path: Path, name: str, text: str, line: str
) -> None:
    refused = helm("template", "test", written(tmp_path, {name: text}), "--set", f"image={IMAGE}")
    assert refused.returncode != 0
    assert f"runs/{name}: " in refused.stderr
    assert line in refused.stderr


def test_a_study_within_the_file_or_in_the_store_is_taken(chart: Chart) -> None:
    for study in ("{name: x}", f"s3://b/x/studies/1.json#{'0' * 64}", '\'{"name": "x"}\''):
        assert chart({"a.yaml": f"name: a\npipeline: p\nstudy: {study}\n"})


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("image=registry.example/aira-cpu:latest", "image"),
        ("imagee=x", "imagee"),
        ("backoffLimit=-1", "backoffLimit"),
        ("resources.gpu=1", "gpu"),
    ],
)
def test_wrong_values_are_refused(tmp_path: Path, setting: str, line: str) -> None:
    refused = helm("template", "test", CHART, "--set", f"image={IMAGE}", "--set", setting)
    assert refused.returncode != 0
    assert line in refused.stderr


def test_helm_lints_the_chart_and_its_notes_name_the_runs(tmp_path: Path) -> None:
    place = written(tmp_path, {"smoke.yaml": FILE, "old.yaml": FILE + "state: terminated\nattempt: 3\n"})
    linted = helm("lint", "--strict", place, "--set", f"image={IMAGE}")
    assert linted.returncode == 0, linted.stdout + linted.stderr
    notes = helm("install", "test", place, "--set", f"image={IMAGE}", "--dry-run=client").stdout
    assert "smoke.yaml: smoke, pipeline aira-smoke, attempt 1" in notes
    assert "old.yaml: smoke, pipeline aira-smoke, attempt 3, to be ended" in notes


@pytest.mark.parametrize("version", ["1.30", "1.36"])
def test_kubernetes_knows_every_field_of_a_run(chart: Chart, version: str) -> None:
    schemas = pytest.importorskip("kubernetes_validate", reason="the package kubernetes-validate is not installed")
    for each in chart({"smoke.yaml": FILE}, "--set", "imagePullSecrets={registry}", "--set", "nodeSelector.pool=cpu"):
        schemas.validate(each, version, strict=True)


def test_the_page_and_the_check_know_every_key_of_a_run_and_every_value() -> None:
    keys = set(RunFile.model_fields)
    page = (CHART / "README.md").read_text()
    template = (CHART / "templates" / "_helpers.tpl").read_text()
    known = re.search(r"\$known := list (.*) -}}", template)
    assert known
    assert set(re.findall(r'"(\w+)"', known[1])) == keys
    assert keys <= set(re.findall(r"^\| `(\w+)` ", page, re.MULTILINE))
    values: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(values) <= set(re.findall(r"`(\w+)`", page))
    assert not BY_DIGEST.match(str(values["image"])), "no image comes with the chart"


def test_the_policies_of_the_chart_of_the_cluster_let_the_job_out(chart: Chart) -> None:
    labels = of(chart({"smoke.yaml": FILE}), "Job")["spec"]["template"]["metadata"]["labels"]
    policies = [each["spec"] for each in aira_chart.objects(aira_chart.MINIMAL) if each["kind"] == "NetworkPolicy"]
    chosen = [
        each for each in policies if (by := each["podSelector"].get("matchLabels")) and by.items() <= labels.items()
    ]
    assert [each for each in chosen if each.get("egress")]
