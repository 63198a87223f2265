"""The chart `aira`: its service accounts have the rights of `aira_lib.cluster.rights`, and no others."""

from typing import Any

import pytest
import yaml

from aira_lib.cluster.rights import Right, rights, roles
from aira_lib.cluster.section import Cluster
from tests.charts.aira_chart import FULL, MINIMAL, WORKFLOW, Object, objects, one, with_values

ALONE = with_values(MINIMAL, cluster__candidates=None)


def granted(made: list[Object]) -> dict[tuple[str, str], set[Right]]:
    """What each account (namespace, name) may do by the Roles that are bound to it."""
    found: dict[tuple[str, str], set[Right]] = {}
    for binding in (each for each in made if each["kind"] == "RoleBinding"):
        namespace = binding["metadata"]["namespace"]
        role = one(made, binding["roleRef"]["kind"], binding["roleRef"]["name"], namespace)
        allowed = {
            Right(namespace, verb, group, resource, name)
            for rule in role["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
            for name in rule.get("resourceNames") or [""]
        }
        for subject in binding["subjects"]:
            assert subject["kind"] == "ServiceAccount"
            found.setdefault((subject["namespace"], subject["name"]), set()).update(allowed)
    return found


def needed(made: list[Object], secret: str) -> dict[tuple[str, str], set[Right]]:
    text = one(made, "ConfigMap", "aira-cluster")["data"]["cluster.yaml"]
    cluster = Cluster.model_validate(yaml.safe_load(text))
    found: dict[tuple[str, str], set[Right]] = {}
    for role in roles(cluster, secret):
        found.setdefault((cluster.kubeflow.namespace, role.account), set()).update(rights(role))
    return found


@pytest.mark.parametrize("values", [MINIMAL, FULL, ALONE], ids=["minimal", "full", "alone"])
def test_accounts_may_do_what_the_library_says_and_nothing_else(values: Object) -> None:
    made = objects(values)
    assert granted(made) == needed(made, "mlpipeline-minio-artifact")


def test_the_login_of_kubeflows_artifacts_may_have_another_name() -> None:
    made = objects(with_values(FULL, accounts__artifactSecret="other"))
    assert granted(made) == needed(made, "other")


def test_others_may_do_what_tasks_may() -> None:
    found = granted(objects(with_values(FULL, accounts__others=["default-editor"])))
    assert found.pop(("team-a", "default-editor")) == found[("team-a", "aira-pipeline")]
    assert found == granted(objects(FULL))


def test_nothing_is_allowed_beyond_its_namespace() -> None:
    made = objects(FULL)
    assert not {each["kind"] for each in made} & {"ClusterRole", "ClusterRoleBinding"}
    everything = {right for found in granted(made).values() for right in found}
    assert not any("*" in (right.verb, right.group, right.resource) for right in everything)
    assert {right.name for right in everything if right.resource == "secrets"} == {"mlpipeline-minio-artifact"}
    assert not [right for right in everything if right.resource in ("roles", "rolebindings", "serviceaccounts/token")]


def test_agents_programs_and_trainings_are_nobody() -> None:
    made = objects(FULL)
    accounts = {
        (each["metadata"]["namespace"], each["metadata"]["name"]): each
        for each in made
        if each["kind"] == "ServiceAccount"
    }
    nobody = {("aira-sandbox", "aira-candidate"), ("team-a", "aira-training")}
    assert accounts.keys() - granted(made).keys() == nobody
    assert all(accounts[each]["automountServiceAccountToken"] is False for each in nobody)


def test_every_account_that_is_bound_or_used_is_made() -> None:
    made = objects(FULL)
    accounts = {each["metadata"]["name"] for each in made if each["kind"] == "ServiceAccount"}
    used = {name for _, name in granted(made)} | set(named(made))
    assert used <= accounts
    assert all(each["imagePullSecrets"] == [{"name": "registry"}] for each in made if each["kind"] == "ServiceAccount")


def named(part: Any) -> Any:
    if isinstance(part, dict):
        if "serviceAccountName" in part:
            yield part["serviceAccountName"]
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from named(each)


def test_accounts_and_roles_can_be_somebody_elses() -> None:
    bare = with_values(MINIMAL, accounts__create=False, accounts__roles=False, cluster__candidates=None)
    kinds = {each["kind"] for each in objects(bare, [WORKFLOW])}
    assert not kinds & {"ServiceAccount", "Role", "RoleBinding"}


def test_a_role_of_the_cloud_is_the_accounts_that_asks_for_it() -> None:
    made = objects(FULL)
    annotated = {each["metadata"]["name"]: each["metadata"].get("annotations") for each in made
                 if each["kind"] == "ServiceAccount"}  # fmt: skip
    assert annotated.pop("aira-pipeline") == {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/aira"}
    assert set(annotated.values()) == {None}
