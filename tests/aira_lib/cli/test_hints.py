"""Every hint to install something names an extra that there is, of a distribution that is ours."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from aira_lib import errors
from aira_lib.cli.doctor import EXTRAS
from aira_lib.errors import install_hint

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CODE = sorted(path for folder in ("aira_lib", "components", "pipelines") for path in (ROOT / folder).rglob("*.py"))
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").glob("*.md"),
    ROOT / "Makefile",
    *(ROOT / "images").rglob("Containerfile"),
]


def asked_for() -> set[str]:
    """The extras that calls in the code name."""
    found = set()
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                place = {"MissingDependency": 1, "_need": 2, "install_hint": 0}.get(node.func.id)
                if place is not None and isinstance(node.args[place], ast.Constant):
                    found.add(str(node.args[place].value))
    return found


def test_every_hint_names_extras_that_there_are() -> None:
    extras = {*PROJECT["optional-dependencies"]}
    named = {each for hint in asked_for() for each in hint.split(",")}
    assert {"agents", "kfp", "report", "smollm", "tracking", "gpu", "gpu-nvcc", "eval"} <= named <= extras
    assert {*EXTRAS} - {"core"} <= extras


def test_no_page_and_no_code_installs_what_is_somebody_elses() -> None:
    """On PyPI `aira` is another project."""
    assert PROJECT["name"] == "aira-discovery"
    assert PROJECT["scripts"] == {"aira": "aira_lib.cli:main"}
    for path in (*CODE, *PAGES):
        for found in re.finditer(r"pip install [^`\n]*", path.read_text()):
            assert not re.search(r"(?<![\w/-])aira(?![\w/-])", found[0]), f"{path}: {found[0]}"


def test_a_hint_works_in_the_checkout_and_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert install_hint("agents") == "pip install -e '.[agents]'"
    monkeypatch.chdir(tmp_path)
    assert install_hint("agents") == f"pip install -e '{ROOT}[agents]'"
    monkeypatch.setattr(errors, "__file__", str(tmp_path / "site-packages" / "aira_lib" / "errors.py"))
    assert install_hint("agents") == "pip install -e '.[agents]' in a checkout of AIRA"
