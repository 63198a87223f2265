"""The chart `aira`: what a pod of an agent's program has to be, whoever makes it."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.charts.aira_chart import FULL, MINIMAL, SANDBOX, Object, objects, one, with_values
from tests.charts.chart_pods import refused, restricted

HARDENED: Object = {
    "automountServiceAccountToken": False,
    "activeDeadlineSeconds": 3600,
    "runtimeClassName": "gvisor",
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {
            "name": "candidate",
            "image": SANDBOX,
            "env": [{"name": "HOME", "value": "/work"}],
            "resources": {"limits": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"}},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        }
    ],
    "volumes": [{"name": "work", "emptyDir": {"sizeLimit": "1Gi"}}],
}


def test_a_pod_as_hardened_as_airas_own_is_taken() -> None:
    assert refused(HARDENED) == []
    assert restricted(HARDENED) == []
    assert refused({**HARDENED, "volumes": []}) == []
    openshift = {**HARDENED["securityContext"], "seLinuxOptions": {"level": "s0:c1,c2"}, "runAsUser": 1000700000}
    assert refused({**HARDENED, "securityContext": openshift}) == []


def test_searches_under_way_go_on_with_the_image_of_before_an_upgrade() -> None:
    former = "registry.example/aira-sandbox@sha256:" + "9" * 64
    before = copy.deepcopy(HARDENED)
    before["containers"][0]["image"] = former
    upgraded = with_values(FULL, candidates__formerImages=[former])
    assert refused(before) != []
    assert refused(before, upgraded) == refused(HARDENED, upgraded) == []


def container(spec: Object) -> Object:
    first: Object = spec["containers"][0]
    return first


WEAKENED: dict[str, tuple[Callable[[Object], Any], str]] = {
    "a token": (lambda spec: spec.update(automountServiceAccountToken=True), "no token"),
    "a token by default": (lambda spec: spec.pop("automountServiceAccountToken"), "no token"),
    "a secret": (lambda spec: spec["volumes"].append({"name": "x", "secret": {"secretName": "aira-s3"}}), "emptyDir"),
    "a projected token": (lambda spec: spec["volumes"].append({"name": "x", "projected": {"sources": []}}), "emptyDir"),
    "a file of the node": (lambda spec: spec["volumes"].append({"name": "x", "hostPath": {"path": "/"}}), "emptyDir"),
    "variables of a secret": (
        lambda spec: container(spec).update(envFrom=[{"secretRef": {"name": "aira-models"}}]),
        "plain values",
    ),
    "a variable of a secret": (
        lambda spec: container(spec)["env"].append({"name": "K", "valueFrom": {"secretKeyRef": {"name": "a"}}}),
        "plain values",
    ),
    "the node's network": (lambda spec: spec.update(hostNetwork=True), "share no namespace"),
    "the node's processes": (lambda spec: spec.update(hostPID=True), "share no namespace"),
    "a port of the node": (lambda spec: container(spec).update(ports=[{"hostPort": 80}]), "share no namespace"),
    "root": (lambda spec: spec["securityContext"].update(runAsUser=0), "no root"),
    "root by default": (lambda spec: spec["securityContext"].pop("runAsNonRoot"), "no root"),
    "all system calls": (lambda spec: spec["securityContext"].update(seccompProfile={"type": "Unconfined"}), "seccomp"),
    "a container as root": (lambda spec: container(spec)["securityContext"].update(runAsUser=0), "no capabilities"),
    "all system calls in a container": (
        lambda spec: container(spec)["securityContext"].update(seccompProfile={"type": "Unconfined"}),
        "no capabilities",
    ),
    "a profile of AppArmor": (
        lambda spec: spec["securityContext"].update(appArmorProfile={"type": "Unconfined"}),
        "AppArmor",
    ),
    "a type of SELinux": (
        lambda spec: container(spec)["securityContext"].update(seLinuxOptions={"type": "spc_t"}),
        "SELinux",
    ),
    "all of /proc": (lambda spec: container(spec)["securityContext"].update(procMount="Unmasked"), "procMount"),
    "a kernel's parameter": (
        lambda spec: spec["securityContext"].update(sysctls=[{"name": "kernel.shm_rmid_forced", "value": "0"}]),
        "sysctls",
    ),
    "a capability": (
        lambda spec: container(spec)["securityContext"]["capabilities"].update(add=["SYS_ADMIN"]),
        "no capabilities",
    ),
    "capabilities by default": (lambda spec: container(spec)["securityContext"].pop("capabilities"), "no capabilities"),
    "privileges": (lambda spec: container(spec)["securityContext"].update(privileged=True), "no capabilities"),
    "a writable root": (
        lambda spec: container(spec)["securityContext"].update(readOnlyRootFilesystem=False),
        "no capabilities",
    ),
    "no limit of memory": (lambda spec: container(spec)["resources"]["limits"].pop("memory"), "limits of cpu"),
    "no limits": (lambda spec: container(spec).pop("resources"), "limits of cpu"),
    "another image": (lambda spec: container(spec).update(image="busybox"), "cluster.images.sandbox alone"),
    "a container before it": (lambda spec: spec.update(initContainers=[{"name": "x", "image": SANDBOX}]), "limits"),
    "a container to look into it": (
        lambda spec: spec.update(ephemeralContainers=[{"name": "x", "image": "busybox"}]),
        "cluster.images.sandbox alone",
    ),
    "no deadline": (lambda spec: spec.pop("activeDeadlineSeconds"), "end by themselves"),
    "a long deadline": (lambda spec: spec.update(activeDeadlineSeconds=7201), "end by themselves"),
    "another runtime": (lambda spec: spec.update(runtimeClassName="runc"), "RuntimeClass gvisor"),
    "the default runtime": (lambda spec: spec.pop("runtimeClassName"), "RuntimeClass gvisor"),
}


@pytest.mark.parametrize("name", WEAKENED)
def test_a_weaker_pod_is_refused(name: str) -> None:
    weaken, words = WEAKENED[name]
    spec = copy.deepcopy(HARDENED)
    weaken(spec)
    assert [said for said in refused(spec) if words in said]


def test_the_policy_holds_the_candidates_namespace_alone_and_fails_closed() -> None:
    made = objects(FULL)
    policy = one(made, "ValidatingAdmissionPolicy", "aira-candidates-aira-sandbox")["spec"]
    binding = one(made, "ValidatingAdmissionPolicyBinding", "aira-candidates-aira-sandbox")["spec"]
    assert policy["failurePolicy"] == "Fail"
    assert binding["policyName"] == "aira-candidates-aira-sandbox"
    assert "Deny" in binding["validationActions"]
    selector = binding["matchResources"]["namespaceSelector"]["matchLabels"]
    assert selector == {"kubernetes.io/metadata.name": "aira-sandbox"}
    assert refused({**HARDENED, "runtimeClassName": "runc"}, MINIMAL) == []
