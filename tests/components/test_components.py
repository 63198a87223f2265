"""Components are thin."""

import ast
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

    assert {p.parent.name for p in COMPONENTS} == {*STAGES, "begin", "fan_out", "plan"}
    for path in COMPONENTS:
        metadata = yaml.safe_load((path.parent / "metadata.yaml").read_text())
        assert metadata["name"] == path.parent.name
        assert (path.parent / "README.md").is_file()


def test_readmes_are_those_of_the_code() -> None:
    from components.document import folders, readme

    for folder in folders():
        assert (folder / "README.md").read_text() == readme(folder), "run `python -m components.document`"
