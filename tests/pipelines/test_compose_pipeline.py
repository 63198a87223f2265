"""The pipeline with and without pretraining."""

from pathlib import Path

import pytest
import yaml
from kfp import compiler

from pipelines.compose.pipeline import compose_pipeline


def test_without_pretraining_the_report_gets_no_runs_and_all_else_is_there(tmp_path: Path) -> None:
    tasks = {}
    for trains in (True, False):
        path = tmp_path / f"{trains}.yaml"
        compiler.Compiler().compile(compose_pipeline(2, trains=trains), str(path))
        tasks[trains] = next(yaml.safe_load_all(path.read_text()))["root"]["dag"]["tasks"]
    left_out = set(tasks[True]) - set(tasks[False])
    assert "list-points" in left_out
    assert set(tasks[False]) == {*tasks[True]} - left_out
    runs = tasks[False]["report"]["inputs"]["parameters"]
    assert runs["trained"] == runs["scores"] == {"runtimeValue": {"constant": []}}


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
