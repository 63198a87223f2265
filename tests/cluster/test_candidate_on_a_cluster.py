"""Candidates in pods of a whole cluster: what only its nodes can show. Needs kubelets, and the image for candidates.

AIRA_CLUSTER names the cluster's file; charts/aira is installed there, so a policy closes the candidates' namespace.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aira_lib.cluster.kinds import PODS
from aira_lib.cluster.reading import load_cluster
from aira_lib.sandbox.manifest import COMPONENT, CONTAINER
from aira_lib.sandbox.pods import Pods
from aira_lib.study import CandidateLimits
from tests.cluster.server import Server

LIMITS = CandidateLimits(seconds=60, memory_mb=512, disk_mb=32, processes=16)


@pytest.fixture
def pods(server: Server) -> Iterator[Pods]:
    if not server.real:
        pytest.skip("the fake runs no pods")
    if not server.nodes:
        pytest.skip("no node is ready: this is an API server without kubelets")
    file = os.environ.get("AIRA_CLUSTER")
    if not file:
        pytest.skip("AIRA_CLUSTER names no file of this cluster")
    cluster = load_cluster(Path(file))
    if cluster.candidates is None:
        pytest.skip(f"{file} has no section candidates")
    there = server.api.within(cluster.candidates.namespace)
    before = {pod["metadata"]["name"] for pod in there.find(PODS, f"{COMPONENT}={CONTAINER}")}
    yield Pods(cluster, there, None)
    after = {pod["metadata"]["name"] for pod in there.find(PODS, f"{COMPONENT}={CONTAINER}")}
    assert after <= before


def work(tmp_path: Path) -> Path:
    (folder := tmp_path / "work").mkdir()
    return folder.resolve()


def test_files_go_in_and_outputs_come_out(pods: Pods, tmp_path: Path) -> None:
    (data := tmp_path / "data").mkdir()
    (data / "x.bin").write_bytes(os.urandom(8 << 20))
    code = "open('out', 'wb').write(open('data/x.bin', 'rb').read()[::-1]); print(1)"
    outcome = pods.run(code, workdir := work(tmp_path), LIMITS, 60, {"data": data}, ("out",))
    assert (outcome.status, outcome.stdout_tail) == ("ok", "1\n"), outcome
    assert (workdir / "out").read_bytes() == (data / "x.bin").read_bytes()[::-1]


@pytest.mark.parametrize(("code", "status"), [
    ("x = []\nwhile True: x.append(bytearray(10**7))", "memory"),
    ("while True: pass", "timeout"),
    ("for i in range(10**6): open(str(i), 'wb').write(bytes(65536))", "disk"),
    ("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", "processes"),
    ("import os, signal\nos.kill(-1, signal.SIGKILL)", "error"),
])  # fmt: skip
def test_limits_hold(pods: Pods, tmp_path: Path, code: str, status: str) -> None:
    assert pods.run(code, work(tmp_path), LIMITS, 10, {}, ()).status == status


def test_nothing_is_within_reach(pods: Pods, tmp_path: Path) -> None:
    """No token, no name, no server, no other process's environment, no place to write but its own."""
    code = (
        "import glob, os, socket\n"
        "print(glob.glob('/var/run/secrets/*/*'), [p for p in ('/', '/tmp', '/etc') if os.access(p, os.W_OK)])\n"
        "for ask in (lambda: socket.getaddrinfo('kubernetes.default.svc', 443),\n"
        "            lambda: socket.create_connection(('1.1.1.1', 443), 3),\n"
        "            lambda: socket.create_connection(('169.254.169.254', 80), 3)):\n"
        "    try: ask(); print('REACHED')\n"
        "    except OSError: pass\n"
        "for path in glob.glob('/proc/[0-9]*/environ'):\n"
        "    if path.split('/')[2] != str(os.getpid()):\n"
        "        try: print('READ', open(path).read())\n"
        "        except OSError: pass\n"
        "print(os.getuid() > 0)"
    )
    outcome = pods.run(code, work(tmp_path), LIMITS, 60, {}, ())
    assert outcome.stdout_tail == "[] []\nTrue\n", outcome
