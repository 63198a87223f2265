"""A loop of a study becomes runs of its own, whatever happens to whoever waits for them."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from aira_lib.cluster.runs import RunsApi
from aira_lib.cluster.section import Cluster
from aira_lib.device import assuming
from aira_lib.errors import StoreError, UserError
from aira_lib.flow.outcomes import RunFolder
from aira_lib.flow.stage import stages_of
from aira_lib.flow.units import search_unit_named, search_units
from aira_lib.records import Failure, Manifest
from aira_lib.remote.chunk import MOST_UNITS, Chunk, Item, cut
from aira_lib.remote.fan_out import FanOut, Orders
from aira_lib.remote.loop import Loop, loop_of
from aira_lib.remote.parts import end_whole
from aira_lib.remote.waiting import Patience
from aira_lib.settings import Settings
from aira_lib.store import open_store
from aira_lib.store.base import Holder
from aira_lib.store.local import FileStore
from aira_lib.study import Study
from tests.a_cluster import a_cluster, cluster_file
from tests.builders import TINY_STUDY, tiny_study
from tests.fakes.kubeflow import FakeKubeflow
from tests.fakes.kubernetes import FakeKubernetes

SEARCHES = 45
PARENT = "0c3d7b1e-0000-4000-8000-000000000000"


class Stopped(Exception):
    """The waiter's pod is gone."""


class Site:
    """A store, and a Kubeflow whose runs say of each of their units what `becomes` says, or nothing."""

    def __init__(self, kubeflow: FakeKubeflow, store: Path) -> None:
        self.kubeflow, self.store = kubeflow, store
        agents = [{"scaffold": "greedy", "model": "offline", "seeds": SEARCHES, "steps": 1}]
        self.study: Study = tiny_study(agents=agents)
        self.becomes: Callable[[str], str] = lambda unit: "made"
        self.end = "SUCCEEDED"
        self.chunks: list[Chunk] = []
        self.lines: list[str] = []
        self.hold = False
        self.compiling: Callable[[], Any] = lambda: None
        kubeflow.executor = self._execute

    def waiter(self, most_looks: int = 10_000, at_once: int = 100, parent: str = PARENT) -> FanOut:
        """One that is stopped when it has looked so often."""
        settings = Settings(store=str(self.store), scratch=self.store / "scratch")
        looks = iter(range(most_looks))

        def pause(seconds: float) -> None:
            time.sleep(0.01)
            if next(looks, None) is None:
                raise Stopped

        loop = loop_of("searches", self.study, "", settings)
        orders = Orders("the-study", parent, at_once)
        return FanOut(
            loop, orders, self._cluster(), settings, self.runs(), self._compiled, self.lines.append, pause
        )  # fmt: skip

    def runs(self) -> RunsApi:
        def workflows(run_id: str) -> list[str]:
            return [each["metadata"]["name"] for each in self.kubeflow.workflows(run_id)]

        return RunsApi(self._cluster(), workflows, lambda seconds: time.sleep(0.001))

    def _cluster(self) -> Cluster:
        return a_cluster(kubeflow={"api": self.kubeflow.url, "token": "/none"})

    def started(self) -> list[dict[str, Any]]:
        return list(self.kubeflow.runs.values())

    def _compiled(self, chunk: Chunk) -> dict[str, Any]:
        self.compiling()
        return {"pipelineInfo": {"name": chunk.name}, "chunk": json.loads(chunk.to_json())}

    def _execute(self, run: dict[str, Any]) -> str:
        chunk = Chunk.from_json(json.dumps(run["pipeline_spec"]["chunk"]).encode())
        self.chunks.append(chunk)
        while self.hold:
            time.sleep(0.01)
            if self.kubeflow.state(run["run_id"]) == "CANCELING":
                return "CANCELED"
        folder = RunFolder(str(self.store), self.study, chunk.run)
        said = [self._say(folder, unit) for unit in chunk.items]
        return "SUCCEEDED" if all(said) else "FAILED"

    def _say(self, folder: RunFolder, unit: str) -> bool:
        became = self.becomes(unit)
        if became == "made":
            folder.keep_made("search", f"file://{self.store}/tiny/search/{unit}-{'0' * 12}")
        elif became:
            folder.keep_failure(Failure(stage="search", unit=unit, reason=became, exit_code=1))
        return bool(became)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with FakeKubernetes() as kubernetes, FakeKubeflow(kubernetes) as kubeflow:
        yield Site(kubeflow, tmp_path / "store")


def test_chunks_are_of_one_scale_and_hold_every_item_once() -> None:
    items = [Item(f"p{number}", f"d#p{number}", scale) for number in range(30) for scale in ("1B", "350M")]
    chunks = list(cut(items, MOST_UNITS))
    assert all(len({item.scale for item in chunk}) == 1 and len(chunk) <= MOST_UNITS for chunk in chunks)
    assert sorted((i for chunk in chunks for i in chunk), key=items.index) == items
    assert [len(chunk) for chunk in chunks] == [20, 10, 20, 10]


def test_all_units_are_made_by_runs_of_at_most_twenty(site: Site) -> None:
    made = site.waiter().carry_out()
    assert [len(chunk.items) for chunk in sorted(site.chunks, key=lambda c: -len(c.items))] == [20, 20, 5]
    assert [uri.rpartition("/")[2].rpartition("-")[0] for uri in made["search"]] == [
        f"greedy-offline.s{number}" for number in range(SEARCHES)
    ]
    assert {chunk.reference for chunk in site.chunks} == {"the-study"}
    assert "45 of 45 ended" in site.lines[-1]


def test_only_so_many_are_worked_on_at_once(site: Site) -> None:
    active: list[int] = []
    site.kubeflow.between.append(
        lambda run: active.append(sum(each["state"] not in ("SUCCEEDED",) for each in site.started()))
    )
    site.waiter(at_once=6).carry_out()
    assert active == [0, 0, 0]
    assert {chunk.at_once for chunk in site.chunks} == {6}


def test_whoever_is_started_again_adopts_what_runs_and_starts_no_unit_twice(site: Site) -> None:
    site.hold = True
    for looks in (0, 1, 3):
        with pytest.raises(Stopped):
            site.waiter(most_looks=looks).carry_out()
    assert len(site.started()) == len(site.kubeflow.workflows()) == 3
    site.hold = False
    site.waiter().carry_out()
    site.waiter().carry_out()
    assert len(site.started()) == len(site.kubeflow.workflows()) == 3
    assert any(line.startswith("adopted run") for line in site.lines)
    assert sorted(unit for chunk in site.chunks for unit in chunk.items) == sorted(
        f"greedy-offline.s{number}" for number in range(SEARCHES)
    )


def test_stopped_while_it_starts_runs_it_goes_on_with_the_same_ones(site: Site) -> None:
    site.hold = True

    def stop(run: dict[str, Any]) -> None:
        site.kubeflow.between.clear()
        raise Stopped  # between the Workflow and the row: the answer is lost, and the pod with it

    waiter = site.waiter()
    first = waiter._plans.of_round(0, 0, list(cut(waiter.loop.items, MOST_UNITS)))
    with Patience(site.lines.append).alone(waiter._store, "turn") as turn:
        waiter._start(first[0], 20, turn)
    site.hold = False
    site.waiter().carry_out()
    assert {run["run_id"] for run in site.started()} == {each.id for each in first}


def test_of_two_that_are_at_it_one_waits_and_nothing_is_started_twice(site: Site) -> None:
    """Both have looked for a run, and found none, where nothing keeps them apart."""
    both = threading.Barrier(2)

    def meet() -> None:
        with suppress(threading.BrokenBarrierError):
            both.wait(0.3)

    site.compiling = meet
    with ThreadPoolExecutor() as pool:
        made = list(pool.map(lambda waiter: waiter.carry_out(), [site.waiter(), site.waiter()]))
    assert made[0] == made[1]
    assert len(made[0]["search"]) == SEARCHES
    assert len(site.kubeflow.workflows()) == 3
    assert any("is at it already; waits for it" in line for line in site.lines)


def test_one_that_lost_its_turn_starts_nothing_more(site: Site) -> None:
    turn = site.waiter()._plans.turn
    others: list[Any] = []

    def lose() -> None:
        """It was silent for so long that another took over, who goes on when the first has seen it."""
        site.compiling = lambda: None
        (site.store / turn).unlink()
        others.append(open_store(str(site.store)).take(turn, Holder.here(), 1.0))

    def pause(seconds: float) -> None:
        if others:
            others.pop().release()
        time.sleep(0.01)

    site.compiling = lose
    waiter = site.waiter()
    waiter._pause = waiter._patience._pause = pause
    assert len(waiter.carry_out()["search"]) == SEARCHES
    assert len(site.kubeflow.workflows()) == 3
    assert any("another process took over" in line for line in site.lines)


def test_it_has_patience_with_a_store_that_is_away_and_takes_nothing_for_lost(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[Any] = set()

    def away(method: Callable[..., Any]) -> Callable[..., Any]:
        """It does not answer at first, whatever the waiter asks; its units have no such trouble."""

        def call(self: FileStore, *arguments: Any) -> Any:
            if threading.current_thread() is threading.main_thread() and (method, arguments[0]) not in asked:
                asked.add((method, arguments[0]))
                raise StoreError("bucket: does not answer")
            return method(self, *arguments)

        return call

    for name in ("list", "read", "create", "take", "exists", "remove"):
        monkeypatch.setattr(FileStore, name, away(getattr(FileStore, name)))
    site.study = tiny_study(agents=[{"scaffold": "greedy", "model": "offline", "seeds": 20, "steps": 1}])
    site.becomes = lambda unit: "" if unit.endswith(".s7") else "no such model" if unit.endswith(".s9") else "made"
    assert len(site.waiter().carry_out()["search"]) == 18
    monkeypatch.undo()
    assert len(asked) > 20
    assert not list(site.store.rglob("*.given-up"))


def test_a_unit_that_says_nothing_is_tried_in_smaller_company_and_then_fails(site: Site) -> None:
    site.becomes = lambda unit: "" if unit.endswith(".s7") else "made"
    made = site.waiter().carry_out()
    assert len(made["search"]) == SEARCHES - 1
    of_it = [len(chunk.items) for chunk in site.chunks if "greedy-offline.s7" in chunk.items]
    assert of_it == [20, 1, 1]
    (failure,) = site.waiter().folder.failures("search")
    assert failure.unit == "greedy-offline.s7"
    assert "without a word" in failure.reason
    assert "failed" in failure.reason


def test_units_that_a_dying_neighbour_took_along_are_made(site: Site) -> None:
    """The first of each run dies, and Argo starts no more of it."""
    seen: list[str] = []

    def becomes(unit: str) -> str:
        seen.append(unit)
        return "made" if seen.count(unit) > 1 else ""

    site.becomes = becomes
    assert len(site.waiter().carry_out()["search"]) == SEARCHES


def test_too_many_failures_are_refused_by_name_and_a_retry_of_the_run_tries_them_again(site: Site) -> None:
    site.becomes = lambda unit: "no such model" if unit.endswith(("1", "2")) else "made"
    with pytest.raises(UserError, match=r"10 of 45 units failed, and 41 have to.*greedy-offline.s1: no such model"):
        site.waiter().carry_out()
    before = len(site.started())
    site.becomes = lambda unit: "made"
    assert len(site.waiter().carry_out()["search"]) == SEARCHES
    again = [unit for chunk in site.chunks[before:] for unit in chunk.items]
    assert len(again) == 10


def test_few_failures_lose_nothing_else(site: Site) -> None:
    site.becomes = lambda unit: "no such model" if unit.endswith(".s3") else "made"
    assert len(site.waiter().carry_out()["search"]) == SEARCHES - 1
    assert any("greedy-offline.s3 failed: no such model" in line for line in site.lines)


def test_a_run_that_somebody_cancelled_is_not_started_again(site: Site) -> None:
    site.hold = True
    with pytest.raises(Stopped):
        site.waiter(most_looks=1).carry_out()
    run = next(each for each in site.started() if "part 3" in each["display_name"])
    site.runs().terminate(run["run_id"])
    while site.kubeflow.state(run["run_id"]) != "CANCELED":
        time.sleep(0.01)
    site.hold = False
    with pytest.raises(UserError, match="somebody cancelled its run"):
        site.waiter().carry_out()
    assert len(site.started()) == 3


def test_it_has_patience_with_an_api_that_is_away(site: Site) -> None:
    site.kubeflow.drop("POST .*/runs$", times=1)
    site.kubeflow.fail("POST .*/runs$", 429, times=5)
    assert len(site.waiter().carry_out()["search"]) == SEARCHES
    assert len(site.kubeflow.workflows()) == 3


def test_what_is_not_there_is_refused_where_nothing_is_to_be_started(site: Site) -> None:
    with pytest.raises(UserError, match=r"45 of 45 units failed.*is not in the store.*run the study's searches first"):
        site.waiter().carry_out(start=False)
    assert not site.started()
    site.becomes = lambda unit: "no such model" if unit.endswith(".s3") else "made"
    site.waiter(parent="the-searches").carry_out()
    for uri in site.waiter(parent="the-searches").folder.of("search").made.values():
        _make(site, uri.rpartition("/")[2].rpartition("-")[0])
    started = len(site.started())
    assert len(site.waiter().carry_out(start=False)["search"]) == SEARCHES - 1  # as many as the study can do with
    assert len(site.started()) == started


def test_its_runs_end_with_a_parent_that_was_cancelled_and_with_no_other(site: Site) -> None:
    site.hold = True
    for state, ended in (("RUNNING", False), ("CANCELING", True)):
        waiter = site.waiter(most_looks=2)
        with pytest.raises(Stopped):
            waiter.carry_out()
        site.kubeflow.runs[PARENT] = {"run_id": PARENT, "display_name": "whole", "state": state, "experiment_id": ""}
        waiter.stop_with_parent()
        states = {site.kubeflow.state(run) for run in site.kubeflow.runs if run != PARENT}
        assert bool(states & {"CANCELING", "CANCELED"}) == ended
    site.hold = False


def test_as_a_task_it_sends_compiled_pipelines_and_hands_on_the_list_of_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from aira_lib.flow.texts import read_list, write_study
    from aira_lib.remote.entry import fan_out_text

    study, store = tiny_study(), str(tmp_path / "store")
    with FakeKubernetes() as kubernetes, FakeKubeflow(kubernetes) as kubeflow:

        def execute(run: dict[str, Any]) -> str:
            sent = run["pipeline_spec"]
            loop = sent["pipeline_spec"]["root"]["dag"]["tasks"]["for-loop-2"]
            assert sent["platform_spec"]["platforms"]["kubernetes"]["pipelineConfig"]["activeDeadlineSeconds"]
            for unit in json.loads(loop["parameterIterator"]["items"]["raw"]):
                RunFolder(store, study, PARENT).keep_made("search", f"{store}/tiny/search/{unit}-{'0' * 12}")
            return "SUCCEEDED"

        kubeflow.executor = execute
        monkeypatch.setenv("KUBECONFIG", str(kubernetes.kubeconfig(tmp_path / "kubeconfig")))
        address = {"api": kubeflow.url, "token": "/none", "service_account": "aira-tasks", "experiment": "ours"}
        monkeypatch.setenv("AIRA_CLUSTER", str(cluster_file(tmp_path, kubeflow=address)))
        monkeypatch.setattr("aira_lib.remote.fan_out.LOOK_SECONDS", 0.05)
        monkeypatch.setenv("_KFP_RUNTIME", "true")  # as Kubeflow has it in every task
        text = fan_out_text("searches", write_study(study, store), store, PARENT)
        assert "3 of 3 ended" in capsys.readouterr().out
        (run,) = kubeflow.runs.values()
        with pytest.raises(SystemExit):
            fan_out_text("searches", write_study(study, store), store, PARENT, at_once=0)
    assert "units_at_once is 0" in capsys.readouterr().err
    assert len(read_list(text, store)) == 3
    assert run["service_account"] == "aira-tasks"
    assert [each["display_name"] for each in kubeflow.experiments.values()] == ["Default", "ours"]
    assert run["display_name"] == "tiny: searches, part 1 of 1"


def test_a_loop_over_nothing_leaves_empty_lists(site: Site) -> None:
    """As of a study that pretrains nothing."""
    waiter = site.waiter()
    stages = tuple(stage for stage in stages_of(site.study) if stage.per == "point")
    waiter.loop = Loop("points", site.study, stages, ())
    assert waiter.carry_out() == {"pretrain": [], "evaluate": []}
    assert not site.started()


def test_told_to_end_it_ends_at_once_and_its_runs_go_on(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aira_lib.remote.entry import _ending

    site.hold = True
    waiter = site.waiter()
    monkeypatch.setattr(waiter, "_pause", lambda seconds: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, _ending(waiter):
        waiter.carry_out()
    assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == before
    assert {run["state"] for run in site.started()} <= {"PENDING", "RUNNING"}
    site.hold = False
    site.waiter().carry_out()
    assert len(site.kubeflow.workflows()) == 3


def test_outside_of_a_cluster_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from aira_lib.remote.entry import fan_out_text

    monkeypatch.delenv("AIRA_CLUSTER", raising=False)
    with pytest.raises(SystemExit) as ended:
        fan_out_text("searches", json.dumps(TINY_STUDY), str(tmp_path), PARENT)
    assert ended.value.code == 2
    assert "AIRA_CLUSTER names no file; run `aira run` here" in capsys.readouterr().err


def test_no_units_at_once_are_refused_rather_than_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from aira_lib.remote.entry import fan_out_text

    monkeypatch.setenv("AIRA_CLUSTER", str(cluster_file(tmp_path)))
    with pytest.raises(SystemExit) as ended:
        fan_out_text("searches", json.dumps(TINY_STUDY), str(tmp_path), PARENT, at_once=0)
    assert ended.value.code == 2
    assert "units_at_once is 0, with which nothing is ever begun; give 1 or more" in capsys.readouterr().err


def test_whoever_ends_a_run_ends_those_that_it_has_started_and_no_others(site: Site) -> None:
    site.hold = True
    other = "0c3d7b1e-0000-4000-8000-000000000001"
    for parent in (PARENT, other):
        with pytest.raises(Stopped):
            site.waiter(most_looks=1, parent=parent).carry_out()
        site.kubeflow.runs[parent] = {
            "run_id": parent,
            "display_name": "whole",
            "state": "RUNNING",
            "experiment_id": "",
        }
    assert end_whole(site.runs(), "aira", PARENT) == 3
    ended = {run["display_name"][:5]: run["state"] for run in site.started() if PARENT in run.get("description", "")}
    assert set(ended.values()) <= {"CANCELING", "CANCELED"}
    others = {run["state"] for run in site.started() if other in run.get("description", "")}
    assert not others & {"CANCELING", "CANCELED"}
    assert site.kubeflow.state(PARENT) == "CANCELING"
    site.hold = False


def _make(site: Site, name: str) -> None:
    """The record of a search."""
    unit = search_unit_named(site.study, name)
    folder = site.store / unit.folder(site.study)
    folder.mkdir(parents=True)
    said = {"stage": unit.stage, "unit": unit.name, "key": unit.key, "study": "tiny", "spec_digest": "0" * 64}
    (folder / "manifest.json").write_text(Manifest(**said, section=unit.section).json_line())


@pytest.mark.parametrize("made_by", ["cuda with fla", "cuda with torch", "cpu"])
def test_what_pods_with_gpus_have_made_is_found_without_one_and_nothing_else_is(made_by: str, site: Site) -> None:
    kind, _, kernels = made_by.partition(" with ")
    resources = {"search": {"gpus_per_node": 1}}
    site.study = tiny_study(agents=[{"scaffold": "greedy", "model": "offline", "seeds": 2}], resources=resources)
    with assuming(kind, kernels or "torch"):  # type: ignore[arg-type]
        for unit in search_units(site.study):
            _make(site, unit.name)
    made = site.waiter().carry_out()["search"]
    assert len(made) == 2
    assert bool(site.started()) == (made_by == "cpu")
