"""What AIRA relies on between two requests: one winner of a Lease, claims that exclude, owners that take along."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from aira_lib.cluster.claim import claimed
from aira_lib.cluster.kinds import LEASES, Kind, Object
from aira_lib.cluster.refusals import Refused
from tests.cluster.server import Server, until

CONFIG_MAPS, QUOTAS = Kind("v1", "configmaps"), Kind("v1", "resourcequotas")
COLLECTED_SECONDS = 90


def test_of_a_hundred_that_create_a_lease_at_once_one_does(server: Server) -> None:
    api = server.api.within(server.runs)
    lease = {"apiVersion": LEASES.api, "kind": "Lease", "metadata": {"name": "race"}, "spec": {"holderIdentity": "x"}}

    def create(_: int) -> str:
        try:
            api.create(LEASES, lease)
            return "created"
        except Refused as error:
            return error.reason

    with ThreadPoolExecutor(100) as pool:
        answers = Counter(pool.map(create, range(100)))
    assert answers == {"created": 1, "AlreadyExists": 99}


def test_claims_exclude_each_other(server: Server) -> None:
    api, inside, most = server.api.within(server.runs), 0, 0
    guard = threading.Lock()

    def work(_: int) -> None:
        nonlocal inside, most
        with claimed(api, "claims", pause=0.05) as claim:
            assert claim
            with guard:
                inside += 1
                most = max(most, inside)
            claim.renew()
            with guard:
                inside -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert most == 1


def config_map(name: str, namespace: str, owner: Object | None = None) -> dict[str, Any]:
    about = owner and {"apiVersion": owner["apiVersion"], "kind": owner["kind"]}
    owners = [{**about, "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}] if about and owner else []
    metadata = {"name": name, "namespace": namespace, "ownerReferences": owners}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def test_what_a_workflow_owns_goes_with_it_and_what_lies_elsewhere_goes_at_once(server: Server) -> None:
    if not server.has_controllers:
        pytest.skip("no controller-manager runs here, which would collect what has lost its owner")
    workflow = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "owner"}}
    kind = server.kind("argoproj.io/v1alpha1", "Workflow")
    if kind is None:
        pytest.skip("Workflows are not served here")
    owner = server.create({**workflow, "spec": {"suspend": True}})  # so that a controller starts nothing
    api, there = server.api.within(server.runs), server.api.within(server.candidates)
    server.create(config_map("owned", server.runs, owner))
    server.create(config_map("elsewhere", server.candidates, owner))
    assert until(lambda: there.get(CONFIG_MAPS, "elsewhere") is None, COLLECTED_SECONDS), "an owner elsewhere holds it"
    assert api.get(CONFIG_MAPS, "owned")
    api.delete(kind, "owner")
    assert until(lambda: api.get(CONFIG_MAPS, "owned") is None, COLLECTED_SECONDS)


def test_a_pod_that_says_too_little_is_refused_by_a_quota(server: Server) -> None:
    metadata = {"name": "counted", "namespace": server.runs}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": {"limits.cpu": "2"}}}
    if not server.has_controllers:
        pytest.skip("no controller-manager runs here, which would count what a quota holds")
    server.create(quota)
    api = server.api.within(server.runs)
    assert until(lambda: bool((api.get(QUOTAS, "counted") or {}).get("status", {}).get("hard")), 30)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "main", "image": "i"}]},
    }
    with pytest.raises(Refused, match=r"must specify limits\.cpu"):
        server.create(pod, dry_run=True)
    api.delete(QUOTAS, "counted")
