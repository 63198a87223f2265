"""Fixtures that several packages share: a real S3 server, stores of both kinds, a disk that fills soon."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# No test asserts a time, hypothesis included: machines are shared and slow at moments.
settings.register_profile("aira", deadline=None)
settings.load_profile("aira")

# The programs of tests are the tests' own: they run beside whatever secrets a machine without namespaces holds.
os.environ.setdefault("AIRA_TRUST_AGENTS", "1")


@pytest.fixture(autouse=True)
def no_group_of_ranks_is_left() -> Iterator[None]:
    """What shards a model in this process joins a group of one rank, which the next test must not find."""
    yield
    if (distributed := sys.modules.get("torch.distributed")) and distributed.is_initialized():
        distributed.destroy_process_group()


# Half a minute of a core and more each, the longest first: one of them that begins last has the other processes wait.
LONGEST = (
    "test_compose_run.py", "test_docs.py", "test_smoke_run.py", "test_side_by_side.py", "test_public_folders.py",
    "test_crashes.py", "test_airs_check.py", "test_kill_points.py", "test_fused.py", "test_stages.py",
    "test_cluster_run.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest modules come first, then others with slow tests: what is short fills the gaps at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (place.get(item.path.name, len(LONGEST)), item.path not in slow))


@pytest.fixture(scope="module")
def plain_kernels() -> Iterator[None]:
    """For tests of processes and records: the fused kernels take each process a second to load and change neither."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRA_KERNELS", "plain")
        yield


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """URL of an S3 server in a process of its own, for the whole session."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"},
    )
    try:
        _wait_until_up(server, url)
        yield url
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()


def _wait_until_up(server: "subprocess.Popen[bytes]", url: str) -> None:
    for _ in range(600):
        if server.poll() is not None:
            raise RuntimeError(f"the S3 test server ended with {server.returncode}")
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the S3 test server did not come up")


@pytest.fixture
def s3_env(s3_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Environment of a process that uses the S3 test server and nobody's real account."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-aws-credentials"))
    return s3_server


@pytest.fixture
def s3_uri(s3_env: str) -> str:
    """URI of an empty S3 store: a bucket of its own, and a prefix."""
    import boto3

    bucket = f"aira-{uuid.uuid4().hex[:12]}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    return f"s3://{bucket}/runs"


@pytest.fixture(params=["file", "s3"])
def store_uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URI of an empty store, once on the file system and once on S3."""
    if request.param == "s3":
        return str(request.getfixturevalue("s3_uri"))
    return (tmp_path / "runs").as_uri()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() or not mount or subprocess.run([mount, "-t", "tmpfs", "-o", "size=256k", "none", disk]).returncode:
        pytest.skip("mounting a small disk needs root")
    yield disk
    subprocess.run(["umount", disk], check=True)
