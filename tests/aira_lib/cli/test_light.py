"""What computes nothing starts at once: no such command imports a package that takes seconds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.a_cluster import cluster_file
from tests.builders import TINY_STUDY

ROOT = Path(__file__).parents[3]
TASK = "NeuralArchitectureSearchMAD3PrimitivesMbAccuracy"
HEAVY = ("torch", "mlflow", "litellm", "numba", "matplotlib", "jax", "botorch")
COMMANDS = (
    "doctor",
    "run STUDY --dry-run",
    "compile STUDY -o STORE.yaml --cluster CLUSTER",
    "submit RUN --cluster CLUSTER --dry-run",
    "search STUDY --dry-run",
    f"search {TASK} --model openai/x --dry-run",
    "watch STUDY",
    "plan",
    "plan STUDY",
    "verify",
    "pattern 4(A-M)",
    "design list",
    "tasks list",
    "data prepare docs -o STORE.yaml --dry-run",
    f"tasks show {TASK}",
    "proxy evaluate 4(A-M) --dry-run",
    "proxy fidelity --designs 3 --large 2x --dry-run",
    "store stats",
    "store query",
    "jobs list",
)
# All in one process, so that the test takes as long as they do; what the first imports, the last has still.
RUN = """
import contextlib, io, json, sys
from aira_lib.cli.aira import app
for command in json.loads(sys.argv[1]):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = app(command, standalone_mode=False)
        except SystemExit as end:
            code = end.code
        except Exception as error:
            code = f"{type(error).__name__}: {error}"
    heavy = [name for name in json.loads(sys.argv[2]) if name in sys.modules]
    print(json.dumps([command, code or 0, heavy]))
import aira_lib.search.stage
heavy = [name for name in json.loads(sys.argv[2]) if name in sys.modules]
print(json.dumps(["a search that trains nothing", 0, heavy]))
"""


@pytest.mark.slow
def test_commands_that_compute_nothing_import_nothing_that_takes_seconds(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY_STUDY))
    names = {"STUDY": str(tmp_path / "tiny.yaml"), "STORE.yaml": str(tmp_path / "pipeline.yaml")}
    names["CLUSTER"] = str(cluster_file(tmp_path, kubeflow={"api": "http://127.0.0.1:9"}))
    names["RUN"] = str(tmp_path / "run.yaml")
    Path(names["RUN"]).write_text("name: run\npipeline: aira-compose\npreset: smoke\n")
    commands = [[names.get(word, word) for word in command.split()] for command in COMMANDS]
    env = {**os.environ, "AIRA_STORE": str(tmp_path / "runs"), "AIRA_SCRATCH": str(tmp_path / "scratch")}
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(commands), json.dumps(HEAVY)],
        cwd=ROOT, env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(command, code, heavy) for command, code, heavy in said if code or heavy] == []
    assert len(said) == len(commands) + 1
