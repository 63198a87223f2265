"""Components are thin, and the pipeline compiles to the same bytes every time."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

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


def _compile(output: Path, *arguments: str) -> str:
    study = ROOT / "pipelines/compose/laptop.yaml"
    command = [sys.executable, "-m", "aira_lib.cli", "compile", str(study), "-o", str(output), *arguments]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    return output.read_text()


def test_compiled_pipeline_is_stable_and_loads_in_kfp(tmp_path: Path) -> None:
    from kfp import components

    first = _compile(tmp_path / "a.yaml", "--image", "registry.example/aira@sha256:" + "0" * 64)
    second = _compile(tmp_path / "b.yaml", "--image", "registry.example/aira@sha256:" + "0" * 64)
    assert first == second
    loaded = components.load_component_from_text(first)
    assert {"study", "store"} == set(loaded.component_spec.inputs)
    images = {e["container"]["image"] for e in yaml.safe_load(first)["deploymentSpec"]["executors"].values()}
    assert images == {"registry.example/aira@sha256:" + "0" * 64}


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


def test_the_compiled_pipeline_holds_the_whole_study(tmp_path: Path) -> None:
    from aira_lib.study import digest
    from aira_lib.study.reading import load_study, parse_study

    compiled = yaml.safe_load(_compile(tmp_path / "a.yaml"))
    sent = compiled["root"]["inputDefinitions"]["parameters"]["study"]["defaultValue"]
    laptop = load_study(ROOT / "pipelines/compose/laptop.yaml")
    assert digest(parse_study(json.loads(sent), "the study")) == digest(laptop)


def test_readmes_are_those_of_the_code() -> None:
    from components.document import folders, readme

    for folder in folders():
        assert (folder / "README.md").read_text() == readme(folder), "run `python -m components.document`"


def test_kubernetes_manifests_name_the_version_by_content(tmp_path: Path) -> None:
    first, second = (list(yaml.safe_load_all(_compile(tmp_path / n, "--kubernetes"))) for n in ("a.yaml", "b.yaml"))
    other = list(yaml.safe_load_all(_compile(tmp_path / "c.yaml", "--kubernetes", "--parallelism", "3")))
    assert first == second
    assert [manifest["kind"] for manifest in first] == ["Pipeline", "PipelineVersion"]
    assert first[1]["metadata"]["name"] != other[1]["metadata"]["name"]
