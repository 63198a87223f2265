"""A stage that a study asks for or not, and of some points: all that walks the stages leaves it out, or has it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler

from aira_lib.errors import UserError
from aira_lib.flow.entry import collect, point_names
from aira_lib.flow.finished import units_to_make, whole_study
from aira_lib.flow.run import fetch, run_stage
from aira_lib.flow.stage import STAGES, stages_of
from aira_lib.flow.texts import read_list
from aira_lib.flow.units import points_in, unit_of_point, units_by_stage, units_of
from aira_lib.planning.estimate import estimate
from aira_lib.remote.chunk import cut
from aira_lib.remote.fan_out import Orders, chunk_of
from aira_lib.remote.loop import loop_of
from aira_lib.settings import Settings
from aira_lib.study import Study
from pipelines.compose.pipeline import compose_pipeline
from tests.a_cluster import a_cluster
from tests.aira_lib.flow.test_failing import RUN, TEN, Lab
from tests.builders import TINY_STUDY, small_text, tiny_study

pytestmark = pytest.mark.usefixtures("plain_kernels")

ISOTOKEN, ISOFLOP = {"scale": "nano", "tokens": 8192, "seeds": [0]}, {"scales": ["nano"], "budgets": [1e10]}
ASKS = "taste: isotoken"


def _lab(folder: Path, monkeypatch: pytest.MonkeyPatch, description: str) -> Lab:
    """A study whose points are of both protocols; it asks for two further stages by its description."""
    data = small_text(folder / "text")
    pretrain = {**TINY_STUDY["pretrain"], "data": data, "isotoken": ISOTOKEN, "isoflop": ISOFLOP}
    lab = Lab(folder / "runs", tiny_study(agents=TEN, pretrain=pretrain, description=description))
    rows = {row.name: replace(row, make=lab.make) for row in STAGES.entries() if row.name in KNOWN}

    def asked(study: Study) -> bool:
        return "taste" in study.description

    rows["taste"] = replace(
        rows["evaluate"], name="taste", leaves="tastes", wanted=asked, component="tests.own_component:taste",
        of_points=lambda study, point: point.protocol in study.description,
    )  # fmt: skip
    rows["sum-up"] = replace(
        rows["archive"], name="sum-up", reads=("taste",), leaves="sum", wanted=asked,
        component="tests.own_component:total",
    )  # fmt: skip
    monkeypatch.setattr(STAGES, "_entries", rows)
    monkeypatch.setenv("AIRA_SCRATCH", str(folder / "scratch"))
    return lab


KNOWN = ("search", "archive", "aggregate", "extrapolate", "pretrain", "evaluate", "report")


@pytest.fixture
def asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    return _lab(tmp_path, monkeypatch, ASKS)


@pytest.fixture
def silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    return _lab(tmp_path, monkeypatch, "nothing more")


def _points(lab: Lab) -> tuple[str, list[str], list[Any]]:
    designs = lab.run("extrapolate")
    settings = Settings(store=lab.store)
    return designs, point_names(lab.text, lab.store, designs), points_in(lab.study, [fetch(designs, settings)])


def test_a_study_that_does_not_ask_has_no_units_and_the_keys_that_it_had(
    silent: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, points = _points(silent)
    assert units_of("taste", silent.study, points) == units_of("sum-up", silent.study, points) == []
    assert [stage.name for stage in stages_of(silent.study)] == list(KNOWN)
    assert [row.stage for row in estimate(silent.study)] == list(KNOWN)
    (report,) = units_of("report", silent.study, points)
    monkeypatch.setattr(STAGES, "_entries", {name: STAGES._entries[name] for name in KNOWN})
    assert units_of("report", silent.study, points)[0].key == report.key


def test_asked_for_it_has_units_of_the_points_that_are_wanted(asking: Lab) -> None:
    *_, points = _points(asking)
    wanted = [point for point in points if point.protocol == "isotoken"]
    assert 0 < len(wanted) < len(points)
    tastes = units_of("taste", asking.study, points)
    assert [unit.point for unit in tastes] == wanted
    assert units_of("sum-up", asking.study, points)[0].inputs == tuple(sorted(unit.key for unit in tastes))
    assert units_by_stage(asking.study, points) == {
        "pretrain": len(points), "evaluate": len(points), "taste": len(wanted)
    }  # fmt: skip
    assert {row.stage for row in estimate(asking.study)} == {*KNOWN, "taste", "sum-up"}
    with pytest.raises(UserError, match=r"study tiny does not ask for taste of .*isoflop"):
        unit_of_point("taste", asking.study, next(point for point in points if point.protocol == "isoflop"))


def test_a_command_for_it_says_what_is_missing(silent: Lab) -> None:
    with pytest.raises(UserError, match="study tiny does not ask for stage sum-up; give it a section 'sum-up'"):
        units_to_make("sum-up", silent.study, None, Settings(store=silent.store))


def test_tasks_of_a_pipeline_that_nobody_asked_for_leave_nothing(
    silent: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pipeline of a cluster is the same for every study."""
    _, names, _ = _points(silent)
    before = len(silent.done)
    assert silent.run("taste", names[0], "") == ""
    assert silent.run("sum-up", "", "") == ""
    assert "study tiny does not ask for taste of " in capsys.readouterr().out
    assert len(silent.done) == before
    assert read_list(collect(silent.text, silent.store, RUN, ["taste", "sum-up"]), silent.store) == []


def test_a_pipeline_makes_those_that_are_wanted(asking: Lab) -> None:
    _, names, points = _points(asking)
    trained = {name: asking.run("pretrain", name) for name in names}
    scored = [asking.run("evaluate", name, uri) for name, uri in trained.items()]
    tastes = [asking.run("taste", name, uri) for name, uri in trained.items()]
    assert [bool(uri) for uri in tastes] == [point.protocol == "isotoken" for point in points]
    listed = collect(asking.text, asking.store, RUN, ["pretrain", "evaluate", "taste"])
    assert {*read_list(listed, asking.store)} == {*trained.values(), *scored, *filter(None, tastes)}


def test_whatever_a_study_wants_makes_it_whole(asking: Lab) -> None:
    settings = Settings(store=asking.store)
    for stage in stages_of(asking.study):
        assert whole_study(asking.study, settings) == []
        for unit, inputs in units_to_make(stage.name, asking.study, None, settings):
            run_stage(asking.study, unit, settings, inputs)
    made = whole_study(asking.study, settings)
    assert {unit.stage for unit in made} == {*KNOWN, "taste", "sum-up"}


def test_the_loop_of_a_cluster_has_chunks_of_points_with_the_same_stages(asking: Lab) -> None:
    designs, *_ = _points(asking)
    loop = loop_of("points", asking.study, designs, Settings(store=asking.store))
    orders = Orders("the-study", "a-run", 4)
    chunks = [chunk_of(loop, items, orders, a_cluster(), asking.store, 4) for items in cut(loop.items, 20)]
    assert {tuple(chunk.pods) for chunk in chunks} == {("pretrain", "evaluate", "taste"), ("pretrain", "evaluate")}
    plain = next(item for item in loop.items if "isoflop" in item.name)
    for stage in ("pretrain", "evaluate"):
        assert plain in loop.open(loop.known(asking.folder))
        assert loop.stage_of(plain, loop.known(asking.folder)).name == stage
        asking.folder.keep_made(stage, f"{asking.store}/tiny/{stage}/{plain.name}-{'0' * 12}")
    assert plain not in loop.open(loop.known(asking.folder))


def test_the_pipeline_of_a_machine_has_no_process_for_what_nobody_asked_for(asking: Lab, tmp_path: Path) -> None:
    own = {"taste", "total"}  # as their components are called
    for asks in (True, False):
        tasks = _tasks(tmp_path, tiny_study(description=ASKS if asks else ""))
        assert own & tasks.keys() == (own if asks else set())
        assert ("taskOutputParameter" in tasks["report"]["inputs"]["parameters"]["further"]) is asks
    assert own <= _tasks(tmp_path, None).keys()


def _tasks(folder: Path, of: Study | None) -> dict[str, Any]:
    compiler.Compiler().compile(compose_pipeline(2, of=of), str(folder / "x.yaml"))
    pipeline = next(yaml.safe_load_all((folder / "x.yaml").read_text()))
    parts = [pipeline["root"], *pipeline["components"].values()]
    return {name: task for each in parts if "dag" in each for name, task in each["dag"]["tasks"].items()}
