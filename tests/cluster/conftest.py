"""The servers that these tests run against."""

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from aira_lib.cluster.api import Kubernetes, connect
from tests.cluster.server import Server, real_api, served
from tests.fakes.kubernetes import FakeKubernetes


@pytest.fixture(scope="module", params=["fake", pytest.param("real", marks=pytest.mark.cluster)])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    pytest.importorskip("kubernetes")
    if request.param == "real":
        api = real_api(request.config.option.markexpr, os.environ.get("KUBECONFIG"), connect)
        with served(api, True) as made:
            yield made
        return
    with FakeKubernetes() as fake, pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(fake.kubeconfig(tmp_path_factory.mktemp("fake") / "kubeconfig")))
        api = connect()
        with served(Kubernetes(replace(api.connection, patience=5.0), api.namespace), False) as made:
            yield made
