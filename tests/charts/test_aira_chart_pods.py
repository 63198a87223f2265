"""The chart `aira`: what its pods may do, who may talk to whom, and what a pod of an agent's program has to be."""

import copy
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
import yaml

from aira_lib.cluster.section import Cluster
from aira_lib.launch.job import Job
from aira_lib.launch.trainjob_manifest import manifest
from tests.charts.aira_chart import FULL, MINIMAL, SANDBOX, Object, objects, one, with_values

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


@pytest.mark.parametrize("scope", ["namespace", "aira"])
@pytest.mark.parametrize(
    ("labels", "allowed"),
    [
        (STAGE, ALL - {MODELS}),
        (SEARCH, ALL),
        (NODE, {DNS, STORE}),
        (SUBMIT, ALL - {MODELS, MLFLOW}),
        (SWEEP, {DNS, API}),
    ],
    ids=["stage", "search", "node of a training", "submit", "sweep"],
)
def test_pods_reach_what_they_need_and_nothing_else(scope: str, labels: dict[str, str], allowed: Any) -> None:
    found = reached(with_values(FULL, network__scope=scope), "team-a", labels)
    assert found is not None
    assert ALL & found == allowed
    assert ("each other" in {where for where, _ in found}) == (labels is NODE)


def test_nobody_else_of_the_namespace_reaches_anything_unless_others_share_it() -> None:
    assert reached(FULL, "team-a", STRANGER) == set()
    assert ALL & (reached(FULL, "team-a", DRIVER) or set()) == {DNS, API, KUBEFLOW}
    shared = with_values(FULL, network__scope="aira")
    assert reached(shared, "team-a", STRANGER) is None
    assert reached(shared, "team-a", DRIVER) is None


@pytest.mark.parametrize("scope", ["namespace", "aira"])
@pytest.mark.parametrize("labels", [STAGE, SEARCH, SUBMIT, SWEEP])
def test_nothing_reaches_pods(scope: str, labels: dict[str, str]) -> None:
    found = [each for each in policies(with_values(FULL, network__scope=scope), "team-a")
             if selects(each["podSelector"], labels) and "Ingress" in each["policyTypes"]]  # fmt: skip
    assert found
    assert not any(each.get("ingress") for each in found)


def test_agents_programs_reach_nothing_and_nothing_reaches_them() -> None:
    (only,) = policies(FULL, "aira-sandbox")
    assert only == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert reached(FULL, "aira-sandbox", STRANGER) == set()


def test_what_is_not_used_is_not_opened() -> None:
    found = reached(MINIMAL, "aira-system", SEARCH)
    assert found is not None
    assert {where for where, _ in found} == {"kube-system", "10.0.0.1/32", "kubeflow", "10.1.0.0/16"}


def pod_specs(values: Object) -> Iterator[tuple[str, Object]]:
    """The pods that the chart's objects make, by name."""
    for each in objects(values):
        name, spec = f"{each['kind']} {each['metadata']['name']}", each.get("spec", {})
        if each["kind"] == "Pod":
            yield name, spec
        if each["kind"] == "CronJob":
            yield name, spec["jobTemplate"]["spec"]["template"]["spec"]
        if each["kind"] == "TrainingRuntime":
            for job in spec["template"]["spec"]["replicatedJobs"]:
                yield name, job["template"]["spec"]["template"]["spec"]


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


def test_the_charts_own_pods_are_restricted_and_write_to_no_root() -> None:
    made = list(pod_specs(with_values(FULL, runtime__addCapabilities=[])))
    assert {name for name, _ in made} == {"CronJob aira-sweep", "TrainingRuntime aira-torch", "Pod aira-doctor"}
    for name, spec in made:
        assert restricted(spec) == [], name
        assert spec["enableServiceLinks"] is False
        assert spec["imagePullSecrets"] == [{"name": "registry"}]
        assert all(each["securityContext"]["readOnlyRootFilesystem"] for each in spec["containers"])


def test_doctor_looks_from_where_stages_are_and_knows_no_key_of_a_model() -> None:
    pod = one(objects(FULL), "Pod", "aira-doctor")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert reached(FULL, "team-a", pod["metadata"]["labels"]) == reached(FULL, "team-a", STAGE)
    (container,) = pod["spec"]["containers"]
    given = {each["name"]: each.get("valueFrom", {}).get("secretKeyRef", {}).get("name") for each in container["env"]}
    assert {name: secret for name, secret in given.items() if secret} == {
        "AWS_ACCESS_KEY_ID": "aira-s3",
        "AWS_SECRET_ACCESS_KEY": "aira-s3",
        "MLFLOW_TRACKING_TOKEN": "aira-mlflow",
    }
    assert given.keys() >= {"AWS_REGION", "AIRA_CLUSTER"}
    assert pod["spec"]["serviceAccountName"] == "aira-pipeline"


def test_no_pod_of_the_charts_own_has_istio_beside_it() -> None:
    made = objects(FULL)
    node = one(made, "TrainingRuntime", "aira-torch")["spec"]["template"]["spec"]["replicatedJobs"][0]["template"]
    sweep = one(made, "CronJob", "aira-sweep")["spec"]["jobTemplate"]["spec"]["template"]
    for template in (node["spec"]["template"], sweep, one(made, "Pod", "aira-doctor")):
        assert template["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"


def test_a_training_has_no_token_no_time_to_live_and_a_mistake_ends_it() -> None:
    spec = one(objects(FULL), "TrainingRuntime", "aira-torch")["spec"]
    jobs = spec["template"]["spec"]
    assert "ttlSecondsAfterFinished" not in str(spec)
    (node,) = jobs["replicatedJobs"]
    job = node["template"]["spec"]
    pod = job["template"]["spec"]
    assert (node["name"], pod["containers"][0]["name"]) == ("node", "node")
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == "aira-training"
    account = one(objects(FULL), "ServiceAccount", "aira-training")
    assert account["automountServiceAccountToken"] is False
    assert jobs["failurePolicy"]["maxRestarts"] == 10
    assert {"action": "FailJob", "onExitCodes": {"containerName": "node", "operator": "In", "values": [2]}} in job[
        "podFailurePolicy"
    ]["rules"]
    assert [rule["action"] for rule in jobs["failurePolicy"]["rules"]] == ["FailJobSet"]


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


def test_a_pod_as_hardened_as_airas_own_is_taken() -> None:
    assert refused(HARDENED) == []
    assert restricted(HARDENED) == []
    assert refused({**HARDENED, "volumes": []}) == []


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


def test_a_training_fits_the_runtime_that_it_names() -> None:
    made = objects(FULL)
    cluster = Cluster.model_validate(yaml.safe_load(one(made, "ConfigMap", "aira-cluster")["data"]["cluster.yaml"]))
    train = manifest(Job(name="a", command=("train",), nodes=2, gpus_per_node=8, study="s", unit="pretrain a"), cluster)
    reference = train["spec"]["runtimeRef"]
    runtime = one(made, reference["kind"], reference["name"], train["metadata"]["namespace"])
    assert runtime["apiVersion"].startswith(f"{reference['apiGroup']}/")
    assert one(made, "LocalQueue", train["metadata"]["labels"]["kueue.x-k8s.io/queue-name"])
    (node,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    (patch,) = train["spec"]["runtimePatches"]
    (patched,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    assert patched["name"] == node["name"]
    ours, its = node["template"]["spec"]["template"], patched["template"]["spec"]["template"]
    assert [each["name"] for each in its["spec"]["containers"]] == [each["name"] for each in ours["spec"]["containers"]]
    assert not {each["name"] for each in its["spec"]["volumes"]} & {each["name"] for each in ours["spec"]["volumes"]}
    # With the labels of both it is held by the policy of trainings, and by that of stages not.
    found = reached(FULL, "team-a", {**ours["metadata"]["labels"], **its["metadata"]["labels"]})
    assert ALL & (found or set()) == {DNS, STORE}
    (container,) = ours["spec"]["containers"]
    scratch = next(each["value"] for each in train["spec"]["trainer"]["env"] if each["name"] == "AIRA_SCRATCH")
    assert scratch in [each["mountPath"] for each in container["volumeMounts"]]
