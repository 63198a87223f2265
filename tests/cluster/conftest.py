"""The servers that these tests run against."""

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from aira_lib.cluster.api import Kubernetes, connect
from tests.cluster.server import Server, defined, real_api, served
from tests.fakes.kubernetes import FakeKubernetes


@pytest.fixture(scope="session", params=["fake", pytest.param("real", marks=pytest.mark.cluster)])
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kubernetes, bool]]:
    """The API as an administrator, and whether it is a real one."""
    pytest.importorskip("kubernetes")
    if request.param == "real":
        found = real_api(request.config.option.markexpr, os.environ.get("KUBECONFIG"), connect)
        with defined(found, True):
            yield found, True
        return
    with FakeKubernetes() as fake, pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(fake.kubeconfig(tmp_path_factory.mktemp("fake") / "kubeconfig")))
        made = connect()
        made = Kubernetes(replace(made.connection, patience=5.0), made.namespace)
        with defined(made, False):
            yield made, False


@pytest.fixture(scope="module")
def server(api: tuple[Kubernetes, bool]) -> Iterator[Server]:
    with served(*api) as made:
        yield made
