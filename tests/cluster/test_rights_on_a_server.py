"""Roles of the chart, on a server that decides: each account may do what it needs, and not what it must not."""

import uuid

import pytest
import yaml

from aira_lib.cluster.rights import KUBEFLOW, Right, rights, roles
from aira_lib.cluster.section import Cluster
from aira_lib.remote.doctor.access import account_rights
from aira_lib.remote.doctor.finding import Place
from aira_lib.remote.doctor.isolation import candidates
from aira_lib.remote.doctor.objects import namespaces, own_file
from aira_lib.remote.doctor.room import quotas
from tests.charts.aira_chart import FULL, Object, one
from tests.cluster.server import Server, until
from tests.cluster.test_objects_on_a_server import of_the_chart

KEPT = ("ServiceAccount", "Role", "RoleBinding", "ConfigMap", "NetworkPolicy", "LimitRange", "ResourceQuota")


@pytest.fixture(scope="module")
def installed(server: Server) -> list[Object]:
    """What says who may do what, for real; and what goes with it."""
    found = [each for each in of_the_chart(server, FULL) if each["kind"] in KEPT]
    for each in found:
        server.apply(each, dry_run=False)
    if server.may(f"nobody-{uuid.uuid4().hex}", "create", "", "pods", server.runs):
        pytest.skip("this server lets everybody do everything: it was started without RBAC")
    return found


def cluster_in(objects: list[Object]) -> Cluster:
    return Cluster.model_validate(yaml.safe_load(one(objects, "ConfigMap", "aira-cluster")["data"]["cluster.yaml"]))


def may(server: Server, account: str, right: Right) -> bool:
    user = f"system:serviceaccount:{server.runs}:{account}"
    return server.may(user, right.verb, right.group, right.resource, right.namespace, right.name)


def test_each_account_may_do_what_it_needs(server: Server, installed: list[Object]) -> None:
    needed = [(role.account, right) for role in roles(cluster_in(installed)) for right in rights(role)]
    assert len(needed) > 40
    # A server learns of a new binding a moment later.
    assert until(lambda: all(may(server, *one) for one in needed), 10), [
        f"{account}: {right}" for account, right in needed if not may(server, account, right)
    ]


def test_no_account_may_do_what_it_must_not(server: Server, installed: list[Object]) -> None:
    runs, there = server.runs, server.candidates
    everyone = {role.account for role in roles(cluster_in(installed))} | {"aira-training", "default"}
    never = [
        Right(runs, "list", "", "secrets"),
        Right(runs, "get", "", "secrets", "aira-s3"),
        Right(runs, "create", "", "pods"),
        Right(runs, "create", "", "pods/exec"),
        Right(runs, "create", "", "serviceaccounts/token"),
        Right(runs, "update", "rbac.authorization.k8s.io", "roles"),
        Right(runs, "delete", "coordination.k8s.io", "leases"),
        Right(runs, "delete", "argoproj.io", "workflows"),
        Right(there, "get", "", "secrets"),
        Right(there, "create", "", "serviceaccounts/token"),
        Right("kube-system", "get", "", "secrets"),
        Right("", "list", "", "nodes"),
        Right("", "create", "", "namespaces"),
    ]
    may_not = [f"{account}: {right}" for account in everyone for right in never if may(server, account, right)]
    assert may_not == []
    submitter = [
        Right(there, "create", "", "pods"),
        Right(runs, "get", "", "pods"),
        Right(runs, "delete", KUBEFLOW, "runs"),
    ]
    assert not any(may(server, "aira-submitter", right) for right in submitter)
    candidate = f"system:serviceaccount:{there}:aira-candidate"
    assert not server.may(candidate, "get", "", "pods", there)


def test_doctor_finds_what_the_chart_has_made(server: Server, installed: list[Object]) -> None:
    """The areas that the chart alone fills; services and nodes are the cluster's own."""
    place = Place(cluster_in(installed), server.api.within(server.runs), inside=False)
    ours = [each for check in (namespaces, own_file, account_rights) for each in check(place)]
    assert len(ours) >= 6
    assert {each.level for each in ours} == {"good"}, ours
    assert not any("init and wait" in each.text for each in quotas(place))
    held = list(candidates(place))
    closed = [each for each in held if "restricted" in each.text or "network" in each.text]
    assert len(closed) == 2
    assert {each.level for each in closed} == {"good"}, held
