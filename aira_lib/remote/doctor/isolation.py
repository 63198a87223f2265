"""Whether programs of agents would be kept where they belong: their namespace, network and runtime."""

from collections.abc import Iterator
from typing import Any

from aira_lib.cluster.kinds import Kind
from aira_lib.cluster.refusals import Refused
from aira_lib.remote.doctor.finding import Finding, Place, unseen

_AREA = "candidates"
_NAMESPACES, _CLASSES = Kind("v1", "namespaces", False), Kind("node.k8s.io/v1", "runtimeclasses", False)
_POLICIES, _SECRETS = Kind("networking.k8s.io/v1", "networkpolicies"), Kind("v1", "secrets")


def candidates(place: Place) -> Iterator[Finding]:
    """How candidates' pods are held."""
    section = place.cluster.candidates
    if section is None:
        text = (
            "no namespace of their own: searches are refused where nothing isolates candidates from the pod's secrets"
        )
        yield Finding("doubtful", _AREA, f"{text}; set candidates, and charts/aira makes it")
        return
    for check in (_labelled, _closed, _runtime):
        try:
            yield check(place, section.namespace, section.runtime_class)
        except Refused as error:
            yield unseen(_AREA, error, section.namespace)


def _labelled(place: Place, namespace: str, _: str | None) -> Finding:
    found = place.kubernetes.get(_NAMESPACES, namespace) or {"metadata": {}}
    level = found["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce")
    if level == "restricted":
        return Finding("good", _AREA, f"{namespace} enforces restricted pods")
    text = f"{namespace} does not enforce restricted pods: label it pod-security.kubernetes.io/enforce=restricted"
    return Finding("missing", _AREA, text)


def _closed(place: Place, namespace: str, _: str | None) -> Finding:
    """Whether a policy keeps all pods of the namespace from all traffic, and no other opens any."""
    policies = place.kubernetes.within(namespace).find(_POLICIES)
    closing = [each for each in policies if _closes_all(each["spec"])]
    opens = [each for each in policies if each["spec"].get("egress") or each["spec"].get("ingress")]
    if not closing:
        return Finding("missing", _AREA, f"no network policy closes {namespace}: charts/aira makes it (default deny)")
    if opens:
        name = opens[0]["metadata"]["name"]
        return Finding("missing", _AREA, f"network policy {name} opens {namespace}: remove it")
    text = f"a policy closes the network of {namespace}, if the cluster's network plugin heeds policies"
    return Finding("good", _AREA, text)


def _closes_all(spec: dict[str, Any]) -> bool:
    every = not any(spec.get("podSelector", {}).values())
    return every and {"Ingress", "Egress"} <= set(spec.get("policyTypes", []))


def _runtime(place: Place, _: str, wanted: str | None) -> Finding:
    if wanted is None:
        text = "candidates share their node's kernel: with gVisor or Kata on its nodes, name it as runtime_class"
        return Finding("doubtful", _AREA, text)
    if place.kubernetes.get(_CLASSES, wanted) is None:
        return Finding("missing", _AREA, f"there is no RuntimeClass {wanted}: install it, or name another")
    return Finding("good", _AREA, f"runtime class {wanted}")
