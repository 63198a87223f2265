"""Runs of Kubeflow Pipelines over real HTTP: what is read, what is refused, what is asked again."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aira_lib.cluster import rest
from aira_lib.cluster.rest import KubeflowError, Unanswered
from aira_lib.cluster.run import PART, NewRun, inline
from aira_lib.cluster.runs import RunsApi
from aira_lib.errors import UserError
from tests.aira_lib.remote.small_platform import SPEC, Platform, platform
from tests.fakes.http import Answer


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    with platform(tmp_path) as made:
        monkeypatch.setattr(rest, "BACKOFF", 0.0)
        yield made


def new(there: Platform, number: int = 0, **fields: Any) -> NewRun:
    values: dict[str, Any] = {
        "id": f"00000000-0000-0000-0000-{number:012}",
        "name": f"run-{number}",
        "experiment_id": there.runs().experiment("aira"),
        "source": SPEC,
        "parameters": {},
        "service_account": "aira-pipeline",
    }
    return NewRun(**{**values, **fields})


def test_a_run_is_read_as_the_server_tells_it(there: Platform) -> None:
    made = there.runs().create(new(there, parameters={"n": 2, "of": {"x": 1}}, description="for people"))
    assert made.state == "PENDING"
    assert not made.ended
    assert made.created is not None
    assert made.finished is None, "the server writes 1970 for what has not come"
    assert made.version is None
    assert made.parameters == {"n": 2.0, "of": {"x": 1.0}}
    assert (made.description, made.service_account) == ("for people", "aira-pipeline")
    error = {"code": 13, "message": "out of memory"}
    there.kubeflow.progress(made.id, "FAILED", tasks=[{"display_name": "t", "state": "FAILED", "error": error}])
    failed = there.runs().get(made.id)
    assert failed
    assert failed.ended
    assert not failed.succeeded
    assert failed.finished is not None
    assert [(task.name, task.state, task.error) for task in failed.tasks] == [("t", "FAILED", "out of memory")]


def test_a_pipeline_travels_with_what_kubernetes_gets(there: Platform) -> None:
    platform_spec = {"platforms": {"kubernetes": {}}}
    run = there.runs().create(new(there, source=inline([SPEC, platform_spec])))
    assert there.kubeflow.runs[run.id]["pipeline_spec"] == {"pipeline_spec": SPEC, "platform_spec": platform_spec}
    assert inline([SPEC]) == SPEC


def test_lists_are_read_to_their_end_by_pages(there: Platform) -> None:
    runs = there.runs()
    made = new(there)
    for number in range(130):
        description = "" if number < 3 else f"{PART}{made.id}"
        there.kubeflow.create_run(replace(made, id=str(number), name=f"run-{number}", description=description).body())
    assert len(runs.list(most=1_000)) == 130
    assert len(runs.list(most=110)) == 110
    assert [run.name for run in runs.list(name="run-7")] == ["run-7"]
    assert {run.name for run in runs.list(most=20, parts=False)} == {"run-0", "run-1", "run-2"}
    assert runs.list(experiment_id=there.kubeflow.add_experiment("other")) == []


def test_what_exists_is_adopted(there: Platform) -> None:
    first, made = there.runs().ensure(new(there))
    again, made_again = there.runs().ensure(new(there))
    assert (made, made_again) == (True, False)
    assert first.id == again.id
    assert len(there.kubeflow.workflows()) == 1


def test_a_row_that_is_late_is_waited_for(there: Platform) -> None:
    run = new(there)
    labels = {"pipeline/runid": run.id}
    there.kubernetes.put(
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
         "metadata": {"name": "w", "namespace": "aira", "labels": labels}}
    )  # fmt: skip
    looks = iter([None, None, lambda: there.kubeflow.runs.update({run.id: {**run.body(), "state": "PENDING"}})])
    runs = RunsApi(there.cluster, there.workflow_names, pause=lambda seconds: (step := next(looks)) and step())
    found, made = runs.ensure(run)
    assert (found.id, made) == (run.id, False)


def test_a_run_is_ended_once_and_answers_that_are_lost_are_looked_after(there: Platform) -> None:
    runs = there.runs()
    run = runs.create(new(there))
    there.kubeflow.drop("POST .*:terminate$", after=True)
    runs.terminate(run.id)
    assert there.kubeflow.state(run.id) == "CANCELING"
    runs.terminate(run.id)
    there.kubeflow.progress(run.id, "CANCELED")
    runs.terminate(run.id)
    assert there.kubeflow.count("POST .*:terminate$") == 1
    with pytest.raises(UserError, match="there is none"):
        runs.terminate("nowhere")


def test_reading_is_patient_and_not_for_ever(there: Platform) -> None:
    run = there.runs().create(new(there))
    there.kubeflow.fail("GET .*/runs/", 503, times=6)
    assert there.runs().get(run.id)
    there.kubeflow.fail("GET .*/runs/", 503, times=100)
    with pytest.raises(Unanswered, match="503"):
        there.runs().get(run.id)


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (Answer(200, b"<html>"), "no JSON"),
        (Answer(302, b"", headers={"Location": "http://login.example"}), "a login stands before it"),
        (Answer(403, b'{"code":7,"message":"no access\\nto aira"}'), "no access to aira; give this service account"),
        (Answer(400, b'{"error":"what?"}'), "400 what?"),
        (Answer(401, b"\xff"), "audience"),
    ],
)
def test_what_the_server_says_is_one_line(there: Platform, answer: Answer, line: str) -> None:
    there.kubeflow.route("GET .*/runs/", lambda request: answer)
    with pytest.raises(KubeflowError) as refused:
        there.runs().get("x")
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("address", ["ml-pipeline:8888", "ftp://x", "http://"])
def test_an_address_that_is_none_is_one_line(there: Platform, address: str) -> None:
    kubeflow = there.cluster.kubeflow.model_copy(update={"api": address})
    with pytest.raises(UserError, match=r"kubeflow\.api"):
        RunsApi(there.cluster.model_copy(update={"kubeflow": kubeflow}), reads=0).get("x")


def test_a_token_that_cannot_be_read_is_one_line(there: Platform) -> None:
    (there.folder / "token").unlink()
    assert there.runs().get("x") is None  # without one: where nobody asks for it
    (there.folder / "token").mkdir()
    with pytest.raises(UserError, match=r"mend kubeflow\.token"):
        there.runs().get("x")


def test_parameters_that_the_server_does_not_take_are_refused_and_not_sent_again(there: Platform) -> None:
    with pytest.raises(KubeflowError, match="exceed maximum size"):
        there.runs().create(new(there, parameters={"study": "x" * 20_000}))
    assert there.kubeflow.count("POST .*/runs$") == 1


def test_a_server_that_never_heard_of_it_is_told_again(there: Platform) -> None:
    """A connection that was not made is no lost answer."""
    there.kubeflow.drop("POST .*/runs$", after=False, times=2)
    assert there.runs().create(new(there)).id
    assert len(there.kubeflow.workflows()) == 1
