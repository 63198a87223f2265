"""Following a run, and its file from the run."""

import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from aira_lib.errors import UserError
from aira_lib.remote.export import exported
from aira_lib.remote.follow import LEFT, follow, leaving
from aira_lib.remote.run_file import load_run_file
from tests.aira_lib.remote.small_platform import SPEC, Platform

FILE = """
name: first
pipeline: aira-compose
version: v1
preset: smoke
attempt: 3
overrides: {agents.0.steps: 2, proxy.epochs: 7}
"""


def started(there: Platform, **fields: Any) -> str:
    """A run as the UI starts it; its id."""
    pipeline, version = there.newest
    source = {"pipeline_version_reference": {"pipeline_id": pipeline, "pipeline_version_id": version}}
    made = there.kubeflow.create_run({"display_name": "My run (2)", **source, **fields})
    return str(made["run_id"])


def test_each_change_is_told_once_and_an_absence_of_the_server_is_waited_for(there: Platform) -> None:
    run_id = started(there)
    tasks = [
        {"display_name": "begin", "state": "SUCCEEDED", "pod_name": "p-1"},
        {"display_name": "searches", "state": "FAILED", "pod_name": "p-2", "error": {"message": "3 of 20\nfailed"}},
    ]
    steps = iter(
        [
            lambda: there.kubeflow.progress(run_id, "RUNNING", tasks=tasks[:1]),
            lambda: there.kubeflow.drop("GET .*/runs/", after=False, times=7),
            lambda: None,
            lambda: there.kubeflow.progress(run_id, "FAILED", tasks=tasks, error="stopped"),
        ]
    )
    said: list[str] = []
    run = follow(there.runs(), run_id, said.append, pause=lambda seconds: next(steps)())
    assert run.state == "FAILED"
    lines = [line.strip().split("  ", 1)[1] for line in said]
    assert lines[:3] == ["run: pending", "begin: succeeded", "run: running"]
    assert sum("does not answer" in line for line in lines) == 1
    assert lines[-2:] == ["searches: failed (3 of 20 failed)", "run: failed (stopped; searches: 3 of 20 failed)"]


def test_told_to_end_it_says_that_the_run_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as left, leaving(print, "abc"):
        signal.raise_signal(signal.SIGTERM)
    assert left.value.code == LEFT == 143
    assert "the run goes on: aira runs watch abc" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_run_that_was_submitted_is_exported_as_the_same_run(there: Platform, tmp_path: Path) -> None:
    wanted = there.wanted(FILE)
    run = there.submitter().submit(wanted).run
    assert run
    path = tmp_path / "again.yaml"
    path.write_text(exported(run, there.runs()))
    assert load_run_file(path, there.cluster).run_id == wanted.run_id


def test_a_run_of_the_form_is_exported_without_what_was_left_empty(there: Platform, tmp_path: Path) -> None:
    study = '{"name":"tiny","task":{"layers":4}}'
    parameters = {
        "preset": "own-study",
        "study": study,
        "units_at_once": 4,
        "store": "",
        "overrides": {},
        "confirm": "",
    }
    run = there.runs().get(started(there, runtime_config={"parameters": parameters}))
    assert run
    text = exported(run, there.runs())
    assert yaml.safe_load(text) == {
        "name": "my-run-2",
        "pipeline": "aira-compose",
        "version": "v2",
        "study": {"name": "tiny", "task": {"layers": 4}},
        "units_at_once": 4,
    }
    assert run.id in text.splitlines()[0]


def test_what_no_run_file_can_say_is_not_exported(there: Platform) -> None:
    inline = there.runs().get(started(there, pipeline_spec=SPEC, pipeline_version_reference=None))
    other = there.runs().get(started(there, runtime_config={"parameters": {"learning_rate": 1}}))
    assert inline
    assert other
    with pytest.raises(UserError, match="part of another run"):
        exported(inline, there.runs())
    with pytest.raises(UserError, match="no learning_rate"):
        exported(other, there.runs())
