"""TrainJobs at a server that keeps the real order of effects: made once, adopted, followed, made anew, ended."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from aira_lib.cluster import connection
from aira_lib.cluster.api import connect
from aira_lib.cluster.section import Cluster
from aira_lib.errors import UserError
from aira_lib.launch.job import Job
from aira_lib.launch.launcher import Failure
from aira_lib.launch.trainjob import WORKFLOW, TrainJobLauncher
from aira_lib.launch.trainjob_manifest import OF_JOB, manifest
from aira_lib.launch.trainjob_pods import Following, NodePod
from tests.builders import CLUSTER
from tests.fakes.http import Request
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.schemas import problem, unknown

pytest.importorskip("kubernetes")

SCHEMA = yaml.safe_load((Path(__file__).parents[2] / "cluster" / "crds" / "trainjobs.yaml").read_text())
JOB = Job(
    name="first-point-0123456789ab",
    command=("python", "-m", "train", "s3://bucket/spec.json"),
    nodes=2,
    ranks_per_node=8,
    gpus_per_node=8,
    deadline_seconds=7200,
    study="first",
    unit="pretrain Composer@350M/5x s0",
)
NAME, HERE = JOB.name, "aira"
TORCHRUN = """[default1]:why it was
Root Cause (first observed failure):
[0]:
  time      : 2026-01-01_00:00:00
  host      : node
  rank      : 9 (local_rank: 1)
  exitcode  : 2 (pid: 7)
"""


def cluster_section(**changes: Any) -> Cluster:
    return Cluster.model_validate(CLUSTER | changes)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeKubernetes]:
    monkeypatch.setattr(connection, "FIRST_PAUSE", 0.001)
    monkeypatch.delenv(WORKFLOW, raising=False)
    with FakeKubernetes() as server:
        immutable = ("spec.trainer", "spec.runtimeRef", "spec.activeDeadlineSeconds")
        server.register("trainer.kubeflow.org", "v1alpha1", "TrainJob", "trainjobs", schema=SCHEMA, immutable=immutable)
        server.register("argoproj.io", "v1alpha1", "Workflow", "workflows")
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(tmp_path / "kubeconfig")))
        yield server


@pytest.fixture
def launcher(server: FakeKubernetes) -> TrainJobLauncher:
    return TrainJobLauncher(cluster_section(), connect, pause=0.01)


def make_pods(server: FakeKubernetes, phase: str = "Running", again: int = 0) -> list[str]:
    """What Trainer and the job's controllers make of a TrainJob."""
    owner = server.get("trainjobs", HERE, NAME)
    assert owner
    owners = [{"apiVersion": owner["apiVersion"], "kind": "TrainJob", "name": NAME, "uid": owner["metadata"]["uid"]}]
    made = []
    for node in range(JOB.nodes):
        name = f"{NAME}-node-0-{node}-{again}"
        labels = {
            "jobset.sigs.k8s.io/jobset-name": NAME,
            "jobset.sigs.k8s.io/replicatedjob-name": "node",
            "batch.kubernetes.io/job-completion-index": str(node),
        }
        meta = {"name": name, "namespace": HERE, "labels": labels, "ownerReferences": owners}
        spec = {"containers": [{"name": "node", "image": "i"}]}
        server.put({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
        server.pod_status(HERE, name, phase)
        made.append(name)
    return made


def say(server: FakeKubernetes, condition: str, reason: str = "x", message: str = "") -> None:
    each = {"type": condition, "status": "True", "reason": reason, "message": message}
    each["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    server.set_status("trainjobs", HERE, NAME, {"conditions": [each]})


def workflow(server: FakeKubernetes, name: str) -> str:
    meta = {"name": name, "namespace": HERE}
    made = server.put({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": meta})
    return str(made["metadata"]["uid"])


# What is sent


@pytest.mark.parametrize("gpus", [8, 0])
def test_the_manifest_is_what_the_schema_of_trainer_has(gpus: int) -> None:
    job = JOB.model_copy(update={"gpus_per_node": gpus})
    presets = {"multi-node": {"cores": 64, "memory_gib": 512, "gpus": 8, "shm_gib": 64, "node_selector": {"pool": "h"}}}
    presets["multi-node"]["tolerations"] = [{"key": "gpu", "effect": "NoSchedule"}]
    made = manifest(job, cluster_section(presets=presets))
    assert problem(made, SCHEMA) == ""
    assert list(unknown(made, SCHEMA)) == []


def test_what_a_job_asks_for_stands_in_its_manifest(launcher: TrainJobLauncher) -> None:
    made = yaml.safe_load(launcher.dryrun(JOB))
    spec, trainer = made["spec"], made["spec"]["trainer"]
    assert made["metadata"]["labels"] == {
        "aira/study": "first", "aira/stage": "pretrain", "kueue.x-k8s.io/queue-name": "aira",
    }  # fmt: skip
    assert spec["activeDeadlineSeconds"] == 7200
    assert "ttlSecondsAfterFinished" not in json.dumps(made)
    assert (trainer["numNodes"], trainer["numProcPerNode"]) == (2, 8)
    assert trainer["command"] == ["python", "-m", "aira_lib.launch.node", *JOB.command]
    assert trainer["image"].startswith("registry.example/aira-train@sha256:")
    for which in ("requests", "limits"):
        assert trainer["resourcesPerNode"][which]["nvidia.com/gpu"] == "8"
        assert {"cpu", "memory", "ephemeral-storage"} <= set(trainer["resourcesPerNode"][which])
    (patched,) = spec["runtimePatches"][0]["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    pod = patched["template"]["spec"]["template"]
    assert pod["spec"]["volumes"][0]["emptyDir"]["medium"] == "Memory"
    assert not [label for label in pod["metadata"]["labels"] if "kueue" in label]  # else pods wait for their own quota
    assert Job.model_validate_json(made["metadata"]["annotations"][OF_JOB]) == JOB


def test_ranks_get_the_secret_of_the_store_and_no_other() -> None:
    made = manifest(
        JOB, cluster_section(mlflow={"name": "aira-mlflow", "variables": {"MLFLOW_TRACKING_PASSWORD": "p"}})
    )
    variables = {each["name"]: each for each in made["spec"]["trainer"]["env"]}
    assert variables["AWS_SECRET_ACCESS_KEY"] == {
        "name": "AWS_SECRET_ACCESS_KEY",
        "valueFrom": {"secretKeyRef": {"name": "aira-s3", "key": "key"}},
    }
    assert not {"MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_URI", "OPENAI_API_KEY", "AIRA_CLUSTER"} & set(variables)
    assert "PET_NNODES" not in variables  # Trainer refuses those that it sets


def test_a_variable_of_this_process_is_refused_unless_the_cluster_has_it() -> None:
    manifest(JOB.model_copy(update={"environment": ("AWS_SECRET_ACCESS_KEY",)}), cluster_section())
    with pytest.raises(UserError, match="passes on HOME, whose value is not put into a manifest"):
        manifest(JOB.model_copy(update={"environment": ("HOME",)}), cluster_section())


def test_a_cluster_without_trainings_is_said_in_one_line() -> None:
    with pytest.raises(UserError, match="trains on one node"):
        TrainJobLauncher(cluster_section(training=None), connect)


# Made once


def test_a_job_is_made_once_and_adopted_then(server: FakeKubernetes, launcher: TrainJobLauncher) -> None:
    assert launcher.status(NAME).state == "unknown"
    assert launcher.submit(JOB) == "started"
    assert launcher.submit(JOB) == "adopted"
    assert launcher.status(NAME).state == "waiting"
    assert len(server.all_of("trainjobs")) == 1
    say(server, "Complete")
    assert launcher.submit(JOB) == "done"
    assert launcher.jobs() == [JOB]
    assert launcher.place(NAME) == f"trainjob/{NAME} in namespace aira"


def test_many_who_submit_at_once_have_one_job(server: FakeKubernetes) -> None:
    answers: list[str] = []

    def submit() -> None:
        answers.append(TrainJobLauncher(cluster_section(), connect, pause=0.01).submit(JOB))

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["adopted"] * 7 + ["started"]
    assert len(server.all_of("trainjobs")) == 1


def test_a_lost_answer_to_the_creation_makes_no_second_job(server: FakeKubernetes, launcher: TrainJobLauncher) -> None:
    server.drop("POST .*/trainjobs$")
    assert launcher.submit(JOB) == "adopted"
    assert len(server.all_of("trainjobs")) == 1


def test_a_job_that_failed_is_removed_with_its_pods_and_made_anew(
    server: FakeKubernetes, launcher: TrainJobLauncher
) -> None:
    launcher.submit(JOB)
    old = server.get("trainjobs", HERE, NAME)
    make_pods(server, "Failed")
    say(server, "Failed")
    assert launcher.submit(JOB) == "started"
    new = server.get("trainjobs", HERE, NAME)
    assert old
    assert new
    assert old["metadata"]["uid"] != new["metadata"]["uid"]
    assert server.all_of("pods", HERE) == []
    assert launcher.status(NAME).state == "waiting"


def test_a_job_that_another_made_anew_meanwhile_is_not_removed(
    server: FakeKubernetes, launcher: TrainJobLauncher
) -> None:
    """Both saw that it failed: the second to delete means the first's new job, and must not."""
    launcher.submit(JOB)
    say(server, "Failed")
    other, done = TrainJobLauncher(cluster_section(), connect, pause=0.01), list[str]()

    def first(request: Request) -> None:
        if request.method == "DELETE" and not done:
            done.append("")
            done[0] = other.submit(JOB)

    server.before.append(first)
    assert launcher.submit(JOB) == "adopted"
    assert done == ["started"]


def test_it_ends_with_the_workflow_that_wants_it_and_not_before_the_last_of_them(
    server: FakeKubernetes, launcher: TrainJobLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    uids = [workflow(server, "run-1"), workflow(server, "run-2")]
    for name in ("run-1", "run-2", "run-2"):
        monkeypatch.setenv(WORKFLOW, name)
        launcher.submit(JOB)
    made = server.get("trainjobs", HERE, NAME)
    assert made
    assert [each["uid"] for each in made["metadata"]["ownerReferences"]] == uids
    server.remove("workflows", HERE, "run-1")
    assert server.get("trainjobs", HERE, NAME)
    server.remove("workflows", HERE, "run-2")
    assert server.get("trainjobs", HERE, NAME) is None
    with pytest.raises(UserError, match="the workflow run-2 of this run is gone"):
        launcher.submit(JOB)


# How it is


def test_pods_say_that_it_runs_and_for_how_long(server: FakeKubernetes, launcher: TrainJobLauncher) -> None:
    launcher.submit(JOB)
    make_pods(server)
    status = launcher.status(NAME)
    assert status.state == "running"
    assert status.seconds is not None
    assert status.seconds < 60


def test_pods_that_all_succeeded_are_believed_before_the_job_says_so(
    server: FakeKubernetes, launcher: TrainJobLauncher
) -> None:
    launcher.submit(JOB)
    pods = make_pods(server)
    server.pod_status(HERE, pods[0], "Succeeded")
    assert launcher.status(NAME).state == "running"
    server.pod_status(HERE, pods[1], "Succeeded")
    assert launcher.status(NAME).state == "succeeded"


def failed(
    server: FakeKubernetes, launcher: TrainJobLauncher, *ends: dict[str, Any], printed: tuple[str, ...] = ()
) -> Failure:
    launcher.submit(JOB)
    for pod, end, text in zip(make_pods(server), ends, [*printed, "", ""], strict=False):
        server.say(HERE, pod, text)
        server.pod_status(HERE, pod, "Failed", **end)
    say(server, "Failed", "FailedJobs", "jobset failed")
    status = launcher.status(NAME)
    assert status.state == "failed"
    assert status.failure
    return status.failure


def test_the_rank_that_failed_first_is_named_with_what_it_printed(
    server: FakeKubernetes, launcher: TrainJobLauncher
) -> None:
    """Node 0 only lost its neighbour: its ranks end with 75, perhaps in the same second."""
    failure = failed(server, launcher, {"exit_code": 75}, {"exit_code": 2}, printed=("of node 0\n", TORCHRUN))
    assert (failure.rank, failure.exit_code, failure.retryable) == (9, 2, False)
    assert failure.reason == f"node 1 ({NAME}-node-0-1-0), rank 9: exit code 2: why it was"
    assert failure.lines[-1] == "why it was"
    assert {f"{NAME}-node-0-0-0:", "of node 0"} <= set(failure.lines)  # of every pod something is kept


@pytest.mark.parametrize(
    ("end", "reason", "again"),
    [
        ({"exit_code": 137, "reason": "OOMKilled"}, "memory beyond its limit", False),
        ({"exit_code": 143, "reason": "Evicted"}, "taken away", True),
        ({"exit_code": 137}, "killed by SIGKILL", True),
        ({"exit_code": 1}, "exit code 1", False),
    ],
)
def test_why_a_pod_failed_says_whether_another_attempt_may_get_on(
    server: FakeKubernetes, launcher: TrainJobLauncher, end: dict[str, Any], reason: str, again: bool
) -> None:
    failure = failed(server, launcher, end)
    assert reason in failure.reason
    assert failure.retryable is again


def test_the_deadline_is_named_and_pods_that_are_gone_are_no_mystery(
    server: FakeKubernetes, launcher: TrainJobLauncher
) -> None:
    launcher.submit(JOB)
    say(server, "Failed", "DeadlineExceeded")
    failure = launcher.status(NAME).failure
    assert failure == Failure(reason="not finished within its deadline of 2.0 h")
    say(server, "Failed", "FailedJobs", "gone")
    failure = launcher.status(NAME).failure
    assert failure
    assert failure.retryable
    assert "its pods are gone" in failure.reason


# What it prints


def test_the_log_of_node_0_is_followed_to_the_end_and_into_the_pod_that_takes_its_place(
    server: FakeKubernetes, launcher: TrainJobLauncher
) -> None:
    launcher.submit(JOB)
    first, other = make_pods(server)
    server.say(HERE, first, "a\na\n")
    server.say(HERE, other, "of another node\n")
    lines = launcher.logs(NAME, follow=True)
    assert [next(lines), next(lines)] == ["a", "a"]
    server.say(HERE, first, "b\n")
    server.drop("GET .*/log$", times=2)
    assert next(lines) == "b"
    server.pod_status(HERE, first, "Failed", exit_code=75)
    second, _ = make_pods(server, again=1)
    server.say(HERE, second, "c\n")
    assert next(lines) == "c"
    say(server, "Complete")
    server.say(HERE, second, "d\n")
    assert list(lines) == ["d"]
    assert list(launcher.logs(NAME)) == ["a", "a", "b", "c", "d"]


def test_lines_of_one_moment_are_all_read_once_wherever_a_node_is() -> None:
    """A log as a node two hours east of Greenwich writes it; the server counts since when in whole seconds."""
    log: list[str] = []
    asked: list[str] = []

    class Api:
        def log(self, pod: str, **query: str) -> list[str]:
            asked.append(query.get("sinceTime", ""))
            return list(log)

    pod = NodePod({"metadata": {"name": "p"}, "status": {"phase": "Running"}})
    following = Following(Api())  # type: ignore[arg-type]
    log += ["2026-01-01T02:00:00.100000000+02:00 a", "2026-01-01T02:00:00.100000000+02:00 b"]
    assert list(following.new([pod])) == ["a", "b"]
    log += ["2026-01-01T02:00:00.100000000+02:00 b", "2026-01-01T02:00:00.200000000+02:00 c", "no log is here"]
    assert list(following.new([pod])) == ["b", "c"]
    assert list(following.new([pod])) == []
    assert asked == ["", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"]


# Ended


def test_a_cancelled_job_is_gone_when_cancel_returns_and_one_that_ended_stays(
    server: FakeKubernetes, launcher: TrainJobLauncher
) -> None:
    launcher.submit(JOB)
    make_pods(server)
    launcher.cancel(NAME)
    assert launcher.status(NAME).state == "cancelled"
    assert server.all_of("pods", HERE) == []
    launcher.submit(JOB)
    say(server, "Complete")
    launcher.cancel(NAME)
    assert launcher.status(NAME).state == "succeeded"
    with pytest.raises(UserError, match="no job 'first'"):
        launcher.cancel("first")


def test_a_job_whose_pods_take_their_time_is_waited_for(server: FakeKubernetes, launcher: TrainJobLauncher) -> None:
    launcher.submit(JOB)

    def finalizers(*names: str) -> None:
        stored = server.get("trainjobs", HERE, NAME)
        assert stored
        stored["metadata"]["finalizers"] = list(names)
        server.put(stored)

    finalizers("foregroundDeletion")
    threading.Timer(0.2, finalizers).start()
    launcher.cancel(NAME)
    assert server.get("trainjobs", HERE, NAME) is None
