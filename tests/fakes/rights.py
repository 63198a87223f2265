"""Role-based access as a real server decides it: from the Roles, ClusterRoles and bindings that are stored."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.fakes.http import Json
from tests.fakes.objects import Objects

_GROUP = "rbac.authorization.k8s.io"
ADMIN = "system:admin"


@dataclass(frozen=True)
class Asked:
    """What somebody wants to do."""

    verb: str
    group: str = ""
    resource: str = ""  # with a subresource: pods/log
    namespace: str = ""
    name: str = ""


def allowed(objects: Objects, user: str, asked: Asked) -> bool:
    """Whether a user may; the administrator may everything."""
    return user == ADMIN or any(_grants(rule, asked) for rule in _rules(objects, user, asked.namespace))


def account(namespace: str, name: str) -> str:
    """The user that a service account is."""
    return f"system:serviceaccount:{namespace}:{name}"


def _rules(objects: Objects, user: str, namespace: str) -> Iterator[Json]:
    everywhere = objects.all(objects.kinds[(_GROUP, "clusterrolebindings")])
    here = objects.all(objects.kinds[(_GROUP, "rolebindings")], namespace) if namespace else []
    for binding in [*everywhere, *here]:
        if any(_is(subject, user, binding["metadata"].get("namespace", "")) for subject in binding.get("subjects", [])):
            reference = binding["roleRef"]
            plural = "clusterroles" if reference["kind"] == "ClusterRole" else "roles"
            home = "" if plural == "clusterroles" else namespace
            for role in objects.all(objects.kinds[(_GROUP, plural)], home):
                if role["metadata"]["name"] == reference["name"]:
                    yield from role.get("rules") or []


def _is(subject: Mapping[str, Any], user: str, namespace: str) -> bool:
    if subject["kind"] == "ServiceAccount":
        return user == account(subject.get("namespace") or namespace, subject["name"])
    groups = (
        "system:authenticated",
        *(["system:serviceaccounts"] if user.startswith("system:serviceaccount:") else []),
    )
    return subject["name"] == user if subject["kind"] == "User" else subject["name"] in groups


def _grants(rule: Mapping[str, Any], asked: Asked) -> bool:
    names = rule.get("resourceNames")
    return (
        _among(rule.get("verbs"), asked.verb)
        and _among(rule.get("apiGroups"), asked.group)
        and _among(rule.get("resources"), asked.resource)
        and (not names or asked.name in names)
    )


def _among(given: Any, one: str) -> bool:
    return one in (given or []) or "*" in (given or [])
