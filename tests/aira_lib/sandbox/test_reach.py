"""Secrets that a candidate could read are found where nothing isolates it, and then agents' code is refused."""

import fnmatch
import os
import socket
import string
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import aira_lib.cli.doctor as doctor
import aira_lib.sandbox.reach as reach
from aira_lib.errors import UserError
from aira_lib.sandbox import check_reach
from aira_lib.sandbox.launch import Isolation
from aira_lib.sandbox.spy import in_environment, in_files, in_volumes
from aira_lib.study import AgentSection
from tests.builders import tiny_study

LOOK = reach.within_reach
# As a container without capabilities runs its processes; what such a process holds, a candidate may read.
HOLDER = (
    "import sys, time; from aira_lib.sandbox import bootstrap\n"
    "bootstrap._drop_privileges() if sys.argv[1] == 'drop' else None\n"
    "import os; os.execv('/bin/sh', ['sh', '-c', 'echo ready; exec sleep 60'])"
)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.delenv("AIRA_TRUST_AGENTS", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    LOOK.cache_clear()
    yield
    LOOK.cache_clear()


def without_isolation(monkeypatch: pytest.MonkeyPatch, found: tuple[str, ...] | None = None) -> None:
    def none() -> Isolation:
        warnings.warn("AGENT CODE IS NOT ISOLATED", RuntimeWarning, stacklevel=2)
        return "none"

    monkeypatch.setattr(reach, "isolation", none)
    if found is not None:
        monkeypatch.setattr(reach, "within_reach", lambda: found)


@pytest.mark.parametrize("name", [
    "OPENAI_API_KEY", "AZURE_OPENAI_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "HF_TOKEN", "GITHUB_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE", "GOOGLE_APPLICATION_CREDENTIALS", "CLIENT_SECRET", "openai_api_key", "OPENAI_APIKEY",
    "SSH_AUTH_SOCK",
])  # fmt: skip
def test_names_of_secrets_are_known(name: str) -> None:
    assert list(in_environment({name: "x" * 20})) == [name]
    assert not list(in_environment({name: "local"}))  # what servers without keys are called with


def test_passwords_and_addresses_with_them_are_known() -> None:
    assert list(in_environment({"MLFLOW_TRACKING_PASSWORD": "a"})) == ["MLFLOW_TRACKING_PASSWORD"]
    assert list(in_environment({"MLFLOW_TRACKING_URI": "https://me:word@host/x"})) == ["MLFLOW_TRACKING_URI"]


@pytest.mark.parametrize("name", [
    "GPG_KEY", "TOKENIZERS_PARALLELISM", "PATH", "LS_COLORS", "KUBERNETES_SERVICE_HOST", "MAX_TOKENS", "KEYBOARD",
])  # fmt: skip
def test_names_of_other_things_are_none(name: str) -> None:
    assert not list(in_environment({name: "E3FF2839C048B25C084DEBE9B26995E310250568"}))
    assert not list(in_environment({name: "http://host:80/a@b"}))


def test_files_that_can_be_read_are_told(tmp_path: Path) -> None:
    for name in ("id_rsa", "id_rsa.pub", "id_empty"):
        (tmp_path / name).write_text("" if name == "id_empty" else "x")
    (tmp_path / "id_folder").mkdir()
    os.mkfifo(tmp_path / "id_pipe")
    assert list(in_files([f"{tmp_path}/id_*", f"{tmp_path}/none"])) == [f"{tmp_path}/id_rsa"]


def capabilities() -> int:
    """Of this process, which one that it starts has too."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("CapPrm")).split()[1], 16)


@pytest.mark.parametrize("dropped", [True, False])
def test_environments_that_a_candidate_could_read_are_told(dropped: bool) -> None:
    """Of a process with capabilities, such as root's, a candidate without them cannot read it."""
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, "drop" if dropped else "keep"],
        env={**os.environ, "PLANTED_API_KEY": string.ascii_letters}, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"ready\n"
        found = reach.within_reach()
    finally:
        holder.kill()
        holder.wait()
    told = any(each.startswith("PLANTED_API_KEY (environment of process ") for each in found)
    assert told == (dropped or not capabilities()), found
    assert string.ascii_letters not in str(found)


def test_credentials_of_the_user_are_told(tmp_path: Path) -> None:
    keys = tmp_path / "home" / ".aws" / "credentials"
    keys.parent.mkdir(parents=True)
    keys.write_text("[default]")
    assert str(keys) in reach.within_reach()


@pytest.mark.parametrize("path", [
    "kubernetes.io/serviceaccount/token", "eks.amazonaws.com/serviceaccount/token", "azure/tokens/azure-identity-token",
    "pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token", "kubeflow/pipelines/token", "tokens/istio-token",
])  # fmt: skip
def test_tokens_that_pods_are_given_are_known(path: str) -> None:
    """Of Kubernetes, of roles of Amazon's and Microsoft's clouds, of Kubeflow Pipelines, and of Istio."""
    assert any(fnmatch.fnmatch(f"/var/run/secrets/{path}", pattern) for pattern in reach._patterns())


def test_volumes_of_secrets_are_told_wherever_they_are_mounted(tmp_path: Path) -> None:
    """As the kubelet lays them out: files are links through `..data`, which one exchange replaces all at once."""
    for volume in ("secret", "config", "scratch"):
        (version := tmp_path / volume / "..2026").mkdir(parents=True)
        for name in ("password", "ca.crt", "namespace"):
            (version / name).write_text("x")
        if volume != "scratch":
            (tmp_path / volume / "..data").symlink_to("..2026")
            for name in ("password", "ca.crt", "namespace"):
                (tmp_path / volume / name).symlink_to(f"..data/{name}")
    kinds = {"secret": "tmpfs", "config": "ext4", "scratch": "tmpfs", "absent": "tmpfs"}
    mounts = tmp_path / "mounts"
    mounts.write_text("".join(f"none {tmp_path}/{name} {kind} ro 0 0\n" for name, kind in kinds.items()))
    assert list(in_volumes(str(mounts))) == [f"{tmp_path}/secret/password"]
    assert list(in_volumes(str(tmp_path / "none"))) == []


def test_services_of_a_cluster_are_within_reach_where_its_api_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform != "linux":
        pytest.skip("pods are Linux")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(port))
        monkeypatch.setattr(reach, "METADATA_SERVICE", ("127.0.0.1", 1))
        told = f"the services of this cluster (its API at 127.0.0.1:{port} answers)"
        assert told in reach.within_reach()
    LOOK.cache_clear()
    assert told not in reach.within_reach()


def test_secrets_within_reach_are_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    without_isolation(monkeypatch, ("A_KEY (environment of process 1)", *(f"/{i}" for i in range(6))))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no warning beside the line
        with pytest.raises(UserError) as refusal:
            check_reach()
    told = str(refusal.value)
    assert "A_KEY (environment of process 1), /0, /1, /2 and 3 more" in told
    assert "--trust-agents" in told
    assert "\n" not in told


def test_without_secrets_or_with_trust_there_is_the_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    without_isolation(monkeypatch, ())
    with pytest.warns(RuntimeWarning, match="NOT ISOLATED"):
        check_reach()
    without_isolation(monkeypatch, ("A_KEY",))
    monkeypatch.setenv("AIRA_TRUST_AGENTS", "1")
    with pytest.warns(RuntimeWarning, match="NOT ISOLATED"):
        check_reach()
    monkeypatch.setenv("AIRA_TRUST_AGENTS", "perhaps")
    with pytest.raises(UserError, match="AIRA_TRUST_AGENTS=perhaps"):
        check_reach()


def test_where_there_is_isolation_nothing_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> tuple[str, ...]:
        raise AssertionError

    monkeypatch.setattr(reach, "isolation", lambda: "user namespaces")
    monkeypatch.setattr(reach, "within_reach", never)
    check_reach()


def test_doctor_names_what_is_within_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "isolation", lambda: "none")
    monkeypatch.setattr(doctor, "refusals", dict)
    monkeypatch.setattr(doctor, "within_reach", lambda: ("A_KEY (environment of process 1)",))
    assert doctor._isolation()[1].endswith("; within their reach: A_KEY (environment of process 1)")


def test_searches_of_models_are_refused_and_baselines_are_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from aira_lib.local.trust import check_pending
    from aira_lib.settings import Settings

    without_isolation(monkeypatch, ("A_KEY",))
    settings = Settings(store=str(tmp_path / "runs"))
    study = tiny_study()
    check_pending(study, settings)  # offline
    agents = (*study.agents, AgentSection(model="openai/x"))
    with pytest.raises(UserError, match="A_KEY"):
        check_pending(study.model_copy(update={"agents": agents}), settings)


# Runs a command as a container without capabilities does, in which namespaces are refused as well.
CONFINED = (
    "import os, sys; from aira_lib.sandbox import bootstrap; from aira_lib.sandbox.calls import call_filter\n"
    "bootstrap._drop_privileges(); bootstrap._refuse_calls(call_filter())\n"
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


@pytest.mark.parametrize(("key", "more", "code"), [("k" * 20, (), 2), ("k" * 20, ("--trust-agents",), 0), ("", (), 0)])
def test_a_confined_machine_refuses_before_anything_is_asked(
    key: str, more: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    if sys.platform != "linux":
        pytest.skip("confines by Linux's means")
    arguments = ["-m", "aira_lib.cli", "search", "NeuralArchitectureSearchMAD3PrimitivesMbAccuracy"]
    arguments += ["--model", "openai/gpt-5", "--profile", "laptop", "--dry-run", *more]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""), "HOME": str(tmp_path)}
    environment |= {"AIRA_STORE": str(tmp_path / "runs"), "OPENAI_API_KEY": key, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", CONFINED, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if "environment of process" in done.stderr and not key:
        pytest.skip("another process of this user holds a secret")
    assert done.returncode == code, done
    assert "Agent: greedy" in done.stdout
    assert done.stderr.count("\n") == (code == 2)
    assert ("OPENAI_API_KEY (environment of process" in done.stderr) == (code == 2)
