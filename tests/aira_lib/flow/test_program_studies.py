"""A study whose candidates are programs: searches and their report, through the flow that all studies have."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler

from aira_lib.errors import UserError
from aira_lib.flow.checks import check_study
from aira_lib.flow.entry import collect, run_text
from aira_lib.flow.finished import units_to_make, whole_study
from aira_lib.flow.run import record_at, run_stage
from aira_lib.flow.stage import STAGES, Unit, stages_of
from aira_lib.flow.texts import write_study
from aira_lib.flow.units import units_of
from aira_lib.local.run import LocalRun, outlook_of
from aira_lib.planning.estimate import estimate
from aira_lib.remote.checks import check_cluster
from aira_lib.remote.compiling import compile_study
from aira_lib.remote.cost import costs, gpu_hours, require_confirmed
from aira_lib.remote.loop import loop_of
from aira_lib.settings import Settings
from aira_lib.study import Study
from aira_lib.study.reading import parse_study
from aira_lib.track.progress import Progress
from pipelines.cluster import COMPOSE, cluster_pipeline
from pipelines.compose.pipeline import compose_pipeline
from tests.a_cluster import a_cluster, cluster_file
from tests.aira_lib.standings.finished_searches import task_folder
from tests.builders import node

AGENTS = [{"name": "greedy", "model": "openai/x", "seeds": 2, "steps": 4, "hours": 3.0}]


def study_in(root: Path, **changes: Any) -> Study:
    folder = task_folder(root, "ParityAccuracy")
    return parse_study({"name": "programs", "task": {"folder": str(folder)}, "agents": AGENTS, **changes}, "made up")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Searches leave two nodes each, without a model; all else is what it is."""

    def searched(study: Study, unit: Unit, inputs: list[Any], work: Any) -> None:
        scores = ((0.4, 0.5), (0.6, 0.55 + unit.seed / 10))
        nodes = [node(step, None, *each, status="ok", evaluation=None) for step, each in enumerate(scores)]
        (work.path / "journal.jsonl").write_text("".join(each.json_line() for each in nodes))

    rows = {row.name: replace(row, make=searched) if row.name == "search" else row for row in STAGES.entries()}
    monkeypatch.setattr(STAGES, "_entries", rows)
    monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.setenv("AIRA_RUNS", str(tmp_path / "runs"))
    return Settings.from_environment(str(tmp_path / "runs"))


def test_it_has_searches_and_a_report_and_nothing_of_designs(tmp_path: Path) -> None:
    study = study_in(tmp_path)
    assert [stage.name for stage in stages_of(study)] == ["search", "report"]
    assert [row.stage for row in estimate(study)] == ["search", "report"]
    (report,) = units_of("report", study)
    assert report.inputs == tuple(sorted(unit.key for unit in units_of("search", study)))
    for stage in ("archive", "pretrain", "latency"):
        assert units_of(stage, study) == []


def test_stages_one_by_one_make_it_whole(tmp_path: Path, settings: Settings) -> None:
    study = study_in(tmp_path)
    with pytest.raises(UserError, match=r"search greedy\.s0 is not finished"):
        units_to_make("report", study, None, settings)
    for stage in ("search", "report"):
        assert whole_study(study, settings) == []
        for unit, inputs in units_to_make(stage, study, None, settings):
            made = run_stage(study, unit, settings, inputs)
    assert [unit.stage for unit in whole_study(study, settings)] == ["search", "search", "report"]
    report = record_at(made.uri, settings).fetch(settings.scratch)
    rows = json.loads((report / "summary.json").read_text())["scores_by_task"]
    assert [row["score"] for row in rows] == [pytest.approx(0.6)]
    with pytest.raises(UserError, match=r"nothing to archive.*`aira run` makes its searches and their report"):
        units_to_make("archive", study, None, settings)


def test_a_pipeline_for_any_study_passes_over_what_is_made_of_designs(tmp_path: Path, settings: Settings) -> None:
    study = study_in(tmp_path)
    text, store, run = write_study(study, settings.store), settings.store, "run-1"
    found = [run_text("search", text, store, unit.name, run=run) for unit in units_of("search", study)]
    listed = collect(text, store, run, ["search"])
    for stage in ("archive", "aggregate", "extrapolate", "latency"):
        assert run_text(stage, text, store, inputs=[listed], run=run) == ""
    assert loop_of("points", study, "", settings).items == ()
    report = run_text("report", text, store, inputs=["", listed, ""], run=run)
    assert {*found} < {*found, report}
    assert whole_study(study, settings)


def test_pipelines_of_it_end_with_the_report(tmp_path: Path) -> None:
    study = study_in(tmp_path)
    here = _tasks(tmp_path, compose_pipeline(2, of=study))
    assert {"list-searches", "search", "report"} <= here.keys()
    on_cluster = _tasks(tmp_path, cluster_pipeline(COMPOSE, a_cluster(), study, 4))
    assert on_cluster.keys() == {"begin", "fan-out", "report"}
    for tasks in (here, on_cluster):
        assert not {"archive", "aggregate", "extrapolate", "pretrain", "evaluate"} & tasks.keys()
        given = tasks["report"]["inputs"]["parameters"]
        assert "taskOutputParameter" in given["searches"]
        assert given["archive"] == {"runtimeValue": {"constant": ""}}
    check_cluster(study, a_cluster())


def test_pipelines_of_designs_alone_are_refused(tmp_path: Path) -> None:
    for pipeline in ("search", "scale"):
        with pytest.raises(UserError, match="candidates are programs and no designs"):
            compile_study(study_in(tmp_path), cluster_file(tmp_path), tmp_path / "x.yaml", pipeline, 4, False)


def test_sections_of_designs_are_refused_in_a_line(tmp_path: Path) -> None:
    study = study_in(tmp_path, aggregate=[{"name": "vote"}], latency={"scale": "350M"})
    with pytest.raises(UserError, match="leave out aggregate, latency") as refused:
        check_study(study)
    assert "\n" not in str(refused.value)


def test_what_nobody_can_foretell_is_bounded_by_hours(tmp_path: Path, settings: Settings) -> None:
    study = study_in(tmp_path)
    assert estimate(study)[0].at_most == 2 * 3 * 3600
    outlook = outlook_of(LocalRun(study, settings, 1, None))
    assert outlook.in_words([]) == "at most 6.0 h left"
    begun = Progress("search", "greedy.s0", total=4, updated=1.0)
    half = replace(begun, done=2, updated=1201.0)
    outlook.look([begun])
    outlook.look([half])
    assert "at most" not in outlook.in_words([half])
    assert 1200 < outlook.seconds_left([half]) < 2 * 3 * 3600


def test_hours_of_gpus_that_it_may_take_have_to_be_confirmed(tmp_path: Path) -> None:
    study = study_in(tmp_path, resources={"search": {"gpus_per_node": 1}})
    of = costs(study, None)
    assert gpu_hours(of) == pytest.approx(6.0)
    with pytest.raises(UserError, match="confirm: 6-gpu-hours"):
        require_confirmed(study, of, "", 5.0)


def _tasks(folder: Path, pipeline: Any) -> dict[str, Any]:
    compiler.Compiler().compile(pipeline, str(folder / "x.yaml"))
    spec = next(yaml.safe_load_all((folder / "x.yaml").read_text()))
    parts = [spec["root"], *spec["components"].values()]
    return {name: task for each in parts if "dag" in each for name, task in each["dag"]["tasks"].items()}
