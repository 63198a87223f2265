"""Logs arrive in a real MLflow database, nested, once, whatever is interrupted or carried again."""

import logging
import math
import os
import signal
import sqlite3
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.errors import MissingDependency
from aira_lib.track import mlflow_sync
from aira_lib.track.address import sqlite_address, sqlite_file
from aira_lib.track.log import TrackLog
from aira_lib.track.mlflow_runs import KeyedRuns
from aira_lib.track.mlflow_sync import MLflowSync

pytestmark = pytest.mark.skipif(not find_spec("mlflow"), reason="MLflow is not installed (extra tracking)")


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """By the process that runs these tests, not by each that collects them: it takes seconds."""
    global mlflow
    import mlflow


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a database whose making was cut off by kill -9; it is made whole by the first who uses it."""
    folder = tmp_path_factory.mktemp("runs") / "my rüns, 100%20"  # a name that an address would spell otherwise
    folder.mkdir()
    program = (
        "import sys; from pathlib import Path; from aira_lib.track.connecting import create\ncreate(Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", program, str(folder / "mlflow.db")]
    with subprocess.Popen(command, start_new_session=True) as maker:
        while not any(path.stat().st_size for path in folder.glob("*.tmp")):
            assert maker.poll() is None, "it made nothing"
            time.sleep(0.01)
        os.killpg(maker.pid, signal.SIGKILL)
    return sqlite_address(folder / "mlflow.db")


@pytest.fixture
def sync(database: str) -> MLflowSync:
    return new_sync(database, f"aira/{uuid4().hex[:8]}")


def new_sync(uri: str, experiment: str) -> MLflowSync:
    return MLflowSync(uri, experiment, {"aira.spec_digest": "d1", "aira.study": "laptop"}, patience=0.0)


def runs_of(sync: MLflowSync) -> dict[str, Any]:
    """Runs by key, as anyone who asks MLflow sees them."""
    client = mlflow.MlflowClient(sync.tracking_uri)
    experiment = client.get_experiment_by_name(sync.experiment)
    runs = client.search_runs([experiment.experiment_id]) if experiment else []
    by_key = {run.data.tags["aira.key"]: run for run in runs}
    assert len(by_key) == len(runs), "two runs have one key"
    return by_key


def history(sync: MLflowSync, run: Any, name: str) -> list[tuple[int, float]]:
    points = mlflow.MlflowClient(sync.tracking_uri).get_metric_history(run.info.run_id, name)
    return sorted((point.step, point.value) for point in points)


def test_a_database_whose_making_was_cut_off_is_not_left_behind(database: str) -> None:
    """kill -9 in the middle of MLflow's migrations leaves a file that MLflow itself can never open again."""
    file = sqlite_file(database)
    assert file
    assert not file.exists() or sqlite3.connect(file).execute("select count(*) from runs").fetchone() == (0,)
    assert new_sync(database, "aira/x").set_status(None, "", "finished")


def test_a_study_is_a_parent_with_nested_runs(sync: MLflowSync, tmp_path: Path) -> None:
    search, report = TrackLog(tmp_path / "search" / "track.jsonl"), TrackLog(tmp_path / "report" / "track.jsonl")
    search.tags({"aira.stage": "search"})
    search.params({"seed": 0, "odd name (x)": "y" * 9000})
    search.metrics({"best/validation": 0.5, "tokens": 1e9}, step=0)
    search.metrics({"best/validation": math.nan}, step=1)
    search.status("finished")
    (tmp_path / "report" / "figures").mkdir()
    for name in ("report.html", "figures/a.svg"):
        (tmp_path / "report" / name).write_text(name)
        report.artifact(tmp_path / "report" / name)
    report.artifact(tmp_path / "report" / "never-written")
    report.status("finished")
    sync.sync("search:k1", "search/greedy.s0", search.path)
    sync.sync("search:k2", "search/greedy.s1", search.path)
    sync.sync(None, "report", report.path)

    runs = runs_of(sync)
    assert set(runs) == {"study:d1", "search:k1", "search:k2"}
    parent, first = runs["study:d1"], runs["search:k1"]
    assert parent.data.tags["aira.study"] == "laptop"
    assert parent.info.run_name == sync.experiment.removeprefix("aira/")
    assert parent.info.status == "RUNNING"
    assert {runs[key].data.tags["mlflow.parentRunId"] for key in ("search:k1", "search:k2")} == {parent.info.run_id}
    assert (first.info.run_name, first.info.status) == ("search/greedy.s0", "FINISHED")
    assert first.data.params["seed"] == "0"
    assert first.data.params["odd name _x_"].startswith("yyy")
    assert first.data.metrics["tokens"] == 1e9
    (start, better) = history(sync, first, "best/validation")
    assert start == (0, 0.5)
    assert math.isnan(better[1])
    artifacts = Path(unquote(parent.info.artifact_uri.removeprefix("file://")))
    assert artifacts.is_relative_to(Path(unquote(sync.tracking_uri.partition(":///")[2])).parent)
    assert (artifacts / "report.html").read_text() == "report.html"
    assert (artifacts / "figures" / "a.svg").read_text() == "figures/a.svg"
    beside = artifacts.parents[4]
    assert {path.name for path in beside.parent.iterdir()} == {beside.name}, "a stray folder"
    assert sync.set_params(None, "", {"proxy.epochs": 2})
    assert runs_of(sync)["study:d1"].data.params == {"proxy.epochs": "2"}
    assert sync.set_status(None, "", "finished")
    assert runs_of(sync)["study:d1"].info.status == "FINISHED"


def test_nothing_doubles_when_carried_again_or_resumed(sync: MLflowSync, tmp_path: Path) -> None:
    path = tmp_path / "pretrain" / "track.jsonl"
    log = TrackLog(path)
    log.params({"lr": 1})
    log.status("running")
    for step in range(1500):  # more than MLflow takes in a batch
        log.metrics({"loss": float(step)}, step)
    offset = sync.sync("pretrain:k", "p", path)
    assert sync.sync("pretrain:k", "p", path, offset) == offset

    log = TrackLog(path)
    log.params({"lr": 2, "new": 3})
    for step in range(1400, 1600):
        log.metrics({"loss": -1.0, "other": 1.0}, step)
    log.status("finished")
    for again in (sync, new_sync(sync.tracking_uri, sync.experiment)):
        for start in (offset, 0):
            assert again.sync("pretrain:k", "p", path, start) == path.stat().st_size

    run = runs_of(sync)["pretrain:k"]
    assert run.data.params == {"lr": "1", "new": "3"}
    assert run.info.status == "FINISHED"
    expected = [(step, float(step) if step < 1500 else -1.0) for step in range(1600)]
    assert history(sync, run, "loss") == expected
    assert history(sync, run, "other") == [(step, 1.0) for step in range(1400, 1600)]

    # A log that was lost and begun again, as on a machine that lost its scratch folder.
    path.unlink()
    log = TrackLog(path)
    for step in range(1590, 1610):
        log.metrics({"loss": -1.0}, step)
    new_sync(sync.tracking_uri, sync.experiment).sync("pretrain:k", "p", path, 0)
    assert [step for step, _ in history(sync, run, "loss")] == list(range(1610))


def test_two_logs_make_one_run(sync: MLflowSync, tmp_path: Path) -> None:
    for stage, metric in (("pretrain", "train_loss"), ("evaluate", "validation_loss")):
        log = TrackLog(tmp_path / stage / "p-1" / "track.jsonl")
        log.metrics({metric: 1.0}, step=10)
        log.status("finished")
        sync.sync("pretrain:k", "p", log.path)
    assert runs_of(sync)["pretrain:k"].data.metrics == {"train_loss": 1.0, "validation_loss": 1.0}


def test_an_artifact_is_uploaded_once_a_content(
    sync: MLflowSync, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads = []
    real = mlflow.MlflowClient.log_artifact
    monkeypatch.setattr(mlflow.MlflowClient, "log_artifact", lambda *a: (uploads.append(a[2]), real(*a)))
    page = tmp_path / "report.html"
    for text, expected in (("one", 1), ("one", 1), ("two", 2)):
        page.write_text(text)
        TrackLog(tmp_path / "track.jsonl").artifact(page)
        new_sync(sync.tracking_uri, sync.experiment).sync(None, "report", tmp_path / "track.jsonl")
        assert len(uploads) == expected
    (run,) = (run for key, run in runs_of(sync).items() if key == "study:d1")
    assert len([tag for tag in run.data.tags if tag.startswith("aira.artifact")]) == 1, (
        "a tag for each file hides others"
    )


def test_finished_logs_cost_only_a_look(sync: MLflowSync, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = TrackLog(tmp_path / "track.jsonl")
    log.metrics({"loss": 1.0}, 0)
    sync.sync("search:k", "s", log.path)
    for name in ("log_batch", "get_metric_history", "create_run", "set_terminated", "log_artifact"):
        monkeypatch.setattr(mlflow.MlflowClient, name, lambda *_, name=name, **__: pytest.fail(name))
    assert new_sync(sync.tracking_uri, sync.experiment).sync("search:k", "s", log.path) == log.path.stat().st_size


def test_a_broken_server_is_told_once_and_its_logs_wait(
    sync: MLflowSync, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = TrackLog(tmp_path / "track.jsonl")
    log.metrics({"loss": 1.0}, 0)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    broken = new_sync("http://me:secret@127.0.0.1:9", sync.experiment)
    with caplog.at_level(logging.WARNING, "aira_lib"):
        assert broken.sync("search:k", "s", log.path) == 0
        assert broken.sync("search:k", "s", log.path) == 0
        assert not broken.set_status(None, "", "finished")
    (record,) = [record for record in caplog.records if record.name.startswith("aira_lib")]
    assert "the work goes on" in record.getMessage()
    assert "\n" not in record.getMessage()
    assert "secret" not in record.getMessage()
    broken.tracking_uri, broken._client = sync.tracking_uri, None
    assert broken.sync("search:k", "s", log.path) == log.path.stat().st_size
    assert runs_of(sync)["search:k"].data.metrics == {"loss": 1.0}


def test_a_failure_half_way_is_made_up_for(sync: MLflowSync, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = TrackLog(tmp_path / "track.jsonl")
    log.params({"a": 1})
    for step in range(2500):
        log.metrics({"loss": 1.0}, step)
    real, calls = mlflow.MlflowClient.log_batch, []

    def third_fails_after_it_was_taken(self: Any, *args: Any, **arguments: Any) -> None:
        real(self, *args, **arguments)
        calls.append(arguments)
        if len(calls) == 3:
            raise ConnectionError("the answer was lost")

    monkeypatch.setattr(mlflow.MlflowClient, "log_batch", third_fails_after_it_was_taken)
    assert sync.sync("search:k", "s", log.path) == 0
    assert sync.sync("search:k", "s", log.path) == log.path.stat().st_size
    assert [step for step, _ in history(sync, runs_of(sync)["search:k"], "loss")] == list(range(2500))


def test_patience_leaves_a_failed_server_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = []

    def refuse(uri: str) -> None:
        attempts.append(uri)
        raise ConnectionError

    monkeypatch.setattr(mlflow_sync, "connect", refuse)
    log = TrackLog(tmp_path / "track.jsonl")
    log.tags({"a": "b"})
    sync = MLflowSync("http://nowhere", "aira/x", {"aira.spec_digest": "d"}, patience=1e6)
    for _ in range(5):
        assert sync.sync("search:k", "s", log.path) == 0
    assert len(attempts) == 1
    sync.retry_now()
    sync.sync("search:k", "s", log.path)
    assert len(attempts) == 2


def test_runs_made_at_once_become_one(sync: MLflowSync, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes look, find nothing, and both make the run."""
    log = TrackLog(tmp_path / "track.jsonl")
    log.metrics({"loss": 1.0}, 0)
    sync.set_status(None, "", "running")
    other, real, looks = new_sync(sync.tracking_uri, sync.experiment), KeyedRuns._with_key, []

    def second_one_comes_between(self: KeyedRuns, key: str) -> list[Any]:
        found = real(self, key)
        if self is other._runs and key == "search:k" and not looks:
            looks.append(key)
            sync.sync("search:k", "s", log.path)
        return found

    monkeypatch.setattr(KeyedRuns, "_with_key", second_one_comes_between)
    other.sync("search:k", "s", log.path)
    assert looks
    assert history(sync, runs_of(sync)["search:k"], "loss") == [(0, 1.0)]


def test_deleted_experiments_come_back(sync: MLflowSync, tmp_path: Path) -> None:
    log = TrackLog(tmp_path / "track.jsonl")
    log.tags({"a": "b"})
    sync.sync("search:k", "s", log.path)
    client = mlflow.MlflowClient(sync.tracking_uri)
    client.delete_experiment(client.get_experiment_by_name(sync.experiment).experiment_id)
    assert new_sync(sync.tracking_uri, sync.experiment).sync("search:k", "s", log.path) > 0
    assert "search:k" in runs_of(sync)


def test_tracking_leaves_nothing_in_the_working_folder(database: str, tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from aira_lib.track.log import TrackLog
from aira_lib.track.mlflow_sync import MLflowSync
log = TrackLog(Path("track.jsonl"))
log.artifact(Path("track.jsonl"))
print(MLflowSync({database!r}, "aira/quiet", {{"aira.spec_digest": "d"}}).sync("search:k", "s", log.path))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert int(done.stdout) > 0
    assert os.listdir(tmp_path) == ["track.jsonl"]


def test_without_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_sync, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"pip install -e '.*\[tracking\]'"):
        new_sync("sqlite:///x.db", "aira/x")


@given(st.text(max_size=300))
def test_any_name_becomes_one_that_mlflow_takes(text: str) -> None:
    from mlflow.utils.validation import _validate_metric_name, _validate_param_name, _validate_tag_name

    name = mlflow_sync._name(text)
    for validate in (_validate_metric_name, _validate_param_name, _validate_tag_name):
        validate(name)
    assert mlflow_sync._name(name) == name
