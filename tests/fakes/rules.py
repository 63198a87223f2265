"""What the fake Kubernetes API refuses, in the words of a real one."""

import re
from collections.abc import Mapping
from typing import Any

from tests.fakes.http import Json
from tests.fakes.kinds import Kind
from tests.fakes.schemas import problem, pruned

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_LABEL_NAME = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_RBAC_GROUP = "rbac.authorization.k8s.io"
_SHORT = {"jobs", "cronjobs", "pods", "services", "trainjobs", "namespaces"}


class ApiError(Exception):
    """An answer other than the object: a Kubernetes Status."""

    def __init__(self, code: int, reason: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.status = {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "details": details, "code": code,
        }  # fmt: skip
        self.code = code


def check_place(kind: Kind, namespace: str, made: Json, there: bool) -> None:
    """Refuse an object that is created in the wrong place, or without a name; `there`: its namespace is."""
    if not there:
        raise ApiError(404, "NotFound", f'namespaces "{namespace}" not found', name=namespace, kind="namespaces")
    given = made["metadata"].get("namespace")
    if given and given != namespace:
        message = f"the namespace of the provided object does not match the namespace sent on the request ({namespace})"
        raise ApiError(400, "BadRequest", message)
    if (made["metadata"].get("name") or "") == "":
        raise _invalid(kind, "", "metadata.name: Required value: name or generateName is required")
    if made["metadata"].get("resourceVersion"):
        raise ApiError(400, "BadRequest", "resourceVersion should not be set on objects to be created")


def checked(kind: Kind, manifest: Json) -> Json:
    """The manifest, pruned by its schema."""
    metadata, name = manifest["metadata"], str(manifest["metadata"]["name"])
    if manifest.get("kind") != kind.name or manifest.get("apiVersion") not in _api_versions(kind):
        message = f"{manifest.get('kind')} in version {manifest.get('apiVersion')} cannot be handled as a {kind.name}"
        raise ApiError(400, "BadRequest", message)
    longest = 63 if kind.plural in _SHORT else 253
    if kind.group != _RBAC_GROUP and (not _NAME.fullmatch(name) or len(name) > longest):
        raise _invalid(kind, name, f'metadata.name: Invalid value: "{name}": a lowercase RFC 1123 name is wanted')
    for label, value in (metadata.get("labels") or {}).items():
        if not isinstance(value, str) or not _LABEL_VALUE.fullmatch(value) or not _LABEL_NAME.fullmatch(label):
            raise _invalid(kind, name, f'metadata.labels: Invalid value: "{value}": no valid label ({label})')
    for label, value in (metadata.get("annotations") or {}).items():
        if not isinstance(value, str):
            raise ApiError(400, "BadRequest", f"annotation {label} is no text: {value!r}")
    for owner in metadata.get("ownerReferences") or []:
        if not all(owner.get(part) for part in ("apiVersion", "kind", "name", "uid")):
            raise _invalid(kind, name, "metadata.ownerReferences: Required value: apiVersion, kind, name and uid")
    if kind.schema:
        manifest = pruned(manifest, kind.schema)
        if wrong := problem(manifest, kind.schema):
            raise _invalid(kind, name, wrong)
    return manifest


def parts(kind: Kind, old: Json, new: Json, part: str) -> Json:
    """The object after an update of one part: a write of the object leaves its status, and the reverse."""
    metadata = new.setdefault("metadata", {})
    kept = ("uid", "creationTimestamp", "deletionTimestamp", "namespace", "name")
    given = {key: metadata.get(key) for key in ("uid", "name")}
    for key, value in given.items():
        if value and value != old["metadata"][key]:
            code, reason = (409, "Conflict") if key == "uid" else (400, "BadRequest")
            raise ApiError(code, reason, f"metadata.{key} differs from that of the object: {value}")
    if part == "status":
        return {**old, "status": new.get("status", {})}
    new["metadata"] = {**metadata, **{key: old["metadata"][key] for key in kept if key in old["metadata"]}}
    if kind.has_status:
        new.pop("status", None)
        new |= {"status": old["status"]} if "status" in old else {}
    return new


def check_version(kind: Kind, old: Json, new: Json) -> None:
    """Refuse an update of an object as it was before."""
    given = (new.get("metadata") or {}).get("resourceVersion")
    if given and given != old["metadata"]["resourceVersion"]:
        name = old["metadata"]["name"]
        message = (
            f'Operation cannot be fulfilled on {kind.qualified} "{name}": the object has been modified; '
            "please apply your changes to the latest version and try again"
        )
        raise ApiError(409, "Conflict", message, name=name, kind=kind.plural)


def check_immutable(kind: Kind, old: Json, new: Json) -> None:
    """Refuse a change of what does not change."""
    paths = kind.immutable
    if kind.plural in ("configmaps", "secrets") and old.get("immutable"):
        paths = ("data", "binaryData", "immutable", "stringData")
    for path in paths:
        if _at(old, path) != _at(new, path):
            raise _invalid(kind, old["metadata"]["name"], f"{path}: Invalid value: field is immutable")


def _api_versions(kind: Kind) -> set[str]:
    return {f"{kind.group}/{version}" if kind.group else version for version in kind.versions}


def _at(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def not_found(kind: Kind, name: str) -> ApiError:
    message = f'{kind.qualified} "{name}" not found'
    return ApiError(404, "NotFound", message, name=name, group=kind.group, kind=kind.plural)


def _invalid(kind: Kind, name: str, cause: str) -> ApiError:
    singular = f"{kind.name}.{kind.group}" if kind.group else kind.name
    message = f'{singular} "{name}" is invalid: {cause}'
    return ApiError(422, "Invalid", message, name=name, group=kind.group, kind=kind.name)


def gone(since: int, oldest: int) -> ApiError:
    return ApiError(410, "Expired", f"too old resource version: {since} ({oldest})")
