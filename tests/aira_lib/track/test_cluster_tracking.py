"""Stages that follow their own logs, as on a cluster: one writer a run, with Kubeflow's plugin or without."""

import os
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from aira_lib.track import follow
from aira_lib.track.follow import RUN_NAME_TAG, RUN_TAG, followed, tell_study
from aira_lib.track.log import TrackLog
from tests.fakes.mlflow import FakeMLflow

pytestmark = pytest.mark.skipif(not find_spec("mlflow"), reason="MLflow is not installed (extra tracking)")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMLflow]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    with FakeMLflow() as fake:
        yield fake


def stage(server: FakeMLflow, folder: Path, key: str, name: str, fail: bool = False, last: bool = False) -> None:
    """What a stage's process does with its log."""
    log = TrackLog(folder / name.replace("/", "-") / "track.jsonl")
    log.tags({RUN_TAG: key, RUN_NAME_TAG: name})
    log.status("running")
    with followed(server.url, "s", "d", log.path, last, {"seed": 1}):
        log.metrics({"loss": 0.5}, step=1)
        if fail:
            raise RuntimeError("no")
        log.status("finished")


def test_many_pods_at_once_leave_the_parent_to_its_writer(server: FakeMLflow, tmp_path: Path) -> None:
    assert tell_study(server.url, "s", "d", "running", {"seed": 1})
    parent = server.by_key()["study:d"]["info"]["run_id"]
    server.writes.clear()
    keys = [f"search:k{number}" for number in range(6)]
    pods = [threading.Thread(target=stage, args=(server, tmp_path, key, f"search/{key}")) for key in keys]
    for pod in pods:
        pod.start()
    for pod in pods:
        pod.join()
    runs = server.by_key()
    assert set(runs) == {"study:d", *keys}
    assert parent not in {run_id for run_id, _ in server.writes}
    for key in keys:
        assert runs[key]["data"]["tags"]["mlflow.parentRunId"] == parent
        assert (runs[key]["info"]["run_name"], runs[key]["info"]["status"]) == (f"search/{key}", "FINISHED")


def test_a_unit_that_fails_is_no_end_of_its_study(server: FakeMLflow, tmp_path: Path) -> None:
    tell_study(server.url, "s", "d", "running")
    with pytest.raises(RuntimeError):
        stage(server, tmp_path, "search:k", "search/a.s0", fail=True)
    runs = server.by_key()
    assert (runs["search:k"]["info"]["status"], runs["study:d"]["info"]["status"]) == ("FAILED", "RUNNING")
    stage(server, tmp_path, "", "report", last=True)
    assert server.by_key()["study:d"]["info"]["status"] == "FINISHED"


def test_whoever_makes_the_parent_says_what_the_study_chose(server: FakeMLflow, tmp_path: Path) -> None:
    stage(server, tmp_path, "search:k", "search/a.s0")
    assert server.by_key()["study:d"]["data"]["params"] == {"seed": "1"}


def test_runs_of_the_plugin_become_ours_and_lie_below_the_study(
    server: FakeMLflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = server.plugin_run("aira/s", "aira-s-1")
    begin = server.plugin_run("aira/s", "begin", whole)
    monkeypatch.setenv("MLFLOW_RUN_ID", begin)
    tell_study(server.url, "s", "d", "running", {"seed": 1})
    assert "MLFLOW_RUN_ID" not in os.environ, "MLflow would take it for every run that it makes"
    chunk = server.plugin_run("aira/s", "chunk")
    task = server.plugin_run("aira/s", "search", server.plugin_run("aira/s", "for-loop", chunk))
    monkeypatch.setenv("MLFLOW_RUN_ID", task)
    stage(server, tmp_path, "search:k", "search/a.s0")
    runs = server.by_key()
    assert runs["study:d"]["info"]["run_id"] == whole
    assert (runs["study:d"]["info"]["run_name"], runs["study:d"]["data"]["params"]) == ("s", {"seed": "1"})
    assert runs["search:k"]["info"] | {"end_time": 0} == server.runs[task]["info"] | {"end_time": 0}
    assert (runs["search:k"]["info"]["run_name"], runs["search:k"]["info"]["status"]) == ("search/a.s0", "FINISHED")
    assert runs["search:k"]["data"]["tags"]["mlflow.parentRunId"] == whole


@pytest.mark.parametrize("elsewhere", ["another experiment", "no such run"])
def test_a_run_that_cannot_be_ours_changes_nothing(
    elsewhere: str, server: FakeMLflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered = server.plugin_run("Default", "search") if elsewhere == "another experiment" else "0" * 32
    monkeypatch.setenv("MLFLOW_RUN_ID", offered)
    stage(server, tmp_path, "search:k", "search/a.s0")
    assert set(server.by_key()) == {"study:d", "search:k"}
    assert offered not in {run_id for run_id, _ in server.writes}


def test_a_second_attempt_goes_on_with_the_first_ones_run(
    server: FakeMLflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for attempt in ("one", "two"):
        monkeypatch.setenv("MLFLOW_RUN_ID", server.plugin_run("aira/s", attempt))
        stage(server, tmp_path, "search:k", "search/a.s0")
    assert set(server.by_key()) == {"study:d", "search:k"}


def test_a_server_that_is_busy_at_the_end_is_asked_again(
    server: FakeMLflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow.time, "sleep", lambda seconds: None)
    server.fail("POST .*/runs/search", 503, times=2)
    stage(server, tmp_path, "search:k", "search/a.s0")
    assert server.by_key()["search:k"]["info"]["status"] == "FINISHED"
    server.fail("POST .*/runs/search", 503, times=2)
    assert tell_study(server.url, "s", "d", "failed")
    assert server.by_key()["study:d"]["info"]["status"] == "FAILED"


def test_a_server_that_is_away_is_no_end_of_a_stage(
    server: FakeMLflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "PATIENCE", 0.0)
    server.fail("", 503, times=10_000)
    stage(server, tmp_path, "search:k", "search/a.s0")
    assert not tell_study(server.url, "s", "d", "running")
