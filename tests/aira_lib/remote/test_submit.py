"""One file, one run: submitted by many at once, by processes that die anywhere, through answers that are lost."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from aira_lib.cluster import claim
from aira_lib.cluster.connection import Connection
from aira_lib.cluster.kinds import LEASES, PODS
from aira_lib.cluster.rest import Rest, Unanswered
from aira_lib.cluster.rights import SUBMITTER, roles
from aira_lib.cluster.runs import RUN_LABEL, RunsApi
from aira_lib.errors import UserError
from aira_lib.flow.texts import read_study
from aira_lib.remote.submit import Submitter, dryrun, lease_of
from tests.aira_lib.remote.small_platform import Platform
from tests.builders import TINY_STUDY
from tests.fakes.rights import account

FILE = "name: first\npipeline: aira-compose\npreset: smoke\noverrides: {proxy.epochs: 3}\n"


class Died(BaseException):
    """Of a process that was killed: nothing of it runs after this, no `finally` either, for every call raises it."""


class Calls:
    """All requests of this process to both APIs, after the nth of which it dies, before it hears of the answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.deadly: int | None = None
        self._guard = threading.Lock()
        for owner, name in ((Rest, "_send"), (Connection, "_sent")):
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

    def begin(self, deadly: int | None) -> None:
        self.count, self.deadly = 0, deadly

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            with self._guard:
                self.count += 1
            if self.deadly is not None and self.count > self.deadly:
                raise Died
            answer = call(*arguments, **named)
            if self.count == self.deadly:
                raise Died
            return answer

        return counted


class Clock:
    """Of claims: waiting takes no time."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_run_is_started_once_with_what_the_file_says(there: Platform) -> None:
    wanted = there.wanted(FILE)
    first = there.submitter().submit(wanted)
    again = there.submitter().submit(wanted)
    assert first.new
    assert not again.new
    assert first.run
    assert again.run
    assert first.run.id == again.run.id == wanted.run_id
    assert first.run.version == (there.newest[0], there.newest[1])
    assert first.run.parameters == {"preset": "smoke", "overrides": {"proxy.epochs": 3}}
    assert first.run.service_account == "aira-pipeline"
    assert len(there.kubeflow.workflows()) == 1


def test_the_version_that_is_named_is_run(there: Platform) -> None:
    run = there.submitter().submit(there.wanted(FILE + "version: v1\n")).run
    assert run
    assert run.version == (there.old[0], there.old[1])


def test_another_attempt_is_another_run_and_what_is_done_with_a_run_is_not(there: Platform) -> None:
    runs = [there.submitter().submit(there.wanted(FILE + more)) for more in ("", "attempt: 2\n", "follow: true\n")]
    ids = [each.run.id for each in runs if each.run]
    assert ids[0] == ids[2] != ids[1]
    assert [each.new for each in runs] == [True, True, False]


def test_a_hundred_submits_at_once_are_one_run(there: Platform) -> None:
    wanted = there.wanted(FILE)
    begin = threading.Barrier(100)

    def submit(_: int) -> bool:
        submitter = there.submitter(granted=60, pause=0.2)
        begin.wait()
        return submitter.submit(wanted).new

    with ThreadPoolExecutor(100) as pool:
        assert sum(pool.map(submit, range(100))) == 1
    assert len(there.kubeflow.workflows()) == len(there.kubeflow.runs) == 1


def test_a_process_that_dies_between_any_two_calls_leaves_no_second_run(
    there: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "time", Clock())
    calls = Calls(monkeypatch)
    there.submitter(pause=0.3).submit(there.wanted(FILE))
    needed = calls.count
    assert needed >= 8
    for done in range(1, needed + 1):
        wanted = there.wanted(FILE + f"attempt: {done + 1}\n")
        calls.begin(done)
        with pytest.raises(Died):
            there.submitter(pause=0.3).submit(wanted)
        calls.begin(None)
        assert there.submitter(pause=0.3).submit(wanted).run
        assert len(there.workflow_names(wanted.run_id)) == 1, f"it died after {done} of {needed} calls"


@pytest.mark.parametrize("after", [True, False])
def test_a_lost_answer_is_settled_by_looking(there: Platform, after: bool) -> None:
    there.kubeflow.drop("POST .*/runs$", after=after)
    wanted = there.wanted(FILE)
    assert there.submitter().submit(wanted).run
    assert len(there.kubeflow.workflows()) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_busy_is_asked_again(there: Platform, status: int) -> None:
    there.kubeflow.fail("POST .*/runs$", status, times=2)
    assert there.submitter().submit(there.wanted(FILE)).new
    assert len(there.kubeflow.workflows()) == 1


def test_a_server_that_dies_between_workflow_and_row_leaves_one_workflow_and_a_line(there: Platform) -> None:
    def die(run: object) -> None:
        raise RuntimeError("the server")

    there.kubeflow.between.append(die)
    wanted = there.wanted(FILE)
    name = ""
    for _ in range(2):
        with pytest.raises(UserError, match="delete workflow") as refused:
            there.submitter().submit(wanted)
        (name,) = there.workflow_names(wanted.run_id)
        assert name in str(refused.value)
    there.kubernetes.remove("workflows", "aira", name)
    there.kubeflow.between.clear()
    assert there.submitter().submit(wanted).new


def test_a_server_that_is_away_is_no_mistake_of_the_file(there: Platform) -> None:
    there.kubeflow.drop("GET .*", after=False, times=1_000)
    with pytest.raises(Unanswered) as error:
        there.submitter().submit(there.wanted(FILE))
    assert error.value.exit_code == 75
    assert not there.kubeflow.workflows()


def test_a_run_that_was_deleted_is_not_started_again_by_the_same_file(there: Platform) -> None:
    wanted = there.wanted(FILE)
    there.submitter().submit(wanted)
    del there.kubeflow.runs[wanted.run_id]
    for workflow in there.workflow_names(wanted.run_id):
        there.kubernetes.remove("workflows", "aira", workflow)
    again = there.submitter().submit(wanted)
    assert again.run is None
    assert again.before
    assert wanted.run_id in again.before
    assert there.submitter().submit(there.wanted(FILE + "attempt: 2\n")).new


def test_a_run_is_ended_where_its_file_says_so_and_never_started(there: Platform) -> None:
    ended = there.wanted(FILE + "state: terminated\n")
    assert there.submitter().submit(ended).run is None
    assert not there.kubeflow.runs
    there.submitter().submit(there.wanted(FILE))
    run = there.submitter().submit(ended).run
    assert run
    assert run.state == "CANCELING"
    there.kubeflow.progress(run.id, "CANCELED")
    again = there.submitter().submit(ended).run
    assert again
    assert again.state == "CANCELED"


def test_a_silent_holder_loses_its_claim_and_one_that_speaks_does_not(
    there: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "time", Clock())
    wanted = there.wanted(FILE)
    holder = claim.Claim(there.client(), lease_of(wanted), seconds=1)
    assert holder.create()
    assert there.submitter(pause=0.3).submit(wanted).new
    with pytest.raises(claim.NotClaimed):
        holder.renew()

    other = claim.Claim(there.client(), lease := lease_of(there.wanted(FILE + "attempt: 2\n")), seconds=1)
    assert other.create()
    ask = lambda: other.renew() or False  # noqa: E731
    with pytest.raises(claim.NotClaimed), claim.claimed(there.client(), lease, ask, seconds=1, pause=0.3):
        pass


def test_a_claim_survives_answers_that_are_lost(there: Platform) -> None:
    there.kubernetes.drop("POST .*/leases$", after=True)
    there.kubernetes.drop("PUT .*/leases/", after=True, times=2)
    wanted = there.wanted(FILE)
    assert there.submitter().submit(wanted).new
    lease = there.client().get(LEASES, lease_of(wanted))
    assert lease
    assert "holderIdentity" not in lease["spec"]


def test_a_missing_pipeline_or_version_is_one_line_before_anything_is_claimed(there: Platform) -> None:
    for text, line in (
        (FILE.replace("aira-compose", "aira-other"), "pipeline 'aira-other'"),
        (FILE + "version: v9\n", "no version 'v9'"),
    ):
        with pytest.raises(UserError, match=line):
            there.submitter().submit(there.wanted(text))
    assert not there.kubernetes.all_of("leases", "aira")


def test_an_experiment_is_made_where_there_is_none(there: Platform) -> None:
    there.kubeflow.experiments.clear()
    there.kubeflow.drop("POST .*/experiments$", after=True)
    run = there.submitter().submit(there.wanted(FILE)).run
    assert run
    assert there.kubeflow.experiments[run.experiment_id]["display_name"] == "aira"


def test_the_token_is_read_for_each_request(there: Platform) -> None:
    there.kubeflow.tokens = {"exchanged"}
    submitter = there.submitter()
    with pytest.raises(UserError, match="audience"):
        submitter.submit(there.wanted(FILE))
    (there.folder / "token").write_text("exchanged")
    assert submitter.submit(there.wanted(FILE)).new


def test_a_dry_run_shows_what_is_sent_and_makes_nothing(there: Platform) -> None:
    wanted = there.wanted(FILE)
    shown = dryrun(wanted, there.cluster, there.runs())
    assert not there.kubernetes.all_of("leases", "aira")
    assert not there.kubeflow.runs
    there.submitter().submit(wanted)
    (sent,) = [one.json() for one in there.kubeflow.requests if str(one) == "POST /apis/v2beta1/runs"]
    assert shown == {"lease": lease_of(wanted), "run": sent}


def test_a_dry_run_needs_no_server(there: Platform) -> None:
    there.kubeflow.drop("GET .*", after=False, times=1_000)
    shown = dryrun(there.wanted(FILE), there.cluster, there.runs())
    assert shown["run"]["pipeline_version_reference"]["pipeline_id"] == "<id of aira-compose>"


def test_kubeflows_mlflow_plugin_is_given_the_experiment_of_the_study(there: Platform) -> None:
    there.cluster = there.cluster_with(tracking={"uri": "http://mlflow.example", "plugin": True})
    wanted = there.wanted(yaml.safe_dump({"name": "first", "pipeline": "aira-compose", "study": TINY_STUDY}))
    there.submitter().submit(wanted)
    sent = next(one.json() for one in there.kubeflow.requests if str(one) == "POST /apis/v2beta1/runs")
    assert sent["plugins_input"] == {"mlflow": {"experiment_name": "aira/tiny"}}


def test_who_takes_over_from_a_process_that_died_looks_for_what_it_left(
    there: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = there.wanted(FILE)
    clock = Clock()
    monkeypatch.setattr(claim, "time", clock)
    assert claim.Claim(there.client(), lease_of(wanted), seconds=1).create()

    def sleep(seconds: float) -> None:
        """While it is waited for, its request makes a Workflow, and its server no row."""
        if not there.workflow_names(wanted.run_id):
            labels = {RUN_LABEL: wanted.run_id}
            metadata = {"name": "left-behind", "namespace": "aira", "labels": labels}
            there.kubernetes.put({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": metadata})
        clock.now += seconds

    monkeypatch.setattr(clock, "sleep", sleep)
    with pytest.raises(UserError, match="delete workflow left-behind"):
        there.submitter(pause=0.3).submit(wanted)
    assert there.workflow_names(wanted.run_id) == ["left-behind"]


def test_the_rights_of_the_submitter_are_enough(there: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the Kubernetes API; those of Kubeflow's, tests/cluster asks a real server after."""
    (role,) = (each for each in roles(there.cluster) if each.account == SUBMITTER)
    rules = [
        {"apiGroups": [one.group], "resources": list(one.resources), "verbs": list(one.verbs)} for one in role.rules
    ]
    group = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": role.name, "namespace": role.namespace}}
    there.kubernetes.put({**group, "kind": "Role", "rules": rules})
    subject = {"kind": "ServiceAccount", "name": role.account, "namespace": role.namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role.name}
    there.kubernetes.put({**group, "kind": "RoleBinding", "subjects": [subject], "roleRef": reference})
    user = account(role.namespace, role.account)
    monkeypatch.setenv("KUBECONFIG", str(there.kubernetes.kubeconfig(there.folder / "submitter", user)))
    submitter = Submitter(there.cluster, RunsApi(there.cluster), there.client())
    assert submitter.submit(there.wanted(FILE)).new
    assert not submitter.submit(there.wanted(FILE)).new
    with pytest.raises(UserError, match="Kubernetes refuses"):
        there.client().find(PODS)


def test_a_study_that_is_longer_than_parameters_may_be_is_kept_in_the_store(there: Platform) -> None:
    study = {**TINY_STUDY, "description": "long " * 3_000}
    store = str(there.folder / "store")
    there.cluster = there.cluster_with(store=store)
    text = yaml.safe_dump({"name": "first", "pipeline": "aira-compose", "study": study})
    shown = dryrun(there.wanted(text), there.cluster, there.runs())
    assert shown["run"]["runtime_config"]["parameters"]["study"] == f"<name of study {study['name']} in {store}>"
    assert not Path(store).exists()
    run = there.submitter().submit(there.wanted(text)).run
    assert run
    assert read_study(run.parameters["study"], store).description == study["description"]
    assert not there.submitter().submit(there.wanted(text)).new


def test_overrides_that_are_longer_are_refused(there: Platform) -> None:
    text = yaml.safe_dump({**yaml.safe_load(FILE), "overrides": {"description": "long " * 3_000}})
    with pytest.raises(UserError, match=r"15,0\d\d bytes"):
        there.submitter().submit(there.wanted(text))
    assert not there.kubernetes.all_of("leases", "aira")
