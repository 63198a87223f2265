"""A whole study by the pipeline of a cluster: its small tasks by `kfp.local`, its units by runs that they start."""

import json
from pathlib import Path
from typing import Any

import pytest

from aira_lib.flow.stage import STAGES
from aira_lib.records import Manifest
from aira_lib.store import open_store
from tests import warm_start
from tests.a_cluster import cluster_file
from tests.fakes.kubeflow import FakeKubeflow
from tests.fakes.kubernetes import FakeKubernetes

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("plain_kernels")]


def _execute(run: dict[str, Any]) -> str:
    """What Argo does of a chunk's pipeline: the stages of each item, one after the other."""
    spec = run["pipeline_spec"]["pipeline_spec"]
    loop = spec["root"]["dag"]["tasks"]["for-loop-2"]
    tasks = spec["components"][loop["componentRef"]["name"]]["dag"]["tasks"]
    stages = [stage for stage in STAGES if stage in tasks]
    given = tasks[stages[0]]["inputs"]["parameters"]
    constants = {name: each["runtimeValue"]["constant"] for name, each in given.items() if "runtimeValue" in each}
    requests = [
        {**constants, "unit": item, "stages": stages} for item in json.loads(loop["parameterIterator"]["items"]["raw"])
    ]
    done = warm_start.run("tests.cluster_study", "units", json.dumps(requests))
    return "FAILED" if done.returncode else "SUCCEEDED"


def test_a_study_goes_from_begin_to_report_through_runs_of_its_units(
    s3_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeKubernetes() as kubernetes, FakeKubeflow(kubernetes) as kubeflow:
        kubeflow.executor = _execute
        address = {"api": kubeflow.url, "token": "/none"}
        monkeypatch.setenv("AIRA_CLUSTER", str(cluster_file(tmp_path, store=s3_uri, kubeflow=address)))
        monkeypatch.setenv("KUBECONFIG", str(kubernetes.kubeconfig(tmp_path / "kubeconfig")))
        monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path / "scratch"))
        done = warm_start.run("tests.cluster_study", "pipeline", s3_uri, str(tmp_path / "kfp"))
        names = sorted(run["display_name"] for run in kubeflow.runs.values())
    assert done.returncode == 0, done.stdout + done.stderr
    assert names == ["smoke: points, part 1 of 1", "smoke: searches, part 1 of 1"]
    store = open_store(s3_uri)
    records = [name for name in store.list("smoke") if name.endswith("/manifest.json") and name.count("/") == 3]
    made = [Manifest.model_validate_json(store.read(name)) for name in records]
    stages = sorted(record.stage for record in made)
    assert stages == sorted(
        ["search"] * 2 + ["archive", "aggregate", "extrapolate"] + ["pretrain", "evaluate"] * 2 + ["report"]
    )
    report = next(record for record in made if record.stage == "report")
    assert len(report.inputs) == len(made) - 1
    assert f"/report/all-{report.key[:12]}" in done.stdout.splitlines()[-1]
