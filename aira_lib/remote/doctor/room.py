"""Whether pods of each preset would be let in and find a node: quotas, limits and nodes.

A pod of a task is its main container and what Argo puts beside it: `wait` runs all along, `init` before. Those two
say nothing of what they need on a stock installation, so a quota refuses every pod unless a LimitRange says it.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from aira_lib.cluster.kinds import Kind
from aira_lib.cluster.refusals import Refused
from aira_lib.cluster.section import Preset, Toleration
from aira_lib.remote.doctor.finding import Finding, Place, unseen
from aira_lib.remote.doctor.quantity import amount

_QUOTAS, _RANGES, _NODES = Kind("v1", "resourcequotas"), Kind("v1", "limitranges"), Kind("v1", "nodes", False)
_GIB = Decimal(2) ** 30


def quotas(place: Place) -> Iterator[Finding]:
    """Whether the quotas of the runs' namespace let a pod of each preset in."""
    kubernetes = place.kubernetes.within(place.cluster.kubeflow.namespace)
    found = [quota for quota in kubernetes.find(_QUOTAS) if _counts_tasks(quota["spec"])]
    ranges = _of_containers(kubernetes.find(_RANGES))
    yield from _beside(found, ranges)
    for name, preset in place.cluster.presets.items():
        pod = _wanted(preset)
        for what, most in sorted(_largest(ranges).items()):
            if pod.get(what, Decimal(0)) > most:
                text = f"preset {name} wants {_shown(what, pod[what])}, and a LimitRange allows {_shown(what, most)}"
                yield Finding("missing", "limits", f"{text} a container: raise it, or ask for less")
        for quota in found:
            yield from _against(quota, name, pod, ranges)
    if not found:
        yield Finding("good", "quotas", f"none in {place.cluster.kubeflow.namespace}")


def _counts_tasks(spec: Mapping[str, Any]) -> bool:
    """Whether a quota counts pods such as those of tasks: with requests, a deadline and no priority of their own."""
    return not {"BestEffort", "NotTerminating"} & set(spec.get("scopes", [])) and "scopeSelector" not in spec


def _beside(found: list[dict[str, Any]], ranges: list[dict[str, Any]]) -> Iterator[Finding]:
    """Whether containers that say nothing would be let in beside a task's."""
    for quota in found:
        hard = quota["spec"].get("hard", {})
        counted = {what for what in hard if what.rpartition(".")[2] in ("cpu", "memory")}
        lacking = sorted(what for what in counted if not _default(ranges, what))
        name = quota["metadata"]["name"]
        if lacking:
            text = (
                f"{name} counts {', '.join(lacking)}, which Argo's containers init and wait do not say: add a "
                "LimitRange with defaults (charts/aira makes one), or resources to the executor in Argo's configuration"
            )
            yield Finding("missing", "quotas", text)
        elif counted:
            yield Finding("good", "quotas", f"{name}: a LimitRange says what Argo's own containers need")


def _against(
    quota: dict[str, Any], preset: str, pod: Mapping[str, Decimal], ranges: list[dict[str, Any]]
) -> Iterator[Finding]:
    used = quota.get("status", {}).get("used", {})
    name = quota["metadata"]["name"]
    for what, text in quota["spec"].get("hard", {}).items():
        wanted = pod.get(what.rpartition(".")[2] if "/" not in what else what.removeprefix("requests."), Decimal(0))
        wanted = Decimal(1) if what in ("pods", "count/pods") else wanted
        if not wanted:
            continue
        beside = amount(default) if (default := _default(ranges, what)) else Decimal(0)
        hard, taken = amount(text), amount(used.get(what, 0))
        line = f"a pod of preset {preset} counts {_shown(what, wanted + beside)} of {what}, and {name} has"
        if wanted + beside > hard:
            yield Finding("missing", "quotas", f"{line} {text} in all: raise it, or take the preset away")
        elif wanted + beside > hard - taken:
            yield Finding("doubtful", "quotas", f"{line} {_shown(what, hard - taken)} left: such a pod waits or fails")


def _of_containers(ranges: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [limit for each in ranges for limit in each["spec"].get("limits", []) if limit.get("type") == "Container"]


def _default(ranges: list[dict[str, Any]], what: str) -> str:
    """What a container that says nothing is given, of what a quota counts."""
    kind, _, name = what.rpartition(".")
    for limit in ranges:
        asked = (
            limit.get("default", {}) if kind == "limits" else limit.get("defaultRequest") or limit.get("default", {})
        )
        if name in asked:
            return str(asked[name])
    return ""


def _largest(ranges: list[dict[str, Any]]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for limit in ranges:
        for what, text in limit.get("max", {}).items():
            found[what] = min(found.get(what, amount(text)), amount(text))
    return found


def _wanted(preset: Preset) -> dict[str, Decimal]:
    """What the main container of a preset asks for, which is its limit as well."""
    made = {
        "cpu": Decimal(str(preset.cores)),
        "memory": Decimal(str(preset.memory_gib)) * _GIB,
        "ephemeral-storage": Decimal(str(preset.disk_gib)) * _GIB,
    }
    return made | ({preset.gpu_resource: Decimal(preset.gpus)} if preset.gpus else {})


def _shown(what: str, number: Decimal) -> str:
    if what.rpartition(".")[2] in ("memory", "storage", "ephemeral-storage"):
        return f"{float(number / _GIB):g} GiB"
    return f"{float(number):g}"


def nodes(place: Place) -> Iterator[Finding]:
    """Whether some node could take a pod of each preset, were it empty."""
    try:
        found = place.kubernetes.find(_NODES)
    except Refused as error:
        yield unseen("nodes", error)
        return
    for name, preset in place.cluster.presets.items():
        fitting = [node for node in found if not _keeps_out(node, preset)]
        if fitting:
            yield Finding("good", "nodes", f"preset {name}: {len(fitting)} of {len(found)} could take a pod")
            continue
        reasons = sorted({_keeps_out(node, preset) for node in found}) or ["there is no node"]
        text = f"preset {name}: no node could take a pod ({'; '.join(reasons[:3])}): mend the preset, or add such nodes"
        yield Finding("doubtful", "nodes", f"{text}; a pool that grows from nothing cannot be seen")


def _keeps_out(node: dict[str, Any], preset: Preset) -> str:
    """Why a pod of a preset would not come to a node; empty where nothing keeps it."""
    labels = node["metadata"].get("labels", {})
    for key, value in preset.node_selector.items():
        if labels.get(key) != value:
            return f"no label {key}={value}"
    taints = node.get("spec", {}).get("taints", [])
    for taint in taints:
        if taint["effect"] != "PreferNoSchedule" and not any(_tolerates(one, taint) for one in preset.tolerations):
            return f"taint {taint['key']}={taint.get('value', '')}:{taint['effect']} is not tolerated"
    if node.get("spec", {}).get("unschedulable"):
        return "a node is cordoned"
    has = node.get("status", {}).get("allocatable", {})
    for what, wanted in _wanted(preset).items():
        if (what in has or what == preset.gpu_resource) and amount(has.get(what, 0)) < wanted:
            return f"{_shown(what, amount(has.get(what, 0)))} of {what}, not {_shown(what, wanted)}"
    return ""


def _tolerates(one: Toleration, taint: Mapping[str, str]) -> bool:
    if one.effect not in (None, taint["effect"]) or one.key not in (None, taint["key"]):
        return False
    # A GPU's own taint is tolerated by whoever asks for the GPU only where the cluster's admission adds that.
    return one.operator == "Exists" or one.value == taint.get("value", "")
