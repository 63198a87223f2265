"""The examples of the chart `aira-runs`: whole files that fit together, and that the charts and the library take."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from aira_lib.cluster.section import Cluster
from aira_lib.errors import UserError
from aira_lib.remote.run_file import load_run_file
from tests.builders import CLUSTER
from tests.fakes.http import Json
from tests.helm import CHARTS, rendered

EXAMPLES = CHARTS / "aira-runs" / "examples"
HERE = Cluster.model_validate(CLUSTER)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A team's repository as the examples describe it."""
    for folder in ("clusters", "argocd", "flux"):
        shutil.copytree(EXAMPLES / folder, tmp_path / folder)
    for chart in ("aira", "aira-runs"):
        shutil.copytree(CHARTS / chart, tmp_path / "charts" / chart)
    shutil.copytree(EXAMPLES / "runs", tmp_path / "charts" / "aira-runs" / "runs", dirs_exist_ok=True)
    (tmp_path / "clusters" / "one" / "aira.yaml").write_text("# see docs/install.md\n")
    return tmp_path


def objects(folder: Path) -> Iterator[Json]:
    for path in sorted(folder.rglob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text())


def of_kind(folder: Path, kind: str) -> dict[str, Json]:
    return {each["metadata"]["name"]: each["spec"] for each in objects(folder) if each["kind"] == kind}


def test_the_page_lists_every_file() -> None:
    page = (EXAMPLES / "README.md").read_text()
    assert not [path for path in EXAMPLES.rglob("*.yaml") if f"`{path.relative_to(EXAMPLES)}`" not in page]


def test_argo_cd_is_given_both_charts_and_files_that_are_there(repository: Path) -> None:
    (application,) = of_kind(repository / "argocd", "Application").values()
    assert [source["path"] for source in application["sources"]] == ["charts/aira", "charts/aira-runs"]
    for source in application["sources"]:
        assert (repository / source["path"] / "Chart.yaml").exists()
        for values in source["helm"]["valueFiles"]:
            assert (repository / values.lstrip("/")).exists()


def test_flux_applies_runs_after_the_pipelines_that_they_name(repository: Path) -> None:
    kustomizations = of_kind(repository / "flux", "Kustomization")
    (source,) = of_kind(repository / "flux", "GitRepository")
    assert kustomizations["aira-runs"]["dependsOn"] == [{"name": "aira"}]
    assert kustomizations["aira"]["wait"] is True
    for name, each in kustomizations.items():
        assert each["sourceRef"] == {"kind": "GitRepository", "name": source}
        (release,) = of_kind(repository / each["path"], "HelmRelease").values()
        chart = release["chart"]["spec"]
        assert chart["chart"] == f"./charts/{name}"
        assert chart["sourceRef"]["name"] == source
        assert chart["reconcileStrategy"] == "Revision"
        for values in chart["valuesFiles"]:
            assert (repository / values).exists()


def test_waves_order_pipelines_before_the_jobs_that_name_them(repository: Path) -> None:
    made = rendered(repository / "charts" / "aira-runs", "--values", repository / "clusters" / "one" / "aira-runs.yaml")
    waves = {each["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"] for each in made if each["kind"] == "Job"}
    pipelines = (CHARTS / "aira" / "templates" / "pipelines" / "pipelines.yaml").read_text()
    assert 'ternary "0" "1" (eq . "Pipeline")' in pipelines
    assert waves == {"2"}
    names = [each["metadata"]["name"].rpartition("-")[0] for each in made if each["kind"] == "Job"]
    assert names == ["first", "paper"]


def test_the_runs_are_runs_and_the_expensive_one_says_how_it_is_confirmed(tmp_path: Path) -> None:
    assert load_run_file(EXAMPLES / "runs" / "first.yaml", HERE).parameters() == {"preset": "smoke"}
    with pytest.raises(UserError, match=r"GPU hours.*with confirm: ") as refused:
        load_run_file(EXAMPLES / "runs" / "paper.yaml", HERE)
    confirm = str(refused.value).rpartition(" ")[2]
    text = (EXAMPLES / "runs" / "paper.yaml").read_text()
    (tmp_path / "run.yaml").write_text(text.replace("# confirm: ...", f"confirm: {confirm}"))
    assert load_run_file(tmp_path / "run.yaml", HERE).parameters()["units_at_once"] == 40


def test_another_folder_of_files_is_for_another_cluster(repository: Path) -> None:
    chart = repository / "charts" / "aira-runs"
    (chart / "runs" / "two").mkdir()
    shutil.copy(EXAMPLES / "runs" / "first.yaml", chart / "runs" / "two" / "second.yaml")
    values = ("--values", repository / "clusters" / "one" / "aira-runs.yaml")
    made = rendered(chart, *values, "--set", "files=runs/two/*.yaml")
    assert {each["metadata"]["name"].rpartition("-")[0] for each in made} == {"second"}
    assert {each["metadata"]["name"].rpartition("-")[0] for each in rendered(chart, *values)} == {"first", "paper"}
