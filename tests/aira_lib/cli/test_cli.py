"""The command line as a user meets it: help, mistakes, the plan."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

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
)


def aira(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "aira_lib.cli", *arguments]
    env = {**os.environ, "COLUMNS": "140", "NO_COLOR": "1", **environment}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=env)


@pytest.fixture
def study(tmp_path: Path) -> str:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY_STUDY))
    return str(path)


def test_help_teaches_every_command() -> None:
    overview = aira("--help").stdout
    for command in COMMANDS:
        assert f" {command} " in overview
        assert "Usage" in aira(command, "--help").stdout


def test_help_imports_nothing_heavy() -> None:
    heavy = ("torch", "mlflow", "boto3", "pyarrow", "kfp", "numpy", "scipy")
    code = f"import sys, aira_lib.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_dry_run_shows_the_plan_and_starts_nothing(study: str, tmp_path: Path) -> None:
    done = aira("run", study, "--dry-run", "--store", str(tmp_path / "runs"))
    assert done.returncode == 0, done.stderr
    assert "7 candidates at most" in done.stdout
    assert "training runs at most" in done.stdout
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
        (("compile", "STUDY", "-o", "/nowhere/x.yaml"), "name a .yaml file in a folder that exists"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...], line: str, study: str, tmp_path: Path
) -> None:
    given = [study if a == "STUDY" else a for a in arguments]
    done = aira(*given, AIRA_STORE=str(tmp_path / "runs"))
    assert done.returncode == 2, done.stdout + done.stderr
    assert line in done.stderr
    assert done.stderr.strip().count("\n") == 0, done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_an_unknown_task_names_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump({**TINY_STUDY, "task": {"name": "NeuralArchitectureSearchMAD3PrimitivesAccuracy"}}))
    done = aira("run", str(path), "--store", str(tmp_path / "runs"))
    assert done.returncode == 2
    assert "did you mean 'NeuralArchitectureSearchMAD" in done.stderr
    assert done.stderr.strip().count("\n") == 0


def test_a_model_without_its_packages_stops_the_run_before_it_starts(tmp_path: Path) -> None:
    if find_spec("litellm"):
        pytest.skip("litellm is installed")
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump({**TINY_STUDY, "agents": [{"model": "openai/gpt-5"}]}))
    done = aira("run", str(path), "--store", str(tmp_path / "runs"))
    assert done.returncode == 2
    assert "pip install -e '.[agents]'" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_stages_run_alone_one_after_another(study: str, tmp_path: Path) -> None:
    store = str(tmp_path / "runs")
    for stage in ("search", "archive", "aggregate", "extrapolate"):
        done = aira(stage, study, "--store", store)
        assert done.returncode == 0, done.stderr
        assert "made in" in done.stdout
    again = aira("search", study, "--unit", "greedy-offline.s0", "--store", store)
    assert "was there already" in again.stdout
    wrong = aira("pretrain", study, "--unit", "nothing", "--store", store)
    assert wrong.returncode == 2
    assert "there is no pretraining point 'nothing'" in wrong.stderr


def test_doctor_says_what_is_here() -> None:
    done = aira("doctor")
    assert done.returncode == 0
    assert "Mamba-2 kernels" in done.stdout
    assert "pip install" in done.stdout
