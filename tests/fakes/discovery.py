"""What the fake Kubernetes API tells of itself: versions, kinds, and schemas of custom resources."""

from typing import Any

from tests.fakes.http import Json
from tests.fakes.kinds import Kind

VERSION = {"major": "1", "minor": "36", "gitVersion": "v1.36.0"}
_REVIEWING = {"authorization.k8s.io": ("v1",), "authentication.k8s.io": ("v1",)}


def discovered(kinds: list[Kind], path: str) -> Any:
    """The answer to a GET of a path; None where it is none of these."""
    groups = {kind.group: kind.versions for kind in kinds if kind.group} | _REVIEWING
    match path.rstrip("/").split("/")[1:]:
        case ["version"]:
            return VERSION
        case ["healthz" | "livez" | "readyz", *_]:
            return "ok"
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"]}
        case ["apis"]:
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*one) for one in groups.items()]}
        case ["api", "v1"]:
            return _resources("v1", [kind for kind in kinds if not kind.group])
        case ["apis", group] if group in groups:
            return {**_group(group, groups[group]), "kind": "APIGroup", "apiVersion": "v1"}
        case ["apis", group, version] if version in groups.get(group, ()):
            return _resources(f"{group}/{version}", [kind for kind in kinds if kind.group == group])
        case ["openapi", "v3"]:
            paths = [f"apis/{kind.group}/{version}" for kind in kinds if kind.schema for version in kind.versions]
            return {"paths": {one: {"serverRelativeURL": f"/openapi/v3/{one}?hash=0"} for one in paths}}
        case ["openapi", "v3", "apis", group, version]:
            return _open_api([kind for kind in kinds if kind.group == group and version in kind.versions], version)
    return None


def _group(name: str, versions: tuple[str, ...]) -> Json:
    all_versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": all_versions, "preferredVersion": all_versions[0]}


def _resources(group_version: str, kinds: list[Kind]) -> Json:
    verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    made = []
    for kind in kinds:
        one = {"kind": kind.name, "namespaced": kind.namespaced, "singularName": kind.name.lower(), "verbs": verbs}
        made.append({**one, "name": kind.plural})
        made += [{**one, "name": f"{kind.plural}/status", "verbs": ["get", "patch", "update"]}] * kind.has_status
        made += [{**one, "name": "pods/log", "verbs": ["get"]}] * (kind.plural == "pods")
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": made}


def _open_api(kinds: list[Kind], version: str) -> Json:
    schemas = {}
    for kind in kinds:
        same = {"x-kubernetes-group-version-kind": [{"group": kind.group, "version": version, "kind": kind.name}]}
        reverse = ".".join(reversed(kind.group.split(".")))
        schemas[f"{reverse}.{version}.{kind.name}"] = {**(kind.schema or {}), **same}
    return {"openapi": "3.0.0", "components": {"schemas": schemas}}
