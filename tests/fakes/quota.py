"""Quotas as the admission of a real server holds them: of CPU, memory, GPUs and the number of pods."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tests.fakes.http import Json
from tests.fakes.objects import Objects
from tests.fakes.rules import ApiError

_UNITS = {
    "": Decimal(1), "m": Decimal("0.001"), "k": Decimal(10) ** 3, "M": Decimal(10) ** 6, "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12, "Ki": Decimal(2) ** 10, "Mi": Decimal(2) ** 20, "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
}  # fmt: skip
_NAMED = ("limits.cpu", "limits.memory", "requests.cpu", "requests.memory", "cpu", "memory")


def check_quota(objects: Objects, namespace: str, pod: Json) -> None:
    """Refuse a pod (403) that says too little for the namespace's quotas, or wants more than is left."""
    pods = objects.kinds[("", "pods")]
    running = [each for each in objects.all(pods, namespace) if each["status"]["phase"] in ("Pending", "Running")]
    name = pod["metadata"].get("name") or pod["metadata"].get("generateName")
    for quota in objects.all(objects.kinds[("", "resourcequotas")], namespace):
        hard = quota["spec"]["hard"]
        title = f'pods "{name}" is forbidden: '
        if missing := [f"{what} for: {','.join(lacking)}" for what in hard if (lacking := _lacking(pod, what))]:
            message = f"{title}failed quota: {quota['metadata']['name']}: must specify {'; '.join(missing)}"
            raise ApiError(403, "Forbidden", message, name=name, kind="pods")
        for what, most in hard.items():
            used = sum((_wanted(each, what) for each in running), Decimal(0))
            if used + _wanted(pod, what) > amount(most):
                message = (
                    f"{title}exceeded quota: {quota['metadata']['name']}, requested: {what}={_wanted(pod, what)}, "
                    f"used: {what}={used}, limited: {what}={most}"
                )
                raise ApiError(403, "Forbidden", message, name=name, kind="pods")


def amount(text: Any) -> Decimal:
    """A Kubernetes quantity as a number."""
    found = re.fullmatch(r"([0-9.]+(?:e[0-9]+)?)([A-Za-z]*)", str(text))
    if not found or found[2] not in _UNITS:
        raise ApiError(400, "BadRequest", f"quantities must match the regular expression: {text!r}")
    return Decimal(found[1]) * _UNITS[found[2]]


def _containers(pod: Json) -> list[Json]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def _value(container: Mapping[str, Any], what: str) -> Any:
    kind, _, name = what.rpartition(".")
    resources = container.get("resources") or {}
    limit = (resources.get("limits") or {}).get(name)
    return limit if kind == "limits" else (resources.get("requests") or {}).get(name, limit)


def _lacking(pod: Json, what: str) -> list[str]:
    """Names of containers that do not say what a quota counts."""
    return [each["name"] for each in _containers(pod) if what in _NAMED and _value(each, what) is None]


def _wanted(pod: Json, what: str) -> Decimal:
    """Of a whole pod: its containers together, or its largest init container, as a scheduler counts."""
    if what in ("pods", "count/pods"):
        return Decimal(1)
    mains = sum((amount(_value(each, what) or 0) for each in pod["spec"]["containers"]), Decimal(0))
    return max([mains, *(amount(_value(each, what) or 0) for each in pod["spec"].get("initContainers", []))])
