"""Tables of docs/ about who gets which Secret and who reaches what are those of the code and of the chart."""

from pathlib import Path

import pytest
import yaml

from aira_lib.cluster.presets import pod_of, waiting_pod
from aira_lib.cluster.section import Cluster
from aira_lib.flow.stage import STAGES
from aira_lib.study.reading import parse_study
from tests.builders import TINY_STUDY
from tests.charts.aira_chart import FULL, objects, one
from tests.charts.chart_network import (
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
    SUBMIT,
    SWEEP,
    reached,
)
from tests.docs.pages import ROOT

Table = list[list[str]]


def tables(page: Path) -> list[Table]:
    """The tables of a page, row by row, without the line below the head."""
    found: list[Table] = [[]]
    for line in page.read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            found.append([])
        elif set(line) - set("|- "):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
    return [table for table in found if table]


def table(page: str, head: str) -> Table:
    (only,) = (each for each in tables(ROOT / "docs" / page) if each[0][0] == head)
    return only


WAITER = "tasks that start runs"
NAMES = {
    "searches": "search",
    "aggregation": "aggregate",
    "extrapolation": "extrapolate",
    "pretraining": "pretrain",
    "evaluation": "evaluate",
}
OF_SECRETS = {"the store's": "s3", "MLflow's": "mlflow", "keys of models": "models"}


def test_who_gets_which_secret() -> None:
    head, *rows = table("threat-model.md", "Secret")
    text = one(objects(FULL), "ConfigMap", "aira-cluster")["data"]["cluster.yaml"]
    cluster, study = Cluster.model_validate(yaml.safe_load(text)), parse_study(TINY_STUDY, "tiny")
    told = {column: {NAMES.get(each, each) for each in column.split(", ")} for column in head[1:]}
    assert set().union(*told.values()) - {WAITER} <= {stage.name for stage in STAGES.entries()}
    assert len(set().union(*told.values())) == 8
    for row in rows:
        key = next((key for words, key in OF_SECRETS.items() if row[0].startswith(words)), None)
        for column, said in zip(head[1:], row[1:], strict=True):
            for stage in told[column] if key else ():
                pod = waiting_pod(cluster) if stage == WAITER else pod_of(stage, study, cluster)
                assert (getattr(cluster, str(key)) in pod.secrets) == (said == "yes"), (row[0], stage)


PODS = {
    "Kubeflow's drivers (`network.scope: namespace`)": DRIVER,
    "stages of a study": SEARCH,
    "nodes of a training of several": NODE,
    "jobs that start runs from files": SUBMIT,
    "the sweep of agents' programs": SWEEP,
}
COLUMNS = {
    "names": DNS,
    "API server": API,
    "Kubeflow": KUBEFLOW,
    "S3": STORE,
    "MLflow": MLFLOW,
    "model providers": MODELS,
}


def test_who_reaches_what() -> None:
    head, *rows = table("install.md", "pods")
    assert head[1:] == list(COLUMNS)
    assert {row[0] for row in rows} == {*PODS, "agents' programs"}
    for row in rows:
        everywhere = reached(FULL, "team-a", PODS[row[0]]) if row[0] in PODS else reached(FULL, "aira-sandbox", {})
        assert everywhere is not None
        told = {COLUMNS[column] for column, said in zip(head[1:], row[1:], strict=True) if said}
        assert told == everywhere & set(COLUMNS.values()), row[0]


@pytest.mark.parametrize("labels", [STAGE])
def test_only_searches_reach_providers(labels: dict[str, str]) -> None:
    _, *rows = table("install.md", "pods")
    (said,) = (row[-1] for row in rows if row[0] == "stages of a study")
    assert said == "searches alone"
    assert MODELS not in (reached(FULL, "team-a", labels) or set())
