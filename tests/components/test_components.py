"""Components are thin, and the pipeline compiles to the same bytes every time."""

import ast
import json
import sys
from pathlib import Path

import pytest
import yaml

from tests.aira_lib.cli.in_process import aira

ROOT = Path(__file__).parents[2]
COMPONENTS = sorted((ROOT / "components").glob("*/component.py"))


def _functions(path: Path) -> list[ast.FunctionDef]:
    return [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.FunctionDef)]


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda p: p.parent.name)
def test_bodies_are_short_and_documented(path: Path) -> None:
    for function in _functions(path):
        _docstring, *body = function.body
        assert ast.get_docstring(function)
        assert body[-1].end_lineno - body[0].lineno + 1 <= 15, function.name  # type: ignore[operator]
        arguments = [a.arg for a in function.args.args]
        assert all(f"{name}:" in (ast.get_docstring(function) or "") for name in arguments), function.name


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda p: p.parent.name)
def test_top_level_imports_only_kfp(path: Path) -> None:
    modules = {n.module for n in ast.parse(path.read_text()).body if isinstance(n, ast.ImportFrom)}
    assert modules <= {"kfp", "components.image"}


def test_a_component_for_every_stage() -> None:
    from aira_lib.flow.stage import STAGES

    assert {p.parent.name for p in COMPONENTS} == {*STAGES, "plan"}
    for path in COMPONENTS:
        metadata = yaml.safe_load((path.parent / "metadata.yaml").read_text())
        assert metadata["name"] == path.parent.name
        assert (path.parent / "README.md").is_file()


LAPTOP = ROOT / "pipelines/compose/laptop.yaml"
IMAGE = "registry.example/aira@sha256:" + "0" * 64


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The pipeline as two processes compile it, whose sets and hashes are in another order each."""
    folder = tmp_path_factory.mktemp("compiled")
    command = ["compile", str(LAPTOP), "--image", IMAGE, "-o"]
    for seed in ("1", "2"):
        assert aira(*command, str(folder / f"{seed}.yaml"), PYTHONHASHSEED=seed).code == 0
    first, second = ((folder / f"{seed}.yaml").read_text() for seed in ("1", "2"))
    assert first == second
    return first


def test_compiled_pipeline_is_stable_and_loads_in_kfp(compiled: str) -> None:
    from kfp import components

    loaded = components.load_component_from_text(compiled)
    assert {"study", "store"} == set(loaded.component_spec.inputs)
    images = {e["container"]["image"] for e in yaml.safe_load(compiled)["deploymentSpec"]["executors"].values()}
    assert images == {IMAGE}


@pytest.mark.parametrize("name", ["laptop", "paper", "comparison"])
def test_a_study_fits_into_a_kubeflow_run_request_and_comes_out_the_same(name: str) -> None:
    from aira_lib.local.session import MAX_PARAMETER_BYTES
    from aira_lib.study import canonical_json, digest
    from aira_lib.study.reading import load_study, parse_study

    study = load_study(ROOT / f"pipelines/compose/{name}.yaml")
    sent = canonical_json(study)
    assert len(json.dumps({"study": sent, "store": "s3://" + "x" * 200}).encode()) < MAX_PARAMETER_BYTES / 2
    read = parse_study(json.loads(sent), "the study")  # as every stage reads it
    assert read == study
    assert digest(read) == digest(study)


def test_the_compiled_pipeline_holds_the_whole_study(compiled: str) -> None:
    from aira_lib.study import digest
    from aira_lib.study.reading import load_study, parse_study

    sent = yaml.safe_load(compiled)["root"]["inputDefinitions"]["parameters"]["study"]["defaultValue"]
    laptop = load_study(LAPTOP)
    assert digest(parse_study(json.loads(sent), "the study")) == digest(laptop)


def test_readmes_are_those_of_the_code() -> None:
    from components.document import folders, readme

    for folder in folders():
        assert (folder / "README.md").read_text() == readme(folder), "run `python -m components.document`"


def test_kubernetes_manifests_name_the_version_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aira_lib.study import canonical_json
    from aira_lib.study.reading import load_study
    from pipelines.compose.__main__ import main

    study = tmp_path / "study.json"
    study.write_text(canonical_json(load_study(LAPTOP)))
    names = ("a.yaml", "b.yaml", "c.yaml")
    options = ["--kubernetes", "--store", "s3://b/runs", "--parallelism"]
    for name in names[:2]:
        given = ["compile", "--study", str(study), "--output", str(tmp_path / name), *options, "2"]
        monkeypatch.setattr(sys, "argv", ["compose", *given])
        main()
    assert aira("compile", str(LAPTOP), "-o", str(tmp_path / "c.yaml"), *options, "3").code == 0
    first, second, other = (list(yaml.safe_load_all((tmp_path / name).read_text())) for name in names)
    assert first == second
    assert [manifest["kind"] for manifest in first] == ["Pipeline", "PipelineVersion"]
    assert first[1]["metadata"]["name"] != other[1]["metadata"]["name"]
