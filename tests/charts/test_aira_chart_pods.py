"""The chart `aira`: the pods that it makes, or has made."""

from collections.abc import Iterator

import yaml

from aira_lib.cluster.section import Cluster
from aira_lib.launch.job import Job
from aira_lib.launch.trainjob_manifest import manifest
from tests.charts.aira_chart import FULL, Object, objects, one, with_values
from tests.charts.chart_network import ALL, DNS, STAGE, STORE, reached
from tests.charts.chart_pods import restricted


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
