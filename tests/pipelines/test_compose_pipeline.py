"""The pipeline with and without pretraining."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler

from pipelines.compose.pipeline import compose_pipeline
from tests.builders import tiny_study


def test_without_pretraining_the_report_gets_no_runs_and_all_else_is_there(tmp_path: Path) -> None:
    tasks = {}
    for trains in (True, False):
        path = tmp_path / f"{trains}.yaml"
        compiler.Compiler().compile(
            compose_pipeline(2, of=tiny_study(**({} if trains else {"pretrain": {}}))), str(path)
        )
        tasks[trains] = next(yaml.safe_load_all(path.read_text()))["root"]["dag"]["tasks"]
    left_out = set(tasks[True]) - set(tasks[False])
    assert "list-points" in left_out
    assert set(tasks[False]) == {*tasks[True]} - left_out
    assert tasks[False]["report"]["inputs"]["parameters"]["points"] == {"runtimeValue": {"constant": ""}}


def test_only_loops_are_given_lists_that_grow_with_a_study(tmp_path: Path) -> None:
    """The kernel takes arguments of 128 KiB, and Kubeflow keeps each argument several times."""
    compiler.Compiler().compile(compose_pipeline(2, of=tiny_study()), str(tmp_path / "x.yaml"))
    pipeline = next(yaml.safe_load_all((tmp_path / "x.yaml").read_text()))
    lists = {
        (name, key): task["inputs"]["parameters"][key]
        for name, task in _tasks(pipeline).items()
        if "executorLabel" in (component := pipeline["components"][task["componentRef"]["name"]])
        for key, each in component.get("inputDefinitions", {}).get("parameters", {}).items()
        if each["parameterType"] in ("LIST", "STRUCT")
    }
    stages = {key: value["runtimeValue"]["constant"] for key, value in lists.items()}
    assert stages == {("collect", "stages"): ["search"], ("collect-2", "stages"): ["pretrain", "evaluate"]}
    # What a loop has left is looked for when all of it has ended.
    root = pipeline["root"]["dag"]["tasks"]
    for collect, stage in (("collect", "search"), ("collect-2", "pretrain")):
        (loop,) = root[collect]["dependentTasks"]
        assert stage in pipeline["components"][root[loop]["componentRef"]["name"]]["dag"]["tasks"]


def _tasks(pipeline: dict[str, Any]) -> dict[str, Any]:
    components = [pipeline["root"], *pipeline["components"].values()]
    return {name: task for each in components if "dag" in each for name, task in each["dag"]["tasks"].items()}


def test_all_tasks_of_stages_know_the_run_and_a_component_that_does_not_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from aira_lib.flow.stage import STAGES

    compiler.Compiler().compile(compose_pipeline(2, run="mine"), str(tmp_path / "x.yaml"))
    tasks = _tasks(next(yaml.safe_load_all((tmp_path / "x.yaml").read_text())))
    for name in STAGES:
        assert tasks[name]["inputs"]["parameters"]["run"] == {"runtimeValue": {"constant": "mine"}}
    rows = {**STAGES._entries, "archive": replace(STAGES.named("archive"), component="components.plan:list_points")}
    monkeypatch.setattr(STAGES, "_entries", rows)
    with pytest.raises(ValueError, match=r"components\.plan:list_points: a component hands its parameter 'run' on"):
        compose_pipeline(2)


def test_all_tasks_have_the_plugins_with_which_a_pipeline_was_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pod has no environment of whoever compiled; its image must have the packages."""

    def environments() -> list[dict[str, str]]:
        compiler.Compiler().compile(compose_pipeline(2), str(tmp_path / "x.yaml"))
        executors = next(yaml.safe_load_all((tmp_path / "x.yaml").read_text()))["deploymentSpec"]["executors"]
        return [{e["name"]: e["value"] for e in each["container"].get("env", [])} for each in executors.values()]

    assert not any(environments())
    monkeypatch.setenv("AIRA_PLUGINS", "json.tool")
    assert all(each == {"AIRA_PLUGINS": "json.tool"} for each in environments())


def test_fewer_points_than_searches_may_run_at_once(tmp_path: Path) -> None:
    """A point of several ranks takes several cores."""
    compiler.Compiler().compile(compose_pipeline(6, points_at_once=2), str(tmp_path / "x.yaml"))
    tasks = next(yaml.safe_load_all((tmp_path / "x.yaml").read_text()))["root"]["dag"]["tasks"]
    limits = [task["iteratorPolicy"]["parallelismLimit"] for task in tasks.values() if "iteratorPolicy" in task]
    assert sorted(limits) == [2, 6]


def test_a_stage_of_ones_own_reads_the_points_and_the_report_finds_what_it_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from aira_lib.flow.stage import STAGES

    own = replace(
        STAGES.named("archive"),
        name="total",
        reads=("pretrain",),
        leaves="total",
        component="tests.own_component:total",
    )
    monkeypatch.setattr(STAGES, "_entries", {**STAGES._entries, "total": own})
    compiler.Compiler().compile(compose_pipeline(2, of=tiny_study()), str(tmp_path / "x.yaml"))
    tasks = next(yaml.safe_load_all((tmp_path / "x.yaml").read_text()))["root"]["dag"]["tasks"]
    given = {name: task["inputs"]["parameters"] for name, task in tasks.items()}
    (points,) = (name for name, of in given.items() if "pretrain" in str(of.get("stages")))
    assert given["total"]["points"]["taskOutputParameter"]["producerTask"] == points
    further = given["report"]["further"]["taskOutputParameter"]["producerTask"]
    assert given[further]["stages"] == {"runtimeValue": {"constant": ["total"]}}
    assert tasks[further]["dependentTasks"] == ["total"]


def test_the_report_reads_times_where_the_study_asks_for_them(tmp_path: Path) -> None:
    given = {}
    for section in (None, {"scale": "nano"}):
        compiler.Compiler().compile(compose_pipeline(2, of=tiny_study(latency=section)), str(tmp_path / "x.yaml"))
        tasks = next(yaml.safe_load_all((tmp_path / "x.yaml").read_text()))["root"]["dag"]["tasks"]
        given[bool(section)] = {name: task["inputs"]["parameters"] for name, task in tasks.items()}
    assert "latency" not in given[False]
    assert "times" not in given[False]["report"]
    assert given[True]["report"]["times"]["taskOutputParameter"]["producerTask"] == "latency"
    assert given[True]["latency"]["designs"]["taskOutputParameter"]["producerTask"] == "extrapolate"
