"""The smoke study on a whole cluster: `aira submit` starts it once, and it leaves its report in the store.

AIRA_CLUSTER names the cluster's file; the charts are installed there. Where KUBECONFIG is used from outside, the
addresses of Kubeflow Pipelines and of the store in that file have to be reachable from here.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aira_lib.cluster.reading import load_cluster
from aira_lib.cluster.rest import KubeflowError, Unanswered
from aira_lib.cluster.runs import RunsApi
from aira_lib.errors import UserError
from aira_lib.store import open_store
from tests.cluster.server import Server

PIPELINE = "aira-smoke-test"
"""Of `aira compile --pipeline smoke`."""

LIMIT_SECONDS = 2 * 3600


def aira(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "aira_lib.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)


def test_the_smoke_study_runs_once_and_leaves_its_report(server: Server, tmp_path: Path) -> None:
    if not server.real:
        pytest.skip("the fake runs no pods")
    if not server.nodes:
        pytest.skip("no node is ready: this is an API server without kubelets")
    if server.kind("argoproj.io/v1alpha1", "Workflow") is None:
        pytest.skip("Workflows are not served: Kubeflow Pipelines is not installed")
    file = os.environ.get("AIRA_CLUSTER")
    if not file:
        pytest.skip("AIRA_CLUSTER names no file of this cluster")
    cluster = load_cluster(Path(file))
    try:
        RunsApi(cluster).version(PIPELINE)
    except (KubeflowError, Unanswered) as error:
        pytest.skip(f"Kubeflow Pipelines cannot be asked from here: {error}")
    except UserError as error:
        pytest.skip(f"the pipeline is not installed: {error}")

    run = tmp_path / "smoke.yaml"
    store = f"{cluster.store}/tests/{server.runs}"
    run.write_text(f"name: smoke-test\npipeline: {PIPELINE}\nstore: {store}\n")
    first = aira("submit", run, "--cluster", file, "--follow")
    assert first.returncode == 0, first.stdout + first.stderr
    again = aira("submit", run, "--cluster", file)
    assert "was there already" in again.stdout
    kept = open_store(store)
    assert any(name.endswith("report.html") for name in kept.list()), "there is no report"
    assert not [name for name in kept.list() if "/failures/" in name]
