"""The command line as a user meets it: help, mistakes, the plan."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from aira_lib.cli import app
from tests.a_cluster import cluster_file
from tests.aira_lib.cli import in_process
from tests.aira_lib.cli.in_process import Ended
from tests.builders import TINY_STUDY

pytestmark = pytest.mark.usefixtures("plain_kernels")

ROOT = Path(__file__).parents[3]
COMMANDS = (
    "run",
    "search",
    "archive",
    "aggregate",
    "extrapolate",
    "pretrain",
    "evaluate",
    "latency",
    "report",
    "compile",
    "doctor",
    "nodes",
    "watch",
    "plan",
    "verify",
    "pattern",
    "design",
    "models",
    "jobs",
)


def aira(*arguments: str, **environment: str) -> Ended:
    return in_process.aira(*arguments, COLUMNS="140", NO_COLOR="1", **environment)


@pytest.fixture
def study(tmp_path: Path) -> str:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY_STUDY))
    return str(path)


def test_help_teaches_every_command() -> None:
    overview = aira("--help").out
    for command in COMMANDS:
        assert f" {command} " in overview
        assert "Usage" in aira(command, "--help").out


def test_every_command_has_help() -> None:
    commands = list(_commands((), typer.main.get_command(app)))
    assert ("data", "prepare") in commands
    for command in commands:
        assert "Usage" in aira(*command, "--help").out
    assert "hf://OWNER/NAME[/CONFIG][@SPLIT]" in aira("data", "prepare", "--help").out


def _commands(path: tuple[str, ...], command: Any) -> Iterator[tuple[str, ...]]:
    """All commands, groups included, by the words that call them."""
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands((*path, name), inner)


def test_help_imports_nothing_heavy() -> None:
    heavy = ("torch", "mlflow", "boto3", "pyarrow", "kfp", "numpy", "scipy")
    code = f"import sys, aira_lib.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_it_is_a_program() -> None:
    """All other commands are called in this process."""
    done = subprocess.run([sys.executable, "-m", "aira_lib.cli", "run", "nowhere.yaml"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("aira: nowhere.yaml: cannot be read")
    assert done.stderr.count("\n") == 1


def test_dry_run_shows_the_plan_and_starts_nothing(study: str, tmp_path: Path) -> None:
    done = aira("run", study, "--dry-run", "--store", str(tmp_path / "runs"))
    assert done.code == 0, done.err
    assert "7 candidates at most" in done.out
    assert "training runs at most" in done.out
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("run", "nowhere.yaml"), "aira: nowhere.yaml: cannot be read"),
        (("search", "STUDY", "--unit", "gredy-offline.s0"), "did you mean 'greedy-offline.s0'?"),
        (("archive", "STUDY"), "search greedy-offline.s0 is not finished in"),
        (("pretrain", "STUDY"), "extrapolate all is not finished in"),
        (("run", "STUDY", "--store", "s4://bucket"), "s4"),
        (("run", "STUDY", "--store", "/proc/nowhere"), "aira: "),
        (
            ("compile", "STUDY", "-o", "/nowhere/x.yaml", "--cluster", "CLUSTER"),
            "name a .yaml file in a folder that exists",
        ),
        (("compile", "STUDY", "--pipeline", "serch", "--cluster", "CLUSTER"), "did you mean 'search'?"),
        (("compile", "STUDY", "--pipeline", "smoke", "--cluster", "CLUSTER"), "has a study of its own; leave out"),
        (("compile", "STUDY", "--cluster", "nowhere.yaml"), "nowhere.yaml: cannot be read"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...], line: str, study: str, tmp_path: Path
) -> None:
    names = {"STUDY": study, "CLUSTER": str(cluster_file(tmp_path))}
    given = [names.get(each, each) for each in arguments]
    done = aira(*given, AIRA_STORE=str(tmp_path / "runs"))
    assert done.code == 2, done.out + done.err
    assert line in done.err
    assert done.err.strip().count("\n") == 0, done.err
    assert "Traceback" not in done.err + done.out


def test_an_unknown_task_names_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump({**TINY_STUDY, "task": {"name": "NeuralArchitectureSearchMAD3PrimitivesAccuracy"}}))
    done = aira("run", str(path), "--store", str(tmp_path / "runs"))
    assert done.code == 2
    assert "did you mean 'NeuralArchitectureSearchMAD" in done.err
    assert done.err.strip().count("\n") == 0


def test_a_model_without_its_packages_stops_the_run_before_it_starts(tmp_path: Path) -> None:
    if find_spec("litellm"):
        pytest.skip("litellm is installed")
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump({**TINY_STUDY, "agents": [{"model": "openai/gpt-5"}]}))
    done = aira("run", str(path), "--store", str(tmp_path / "runs"))
    assert done.code == 2
    assert "pip install -e '.[agents]'" in done.err
    assert not (tmp_path / "runs").exists()


def test_stages_run_alone_one_after_another(tmp_path: Path) -> None:
    study, store = tmp_path / "one.yaml", str(tmp_path / "runs")
    study.write_text(yaml.safe_dump({**TINY_STUDY, "agents": [{**TINY_STUDY["agents"][0], "seeds": 1}]}))
    for stage in ("search", "archive", "aggregate", "extrapolate"):
        untracked = ("--tracking", "none") if stage == "search" else ()
        done = aira(stage, str(study), "--store", store, *untracked)
        assert done.code == 0, done.err
        assert "made in" in done.out
    assert re.search(r"made in .*, \d+ designs at", done.out)  # what the stage said last
    again = aira("search", str(study), "--unit", "greedy-offline.s0", "--store", store)
    assert "was there already" in again.out
    wrong = aira("pretrain", str(study), "--unit", "nothing", "--store", store)
    assert wrong.code == 2
    assert "there is no pretraining point 'nothing'" in wrong.err


def test_doctor_says_what_is_here() -> None:
    done = aira("doctor")
    assert done.code == 0
    assert "Mamba-2 kernels" in done.out
    assert "pip install" in done.out
