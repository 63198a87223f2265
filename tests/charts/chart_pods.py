"""What is against a pod: by the Pod Security Standard `restricted`, and by the admission policy of the chart `aira`."""

from functools import cache
from typing import Any

import pytest

from tests.charts.aira_chart import FULL, Object, objects, one


def restricted(spec: Object) -> list[str]:
    """What the Pod Security Standard `restricted` has against a pod (its list, as Kubernetes publishes it)."""
    wrong = [key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    kinds = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
    wrong += [f"volume {each['name']}" for each in spec.get("volumes", []) if not (each.keys() - {"name"}) <= kinds]
    whole = spec.get("securityContext", {})
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        own = container.get("securityContext", {})
        both = {**whole, **own}
        checks = {
            "runAsNonRoot": both.get("runAsNonRoot") is True and both.get("runAsUser") != 0,
            "seccompProfile": both.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"),
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "privileged": not own.get("privileged"),
            "capabilities.drop": "ALL" in own.get("capabilities", {}).get("drop", []),
            "capabilities.add": set(own.get("capabilities", {}).get("add", [])) <= {"NET_BIND_SERVICE"},
            "ports": not any(port.get("hostPort") for port in container.get("ports", [])),
        }
        wrong += [f"{container['name']}: {name}" for name, fine in checks.items() if not fine]
    return wrong


def refused(spec: Object, values: Object = FULL) -> list[str]:
    """What the admission policy says against a pod, by an implementation of CEL that is not the API server's."""
    celpy = pytest.importorskip("celpy", reason="the package cel-python is not installed")
    policy = one(objects(values), "ValidatingAdmissionPolicy", "aira-candidates-aira-sandbox")["spec"]
    given = {"object": celpy.json_to_cel({"spec": spec})}
    found = {each["name"]: program(each["expression"]).evaluate(given) for each in policy["variables"]}
    given["variables"] = celpy.celtypes.MapType({celpy.celtypes.StringType(key): each for key, each in found.items()})
    return [each["message"] for each in policy["validations"] if not program(each["expression"]).evaluate(given)]


@cache
def program(expression: str) -> Any:
    import celpy

    environment = celpy.Environment()
    return environment.program(environment.compile(expression))
