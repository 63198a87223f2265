"""What `aira compile` writes for a cluster: a form that speaks for itself, tasks that can run, names that say what."""

import json
import runpy
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from aira_lib.cluster.presets import pod_of
from aira_lib.remote.begin import OWN
from aira_lib.remote.chunk import Chunk, pods_of_tasks
from aira_lib.remote.shipped import PRESETS
from aira_lib.study import canonical_json, digest
from aira_lib.study.reading import load_study, parse_study
from pipelines.cluster import COMPOSE, SCALE, SEARCH, Form, cluster_pipeline
from pipelines.compiling import Version
from tests.a_cluster import CLUSTER, a_cluster, cluster_file
from tests.aira_lib.cli.in_process import aira
from tests.argo_nodes import documents_of
from tests.builders import TINY_STUDY, tiny_study

LAPTOP = Path(__file__).parents[2] / "pipelines/compose/laptop.yaml"
STUDIES = [path for path in sorted(LAPTOP.parent.glob("*.yaml")) if path.name != "metadata.yaml"]
Documents = list[dict[str, Any]]


def _compile(folder: Path, *more: str, **environment: str) -> Documents:
    done = aira("compile", "--cluster", str(cluster_file(folder)), "-o", str(folder / "x.yaml"), *more, **environment)
    assert done.code == 0, done.err
    return list(yaml.safe_load_all((folder / "x.yaml").read_text()))


@pytest.fixture(scope="module")
def of_laptop(tmp_path_factory: pytest.TempPathFactory) -> Documents:
    """The objects of a study, as two processes compile them, whose sets and hashes are in another order each."""
    folder = tmp_path_factory.mktemp("laptop")
    first, second = (_compile(folder, str(LAPTOP), "--kubernetes", PYTHONHASHSEED=seed) for seed in "12")
    assert first == second
    return first


@pytest.fixture(scope="module")
def of_any() -> Documents:
    return documents_of(partial(cluster_pipeline, COMPOSE, a_cluster(), None, 40))


def _parameters(spec: dict[str, Any]) -> dict[str, Any]:
    return dict(spec["root"]["inputDefinitions"]["parameters"])


def _constants(spec: dict[str, Any], task: str) -> dict[str, Any]:
    given = spec["root"]["dag"]["tasks"][task]["inputs"]["parameters"]
    return {name: each["runtimeValue"]["constant"] for name, each in given.items() if "runtimeValue" in each}


def test_the_pipeline_of_a_study_holds_it_and_its_form_asks_for_no_other(of_laptop: Documents) -> None:
    spec = of_laptop[1]["spec"]["pipelineSpec"]
    assert set(_parameters(spec)) == {"store", "overrides", "confirm", "units_at_once"}
    given = _constants(spec, "begin")
    assert given["preset"] == OWN
    assert digest(parse_study(json.loads(given["study"]), "the study")) == digest(load_study(LAPTOP))


def test_a_version_is_named_by_what_it_holds_and_says_from_what_it_is(of_laptop: Documents) -> None:
    pipeline, version = of_laptop
    assert [each["kind"] for each in of_laptop] == ["Pipeline", "PipelineVersion"]
    assert pipeline["metadata"]["name"] == version["spec"]["pipelineName"] == "aira-laptop"
    said = version["spec"]["description"] + str(version["spec"]["tags"])
    for part in ("laptop", digest(load_study(LAPTOP))[:12], CLUSTER["images"]["cpu"]):
        assert part in said
    assert all(len(value) <= 63 for value in version["spec"]["tags"].values())
    study = load_study(LAPTOP)
    about = Version.of(COMPOSE, a_cluster(), study)
    same, other = (
        about.objects(documents_of(partial(cluster_pipeline, COMPOSE, a_cluster(), study, at_once)))[1]
        for at_once in (40, 3)
    )
    assert same["metadata"]["name"] == version["metadata"]["name"]
    assert other["metadata"]["name"] != version["metadata"]["name"]
    assert _parameters(other["spec"]["pipelineSpec"])["units_at_once"]["defaultValue"] == 3


def test_the_form_for_any_study_is_a_menu_that_begins_with_the_smallest(of_any: Documents) -> None:
    form = _parameters(of_any[0])
    assert set(form) == {"preset", "study", "overrides", "store", "confirm", "units_at_once"}
    assert form["preset"]["literals"] == [*PRESETS, OWN]
    assert form["preset"]["defaultValue"] == "smoke"
    assert form["overrides"] == {**form["overrides"], "parameterType": "STRUCT", "defaultValue": {}}
    assert form["store"]["defaultValue"] == CLUSTER["store"]


def test_a_study_that_no_argument_holds_is_refused(tmp_path: Path) -> None:
    (tmp_path / "long.yaml").write_text(yaml.safe_dump({**TINY_STUDY, "description": "x" * 70_000}))
    done = aira("compile", str(tmp_path / "long.yaml"), "--cluster", str(cluster_file(tmp_path)))
    assert done.code == 2
    assert "give its form the URI of the study's file" in done.err


def test_it_loads_in_kfp(of_any: Documents) -> None:
    from kfp import components

    loaded = components.load_component_from_text(yaml.safe_dump_all(of_any))
    assert "preset" in loaded.component_spec.inputs


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_study_comes_out_of_a_request_the_same(path: Path) -> None:
    study = load_study(path)
    read = parse_study(json.loads(canonical_json(study)), "the study")
    assert read == study
    assert digest(read) == digest(study)


def test_every_task_has_limits_a_deadline_and_labels_and_only_waiting_ones_a_login(of_any: Documents) -> None:
    spec, platform = of_any
    settings = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    executors = spec["deploymentSpec"]["executors"]
    assert set(settings) == set(executors)
    for name, executor in executors.items():
        resources = executor["container"]["resources"]
        assert {"resourceCpuLimit", "resourceCpuRequest", "resourceMemoryLimit", "resourceMemoryRequest"} <= set(
            resources
        )
        assert int(settings[name]["activeDeadlineSeconds"]) > 0
        labels = settings[name]["podMetadata"]["labels"]
        assert labels["aira/stage"]
        waits = name.startswith(("exec-begin", "exec-fan-out"))
        assert ("access-ml-pipeline" in labels) == waits
        assert "@sha256:" in executor["container"]["image"]
    assert not any(task.get("cachingOptions") for task in spec["root"]["dag"]["tasks"].values())


def test_what_one_loop_left_is_read_by_those_after_it(of_any: Documents) -> None:
    tasks = of_any[0]["root"]["dag"]["tasks"]
    reads = {
        name: {key: each["taskOutputParameter"]["producerTask"] for key, each in task["inputs"]["parameters"].items()
               if "taskOutputParameter" in each and key != "study"}
        for name, task in tasks.items()
    }  # fmt: skip
    assert reads["archive"] == {"searches": "fan-out"}
    assert reads["fan-out-2"] == {"designs": "extrapolate"}
    assert {key: reads["report"][key] for key in ("searches", "points")} == {
        "searches": "fan-out",
        "points": "fan-out-2",
    }
    assert tasks["fan-out"]["taskInfo"]["name"] == "searches"
    runs = {name: task["inputs"]["parameters"].get("run") for name, task in tasks.items() if name != "begin"}
    assert {each["runtimeValue"]["constant"] for each in runs.values()} == {"{{$.pipeline_job_uuid}}"}


@pytest.mark.parametrize(("form", "ends", "starts"), [(SEARCH, "aggregate", True), (SCALE, "report", False)])
def test_pipelines_are_parts_of_one_flow(form: Form, ends: str, starts: bool) -> None:
    spec = documents_of(partial(cluster_pipeline, form, a_cluster(), None, 40))[0]
    tasks = spec["root"]["dag"]["tasks"]
    assert ("report" in tasks) == (ends == "report")
    assert spec["root"]["dag"]["outputs"]["parameters"]["Output"]["valueFromParameter"]["producerSubtask"] == ends
    assert _constants(spec, "fan-out")["start"] is starts


def test_the_smoke_pipeline_needs_no_run_of_its_own_for_a_loop(tmp_path: Path) -> None:
    spec = _compile(tmp_path, "--pipeline", "smoke")[0]
    assert "fan-out" not in spec["root"]["dag"]["tasks"]
    assert set(_parameters(spec)) == {"store", "overrides"}


def test_the_pipeline_of_a_chunk_follows_from_the_chunk(tmp_path: Path) -> None:
    """Bytes for bytes: which pods its tasks get, how its Workflow ends, and that it stays for as long as a job may."""
    from kfp import compiler

    from pipelines.units.pipeline import units_pipeline

    resources = {"pretrain": {"nodes": 2, "gpus_per_node": 8, "deadline_hours": 100}, "evaluate": {"gpus_per_node": 1}}
    study = tiny_study(resources=resources)
    cluster = a_cluster(training={})
    pods = pods_of_tasks({name: pod_of(name, study, cluster, "nano") for name in ("pretrain", "evaluate")})
    chunk = Chunk("aira-tiny-points", "tiny", "s3://b/x#0", "s3://b", "a-run", "point", ("d#p1", "d#p2"), pods, 2)
    assert Chunk.from_json(chunk.to_json()) == chunk
    texts = []
    for name in "ab":
        compiler.Compiler().compile(units_pipeline(chunk), str(tmp_path / f"{name}.yaml"))
        texts.append((tmp_path / f"{name}.yaml").read_text())
    assert texts[0] == texts[1]
    spec, platform = yaml.safe_load_all(texts[0])
    executors = spec["deploymentSpec"]["executors"]
    # The task of a training of several nodes waits; the job has the GPUs.
    assert "accelerator" not in executors["exec-pretrain"]["container"]["resources"]
    assert executors["exec-evaluate"]["container"]["resources"]["accelerator"]["resourceCount"] == "1"
    of_run = platform["platforms"]["kubernetes"]["pipelineConfig"]
    kept = {of_run[f"resourceTtlOn{when}"] for when in ("Completion", "Success", "Failure")}
    assert kept == {chunk.kept_seconds}
    assert chunk.kept_seconds > 100 * 3600
    assert of_run["activeDeadlineSeconds"] > 100 * 3600
    loop = spec["root"]["dag"]["tasks"]["for-loop-2"]
    assert json.loads(loop["parameterIterator"]["items"]["raw"]) == ["d#p1", "d#p2"]
    assert loop["iteratorPolicy"]["parallelismLimit"] == 2


@pytest.mark.parametrize("pipeline", ["search", "smoke"])
def test_a_mistake_is_one_line_of_the_pipelines_own_commands_too(
    pipeline: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for given, line in (([], "no cluster is named"), (["--cluster", str(tmp_path / "none.yaml")], "cannot be read")):
        argv = [pipeline, "compile", "--output", str(tmp_path / "x.yaml"), *given]
        monkeypatch.setattr("sys.argv", argv)
        monkeypatch.delitem(sys.modules, f"pipelines.{pipeline}.__main__", raising=False)
        with pytest.raises(SystemExit) as ended:
            runpy.run_module(f"pipelines.{pipeline}", run_name="__main__")
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert line in said
        assert said.count("\n") == 1
