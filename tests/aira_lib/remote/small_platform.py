"""A cluster of fakes with what the remote part of the library is given: its settings, its runs, its Kubernetes API."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aira_lib.cluster.api import Kubernetes, connect
from aira_lib.cluster.runs import RUN_LABEL, RunsApi
from aira_lib.cluster.section import Cluster
from aira_lib.remote.run_file import Wanted, load_run_file
from aira_lib.remote.submit import Submitter
from tests.builders import CLUSTER
from tests.fakes.kubeflow import FakeKubeflow
from tests.fakes.kubernetes import FakeKubernetes

SPEC = {"pipelineInfo": {"name": "aira-compose"}}


class Platform:
    """Both fakes, with an experiment and a pipeline of two versions."""

    def __init__(self, folder: Path, kubernetes: FakeKubernetes, kubeflow: FakeKubeflow) -> None:
        self.folder, self.kubernetes, self.kubeflow = folder, kubernetes, kubeflow
        kubeflow.add_experiment("aira", "aira")
        self.old = kubeflow.add_pipeline("aira-compose", "v1", SPEC)
        self.newest = kubeflow.add_pipeline("aira-compose", "v2", SPEC)
        self.kubeconfig = kubernetes.kubeconfig(folder / "kubeconfig")
        (folder / "token").write_text("secret\n")
        self.cluster = self.cluster_with()

    def cluster_with(self, **other: Any) -> Cluster:
        kubeflow = {"api": self.kubeflow.url, "token": str(self.folder / "token"), "ui": "http://ui.example/"}
        return Cluster.model_validate({**CLUSTER, "kubeflow": kubeflow, **other})

    def runs(self) -> RunsApi:
        return RunsApi(self.cluster, self.workflow_names, pause=lambda seconds: None)

    def workflow_names(self, run_id: str) -> list[str]:
        found = self.kubernetes.all_of("workflows", "aira")
        return [one["metadata"]["name"] for one in found if one["metadata"]["labels"][RUN_LABEL] == run_id]

    def client(self) -> Kubernetes:
        return connect("aira")

    def submitter(self, granted: int = 1, pause: float = 0.01) -> Submitter:
        return Submitter(self.cluster, self.runs(), self.client(), granted, pause)

    def wanted(self, text: str) -> Wanted:
        path = self.folder / "run.yaml"
        path.write_text(text)
        return load_run_file(path, self.cluster)


@contextmanager
def platform(folder: Path) -> Iterator[Platform]:
    """A platform, from `with` to its end."""
    with FakeKubernetes() as kubernetes, FakeKubeflow(kubernetes) as kubeflow:
        yield Platform(folder, kubernetes, kubeflow)
