"""What the network policies of the chart `aira` let through, by Kubernetes' own meaning of them."""

from tests.charts.aira_chart import Object, objects

STAGE = {"aira/stage": "aggregate", "workflows.argoproj.io/workflow": "w"}
SEARCH = {"aira/stage": "search", "workflows.argoproj.io/workflow": "w"}
DRIVER = {"workflows.argoproj.io/workflow": "w"}
NODE = {"aira/stage": "pretrain", "app.kubernetes.io/part-of": "aira", "app.kubernetes.io/component": "training"}
SUBMIT = {"app.kubernetes.io/part-of": "aira", "app.kubernetes.io/component": "submit"}
SWEEP = {"app.kubernetes.io/part-of": "aira", "app.kubernetes.io/component": "sweep"}
STRANGER = {"app": "notebook"}


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Kubernetes' own meaning of a label selector."""
    said = [labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items()]
    for each in selector.get("matchExpressions") or []:
        value, operator = labels.get(each["key"]), each["operator"]
        told = {
            "Exists": value is not None,
            "DoesNotExist": value is None,
            "In": value in each.get("values", []),
            "NotIn": value not in each.get("values", []),
        }
        said.append(told[operator])
    return all(said)


def policies(values: Object, namespace: str) -> list[Object]:
    return [
        each["spec"]
        for each in objects(values)
        if each["kind"] == "NetworkPolicy" and each["metadata"]["namespace"] == namespace
    ]


def reached(values: Object, namespace: str, labels: dict[str, str]) -> set[tuple[str, int]] | None:
    """Where pods with these labels may send to, with the port; None: everywhere."""
    found = [each for each in policies(values, namespace) if selects(each["podSelector"], labels)]
    if not any("Egress" in each["policyTypes"] for each in found):
        return None
    return {
        (place(peer), port["port"])
        for each in found
        for rule in each.get("egress") or []
        for peer in rule["to"]
        for port in rule.get("ports", [{"port": 0}])
    }


def place(peer: Object) -> str:
    if "ipBlock" in peer:
        return str(peer["ipBlock"]["cidr"])
    if "namespaceSelector" in peer:
        return str(peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"])
    return "each other"


DNS, API, STORE, MODELS = ("kube-system", 53), ("10.0.0.1/32", 6443), ("10.1.0.0/16", 443), ("10.9.0.1/32", 443)
KUBEFLOW, MLFLOW = ("kubeflow", 8888), ("mlflow", 5000)
ALL = {DNS, API, STORE, MODELS, KUBEFLOW, MLFLOW}
