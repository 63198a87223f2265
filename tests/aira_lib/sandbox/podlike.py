"""A cluster in which candidates' pods run: the fake API, and processes of this machine in the place of containers."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from aira_lib.cluster.api import Kubernetes, connect
from aira_lib.cluster.section import CandidateSection, Cluster, Images
from aira_lib.sandbox.pods import Pods
from tests.fakes.executing import Executing
from tests.fakes.kubernetes import FakeKubernetes

NAMESPACE = "aira-sandbox"
IMAGE = f"registry.example/aira-sandbox@sha256:{'5' * 64}"


def cluster_section(**candidates: object) -> Cluster:
    images = Images(cpu=IMAGE, train=IMAGE, eval=IMAGE, sandbox=IMAGE)
    section = CandidateSection.model_validate({"start_seconds": 5, **candidates})
    return Cluster(store="s3://bucket/aira", images=images, candidates=section)


@dataclass
class PodLike:
    fake: FakeKubernetes
    executing: Executing
    pods: Pods
    folder: Path

    def names(self) -> list[str]:
        return [pod["metadata"]["name"] for pod in self.fake.all_of("pods", NAMESPACE)]


@contextmanager
def podlike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PodLike]:
    """Work directories in pods lie in another folder than here, so what is not sent is not there."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    inside = tmp_path / "pod"
    inside.mkdir()
    with FakeKubernetes(("aira", NAMESPACE)) as fake:
        monkeypatch.setenv("KUBECONFIG", str(fake.kubeconfig(tmp_path / "kubeconfig")))
        executing = Executing(fake)
        kubernetes: Kubernetes = connect(NAMESPACE)

        def empty(pod: str) -> None:
            shutil.rmtree(inside)
            inside.mkdir()

        executing.before = empty
        pods = Pods(
            cluster_section(), kubernetes, None, place=lambda workdir: str(inside / workdir.name),
            home=str(inside / "home"), unreachable=(),
        )  # fmt: skip
        try:
            yield PodLike(fake, executing, pods, inside)
        finally:
            executing.close()
            kubernetes.connection.close()
