"""The chart `aira`: who may talk to whom."""

from typing import Any

import pytest

from tests.charts.aira_chart import FULL, MINIMAL, with_values
from tests.charts.chart_network import (
    ALL,
    API,
    DNS,
    DRIVER,
    KUBEFLOW,
    MLFLOW,
    MODELS,
    NODE,
    SEARCH,
    STAGE,
    STORE,
    STRANGER,
    SUBMIT,
    SWEEP,
    policies,
    reached,
    selects,
)  # fmt: skip


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
    assert ALL & (reached(FULL, "team-a", DRIVER) or set()) == {DNS, API, KUBEFLOW, MLFLOW}
    without = with_values(FULL, cluster__tracking__plugin=False)
    assert ALL & (reached(without, "team-a", DRIVER) or set()) == {DNS, API, KUBEFLOW}
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
