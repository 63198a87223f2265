"""`aira run` as a user gives it: the very pipeline, on this machine, tracked, interrupted and resumed."""

import json
import os
import random
import re
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from aira_lib.store import open_store
from aira_lib.study import digest
from aira_lib.study.reading import load_study
from tests import warm_start
from tests.builders import TINY_STUDY, small_text
from tests.record_tree import record_tree

pytestmark = pytest.mark.usefixtures("plain_kernels")


ISOTOKEN = {"scale": "nano", "tokens": 8192, "seeds": [0]}


def _command(study: Path, store: Path | str, *more: str) -> list[str]:
    return ["aira_lib.cli", "run", str(study), "--store", str(store), *more]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    pretrain = {**TINY_STUDY["pretrain"], "isotoken": ISOTOKEN, "data": small_text(folder / "text")}
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({**TINY_STUDY, "pretrain": pretrain}))
    return path


@pytest.fixture(scope="module")
def finished(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("finished")
    done = warm_start.run(*_command(study, store))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Made 11 records" in done.stdout
    return store


@pytest.mark.slow
def test_a_second_run_recomputes_nothing_and_says_so(study: Path, finished: Path) -> None:
    before = record_tree(finished)
    again = warm_start.run(*_command(study, finished))
    assert again.returncode == 0
    assert "Nothing was recomputed: all 11 records were there already." in again.stdout
    assert record_tree(finished) == before


@pytest.mark.slow
def test_mlflow_holds_one_experiment_a_parent_and_nested_runs(study: Path, finished: Path) -> None:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{finished}/mlflow.db")
    experiment = client.get_experiment_by_name("aira/tiny")
    runs = client.search_runs([experiment.experiment_id])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    nested = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parents[0].info.run_id]
    names = sorted(run.info.run_name for run in nested)
    assert [name.split("/")[0] for name in names] == ["pretrain"] * 2 + ["search"] * 3
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.tags["aira.spec_digest"] for run in runs} == {digest(load_study(study))}
    trained = [run for run in nested if run.info.run_name.startswith("pretrain/")]
    for run in trained:
        assert {"loss", "tokens", "flops", "validation_loss"} <= set(run.data.metrics)
        assert run.data.params["design"].endswith("@nano")
    assert any(item.path == "report.html" for item in client.list_artifacts(parents[0].info.run_id))


@pytest.mark.slow
def test_in_a_bucket_killed_and_interrupted_it_goes_on_to_the_same_records(
    study: Path, finished: Path, s3_uri: str, tmp_path: Path
) -> None:
    tracking = f"sqlite:///{tmp_path}/mlflow.db"
    command = _command(study, s3_uri, "--tracking", tracking)
    env, rng = {**os.environ, "AIRA_SCRATCH": str(tmp_path / "scratch")}, random.Random(0)
    for stage, blow in (("search", signal.SIGKILL), ("pretrain", signal.SIGINT), ("report", signal.SIGKILL)):
        process = warm_start.start(*command, env=env)
        while process.poll() is None and not _is_made(stage, s3_uri):
            time.sleep(0.1)
        time.sleep(rng.uniform(0.1, 0.6) * _seconds_of(stage, finished))
        assert process.poll() is None, process.communicate()
        process.send_signal(blow)
        assert process.wait(timeout=100) in (130, -signal.SIGKILL)
    done = warm_start.run(*command, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    _holds_the_same_records(s3_uri, finished, tmp_path / "copy")
    import mlflow

    client = mlflow.MlflowClient(tracking)
    runs = client.search_runs([client.get_experiment_by_name("aira/tiny").experiment_id])
    assert len(runs) == 6


def _seconds_of(stage: str, finished: Path) -> float:
    """What the shortest unit of a stage took where nothing disturbed it."""
    made = (json.loads(path.read_text()) for path in (finished / "tiny" / stage).glob("*/manifest.json"))
    return min(float(manifest["seconds"]) for manifest in made)


def _is_made(stage: str, bucket: str) -> bool:
    return any(name.endswith("/lease") for name in open_store(bucket).list(f"tiny/{stage}"))


def _holds_the_same_records(bucket: str, finished: Path, copy: Path) -> None:
    """Name for name and, but for the report, byte for byte what the undisturbed run left in its folder."""
    store = open_store(bucket)
    every = store.list()
    names = [n for n in every if n.startswith("tiny/") and "/report/" not in n and not n.endswith("track.jsonl")]
    here = {str(p.relative_to(finished)) for p in finished.rglob("*") if p.is_file()}
    assert _evaluations(every) == _evaluations(here) != set()
    wanted = {n for n in here if n.startswith("tiny/") and "/.run/" not in n and "/report/" not in n}
    assert _unnumbered(names) == _unnumbered(n for n in wanted if not n.endswith("track.jsonl"))
    for name in names:
        store.get(name, copy / name)
    ours, theirs = record_tree(copy), record_tree(finished)
    assert ours == {name: value for name, value in theirs.items() if not name.startswith("tiny/report/")}


def test_a_refusing_bucket_is_one_line(study: Path, s3_env: str) -> None:
    done = warm_start.run(*_command(study, "s3://no-such-bucket/x"))
    assert done.returncode == 2
    assert done.stderr.startswith("aira: ")
    assert done.stderr.strip().count("\n") == 0
    assert "no-such-bucket" in done.stderr


def _unnumbered(names: Iterable[str]) -> set[str]:
    """Names without the attempts' own, which are drawn."""
    return {re.sub(r"/\d+-[0-9a-f]{8}/", "/", name) for name in names}


def _evaluations(names: Iterable[str]) -> set[str]:
    return {name for name in names if name.startswith("evaluations/entries/")}
