"""The fake API of Kubeflow Pipelines: the real order of effects."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.fakes.http import Json
from tests.fakes.kubeflow import FakeKubeflow
from tests.fakes.kubernetes import FakeKubernetes

SPEC = {"pipelineInfo": {"name": "aira"}}


@pytest.fixture
def kubeflow() -> Iterator[FakeKubeflow]:
    with FakeKubernetes() as cluster, FakeKubeflow(cluster) as server:
        yield server


def call(kubeflow: FakeKubeflow, method: str, path: str, body: Any = None, **query: str) -> tuple[int, Json]:
    answer = requests.request(method, f"{kubeflow.url}/apis/v2beta1/{path}", json=body, params=query, timeout=10)
    return answer.status_code, answer.json()


def a_run(**fields: Any) -> Json:
    return {"run_id": str(uuid.uuid4()), "display_name": "r", "pipeline_spec": SPEC, **fields}


def test_a_run_keeps_its_id_and_goes_through_its_states(kubeflow: FakeKubeflow) -> None:
    wanted = a_run(runtime_config={"parameters": {"seeds": 3, "study": "s"}})
    status, run = call(kubeflow, "POST", "runs", wanted)
    assert (status, run["run_id"], run["state"]) == (200, wanted["run_id"], "PENDING")
    assert run["finished_at"] == "1970-01-01T00:00:00Z"
    kubeflow.progress(run["run_id"], "FAILED", tasks=[{"display_name": "begin", "state": "FAILED"}], error="no")
    _, run = call(kubeflow, "GET", f"runs/{run['run_id']}")
    assert (run["state"], run["error"]["message"]) == ("FAILED", "no")
    assert run["run_details"]["task_details"][0]["display_name"] == "begin"
    assert call(kubeflow, "GET", f"runs/{uuid.uuid4()}")[0] == 404


def test_a_second_run_of_an_id_leaves_a_workflow_that_reports_into_the_first_ones_row(kubeflow: FakeKubeflow) -> None:
    wanted = a_run()
    assert call(kubeflow, "POST", "runs", wanted)[0] == 200
    assert call(kubeflow, "POST", "runs", wanted)[0] == 500
    _, second = kubeflow.workflows(wanted["run_id"])
    kubeflow.report(second["metadata"]["name"], "FAILED")
    assert kubeflow.state(wanted["run_id"]) == "FAILED"


def test_a_server_that_dies_between_leaves_a_workflow_without_a_row(kubeflow: FakeKubeflow) -> None:
    def die(_: Json) -> None:
        raise RuntimeError("killed")

    kubeflow.between.append(die)
    with pytest.raises(requests.ConnectionError):
        call(kubeflow, "POST", "runs", wanted := a_run())
    assert len(kubeflow.workflows(wanted["run_id"])) == 1
    assert call(kubeflow, "GET", f"runs/{wanted['run_id']}")[0] == 404


def test_an_answer_that_is_lost_had_its_effect(kubeflow: FakeKubeflow) -> None:
    kubeflow.drop("POST .*/runs$")
    with pytest.raises(requests.ConnectionError):
        call(kubeflow, "POST", "runs", wanted := a_run())
    assert call(kubeflow, "GET", f"runs/{wanted['run_id']}")[0] == 200


def test_pipelines_are_found_by_name_and_the_newest_version_is_the_default(kubeflow: FakeKubeflow) -> None:
    pipeline, _ = kubeflow.add_pipeline("aira", "v1", SPEC)
    _, newest = kubeflow.add_pipeline("aira", "v2", SPEC)
    assert call(kubeflow, "GET", "pipelines/names/aira")[1]["pipeline_id"] == pipeline
    by_name = json.dumps({"predicates": [{"key": "name", "operation": "EQUALS", "string_value": "v1"}]})
    _, found = call(kubeflow, "GET", f"pipelines/{pipeline}/versions", filter=by_name)
    assert [one["name"] for one in found["pipeline_versions"]] == ["v1"]
    reference = {"pipeline_id": pipeline}
    _, run = call(kubeflow, "POST", "runs", {"display_name": "r", "pipeline_version_reference": reference})
    assert run["pipeline_version_reference"]["pipeline_version_id"] == newest


def test_lists_come_in_pages_and_parameters_have_a_limit(kubeflow: FakeKubeflow) -> None:
    for number in range(25):
        call(kubeflow, "POST", "runs", a_run(display_name=f"r{number}"))
    _, first = call(kubeflow, "GET", "runs")
    _, rest = call(kubeflow, "GET", "runs", page_token=first["next_page_token"])
    assert [len(first["runs"]), len(rest["runs"])] == [20, 5]
    long = a_run(runtime_config={"parameters": {"study": "x" * 10_001}})
    assert call(kubeflow, "POST", "runs", long)[0] == 400
    assert kubeflow.workflows(long["run_id"]) == []


def test_a_run_is_stopped_by_way_of_its_workflow(kubeflow: FakeKubeflow) -> None:
    _, run = call(kubeflow, "POST", "runs", a_run())
    assert call(kubeflow, "POST", f"runs/{run['run_id']}:terminate")[0] == 200
    assert kubeflow.state(run["run_id"]) == "CANCELING"
    assert kubeflow.workflows(run["run_id"])[0]["spec"]["activeDeadlineSeconds"] == 0
    kubeflow.progress(run["run_id"], "CANCELED")
    assert call(kubeflow, "POST", f"runs/{run['run_id']}:terminate")[0] == 400


def test_a_token_that_is_not_known_is_no_login(kubeflow: FakeKubeflow) -> None:
    kubeflow.tokens = {"known"}
    assert call(kubeflow, "GET", "runs")[0] == 401
