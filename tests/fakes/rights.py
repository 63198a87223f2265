"""Role-based access as a real server decides it: from the Roles, ClusterRoles and bindings that are stored."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.fakes.http import Json
from tests.fakes.kinds import Kind
from tests.fakes.objects import Objects
from tests.fakes.rules import ApiError

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


def check_allowed(objects: Objects, user: str, verb: str, kind: Kind, part: str, namespace: str, name: str) -> None:
    """Refuse what a user may not do (403)."""
    resource = f"{kind.plural}/{part}" if part else kind.plural
    if not allowed(objects, user, Asked(verb, kind.group, resource, namespace, name)):
        where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
        named = f'{kind.qualified} "{name}" is forbidden' if name else f"{kind.qualified} is forbidden"
        message = f'{named}: User "{user}" cannot {verb} resource "{resource}" in API group "{kind.group}" {where}'
        raise ApiError(403, "Forbidden", message, name=name, group=kind.group, kind=kind.plural)


def reviewed(objects: Objects, user: str, plural: str, review: Json) -> Json:
    """A review of access with its answer: of whoever asks, or by an administrator of anybody."""
    spec = review["spec"]
    if not plural.startswith("self") and user != ADMIN:
        raise ApiError(403, "Forbidden", f'User "{user}" cannot create resource "{plural}"')
    who = user if plural.startswith("self") else spec["user"]
    asked = spec.get("resourceAttributes") or {}
    resource = "/".join(filter(None, (asked.get("resource", ""), asked.get("subresource", ""))))
    about = (asked.get(word, "") for word in ("namespace", "name"))
    wanted = Asked(asked.get("verb", ""), asked.get("group", ""), resource, *about)
    return {**review, "status": {"allowed": allowed(objects, who, wanted)}}


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
