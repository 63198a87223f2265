"""The pod of a candidate, held against rules that were written down without looking at it."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aira_lib.cluster.section import Toleration
from aira_lib.sandbox.manifest import DEADLINE, Need, manifest
from aira_lib.sandbox.parent import Parent
from aira_lib.study import CandidateLimits
from tests.aira_lib.sandbox.podlike import IMAGE, cluster_section

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LIMITS = CandidateLimits(seconds=600, memory_mb=2048, disk_mb=256)
NEED = Need(LIMITS, seconds=600, input_bytes=3 << 20, workdir="/tmp/aira-search-x/tmp1")


def made(need: Need = NEED, parent: Parent | None = None, **candidates: object) -> dict[str, Any]:
    return manifest("candidate-1", need, cluster_section(**candidates), parent, NOW)


def violations(spec: dict[str, Any]) -> list[str]:
    """What the level `restricted` of Kubernetes' Pod Security Standards forbids in a pod with plain containers."""
    pod = spec.get("securityContext", {})
    found = [name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    found += ["sysctls"] if pod.get("sysctls") else []
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
    found += [f"volume {each['name']}" for each in spec.get("volumes", []) if not set(each) - {"name"} <= allowed]
    for container in spec.get("initContainers", []) + spec["containers"] + spec.get("ephemeralContainers", []):
        own = container.get("securityContext", {})
        capabilities = own.get("capabilities", {})
        seccomp = own.get("seccompProfile", pod.get("seccompProfile", {}))
        checks = {
            "privileged": own.get("privileged", False) is False,
            "drop": capabilities.get("drop") == ["ALL"],
            "add": set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"},
            "escalation": own.get("allowPrivilegeEscalation") is False,
            "root": own.get("runAsNonRoot", pod.get("runAsNonRoot")) is True,
            "user 0": 0 not in (own.get("runAsUser"), pod.get("runAsUser")),
            "seccomp": seccomp.get("type") in ("RuntimeDefault", "Localhost"),
            "ports": not any(port.get("hostPort") for port in container.get("ports", [])),
            "proc": own.get("procMount", "Default") == "Default",
        }
        found += [name for name, kept in checks.items() if not kept]
    return found


@pytest.mark.parametrize("user", [10001, None])
def test_it_is_restricted(user: int | None) -> None:
    assert violations(made(user=user)["spec"]) == []
    spoilt = made()["spec"]
    spoilt["containers"][0]["securityContext"]["capabilities"] = {"drop": ["NET_RAW"]}
    spoilt["volumes"].append({"name": "host", "hostPath": {"path": "/"}})
    assert violations(spoilt) == ["volume host", "drop"]


def test_it_is_given_nothing() -> None:
    spec = made()["spec"]
    container = spec["containers"][0]
    assert len(spec["containers"]) == 1
    assert not {"env", "envFrom", "ports", "lifecycle", "livenessProbe", "stdin", "tty"} & set(container)
    assert not {"initContainers", "imagePullSecrets", "shareProcessNamespace"} & set(spec)
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["dnsPolicy"] == "None"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert all(set(volume) == {"name", "emptyDir"} and volume["emptyDir"]["sizeLimit"] for volume in spec["volumes"])
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/tmp/aira-search-x/tmp1", "/aira"}
    assert container["image"] == IMAGE


def test_it_is_held_to_what_its_candidate_may_use() -> None:
    resources = made()["spec"]["containers"][0]["resources"]
    assert resources["requests"] == resources["limits"]
    assert resources["limits"]["cpu"] == "4000m"
    assert mebibytes(resources["limits"]["memory"]) >= LIMITS.memory_mb + 128
    volumes = {each["name"]: mebibytes(each["emptyDir"]["sizeLimit"]) for each in made()["spec"]["volumes"]}
    assert volumes["work"] >= LIMITS.disk_mb + 3
    assert mebibytes(resources["limits"]["ephemeral-storage"]) >= sum(volumes.values())
    with_gpu = Need(LIMITS.model_copy(update={"gpu": True}), 600, 0, "/w")
    spec = made(
        with_gpu, gpus=2, gpu_resource="amd.com/gpu", runtime_class="gvisor", user_namespace=True,
        node_selector={"pool": "gpu"}, tolerations=(Toleration(key="gpu", effect="NoSchedule"),),
    )["spec"]  # fmt: skip
    assert spec["containers"][0]["resources"]["limits"]["amd.com/gpu"] == "2"
    assert (spec["runtimeClassName"], spec["hostUsers"], spec["nodeSelector"]) == ("gvisor", False, {"pool": "gpu"})
    assert spec["tolerations"] == [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]


def test_it_has_an_end() -> None:
    pod = made()
    assert 600 < pod["spec"]["activeDeadlineSeconds"] <= 3600
    deadline = datetime.fromisoformat(pod["metadata"]["annotations"][DEADLINE])
    assert deadline >= NOW + timedelta(seconds=pod["spec"]["activeDeadlineSeconds"])
    assert made(deadline_seconds=60)["spec"]["activeDeadlineSeconds"] == 60
    assert pod["spec"]["restartPolicy"] == "Never"


def test_it_belongs_to_the_pod_of_its_search_where_kubernetes_allows_that() -> None:
    parent = Parent("aira", "p" * 200, "u-1")
    away = made(parent=parent)["metadata"]
    assert "ownerReferences" not in away
    assert away["labels"]["aira/parent-uid"] == "u-1"
    assert away["annotations"]["aira/parent"] == f"aira/{'p' * 200}"
    beside = made(parent=Parent("aira-sandbox", "p", "u-1"))["metadata"]
    assert beside["ownerReferences"] == [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u-1"}]


@pytest.mark.skipif(sys.platform != "linux", reason="pods are Linux")
def test_its_first_process_ends_with_the_supervisor() -> None:
    """It waits for a signal that one begins, however often that comes, and then for one that it has ended."""
    *words, program, mark = made()["spec"]["containers"][0]["command"]
    told = program.replace("first =", "print('blocked', flush=True); first =")
    process = subprocess.Popen([sys.executable, *words[1:], told, mark], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"blocked\n"
        for _ in range(2):
            os.kill(process.pid, signal.SIGUSR1)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.communicate()


def mebibytes(text: str) -> int:
    assert text.endswith("Mi")
    return int(text[:-2])
