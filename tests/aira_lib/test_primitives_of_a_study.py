"""Studies whose search space is not a task's own: with a primitive from outside, and with window attention in four."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aira_lib.architecture.pattern import parse
from aira_lib.architecture.scales import scale_named
from aira_lib.errors import SpecError
from aira_lib.flow.scales import scales
from aira_lib.flow.units import search_units
from aira_lib.records import read_archive
from aira_lib.study import canonical_json
from aira_lib.tasks.section import task_of
from tests.aira_lib.cli.in_process import Ended, aira
from tests.builders import TINY_STUDY, small_text, tiny_study
from tests.drive_study import drive

pytestmark = pytest.mark.usefixtures("plain_kernels")

ROOT = Path(__file__).parents[2]
SMALL: dict[str, Any] = {
    "agents": [{"scaffold": "greedy", "model": "offline", "seeds": 1, "steps": 5, "n_drafts": 3}],
    "pretrain": {**TINY_STUDY["pretrain"], "isotoken": {"scale": "nano", "tokens": 4096, "seeds": [0]}},
}


# The primitive from outside imports PyTorch: one process for the commands and the study that need it.
OUTSIDE = """
import json, sys
from dataclasses import asdict
from tests.aira_lib.cli.in_process import aira
from tests.drive_study import drive
drive(sys.argv[1], sys.argv[2])
print(json.dumps(asdict(aira("pattern", "2(Rm-M)-A", "--json"))))
"""


def in_space(*primitives: str) -> dict[str, Any]:
    return {**TINY_STUDY, **SMALL, "task": {"layers": 4, "primitives": list(primitives)}}


def on_small_text(study: dict[str, Any], folder: Path) -> dict[str, Any]:
    return {**study, "pretrain": {**study["pretrain"], "data": small_text(folder)}}


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """The store of a study, and what a command says: of a process that gets the primitive by the variable alone."""
    folder = tmp_path_factory.mktemp("outside")
    study, store = json.dumps(on_small_text(in_space("Rm", "M"), folder / "text")), folder / "store"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "AIRA_PLUGINS": "tests.own_primitive", "AIRA_KERNELS": "plain"}
    command = [sys.executable, "-c", OUTSIDE, study, str(store)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return store, Ended(**json.loads(done.stdout.splitlines()[-1]))


def test_the_command_line_knows_a_primitive_from_outside(outside: tuple[Path, Ended]) -> None:
    _, done = outside
    assert done.code == 0, done.err
    data = json.loads(done.out)
    assert data["counts"] == {"A": 1, "M": 2, "Mb": 0, "Rm": 2}
    assert data["n_primitives"] == 3
    at_1b, scale = data["costs"][1], scale_named("1B", 3)
    assert at_1b["ssm_state_bytes"] == 2 * 2 * scale.d_model
    assert at_1b["params"] == 2 * 2048**2 + 2 * 3 * 2048 * scale.d_ff + 2 * 2048 * (2048 + 512)
    refused = aira("pattern", "2(Rm-M)-A")
    assert refused.code == 2
    assert "unknown primitive 'Rm'; primitives are A (or mA), M, Mb and W" in refused.err


def test_a_study_of_a_primitive_from_outside_runs_through_all_stages(outside: tuple[Path, Ended]) -> None:
    store, _ = outside
    (journal,) = store.rglob("journal.jsonl")
    nodes = [json.loads(line) for line in journal.read_text().splitlines()]
    assert any("Rm" in node["design"] for node in nodes if node["design"])
    (patterns,) = store.rglob("patterns.jsonl")
    pattern = json.loads(patterns.read_text().splitlines()[0])
    assert set(pattern["layers"]) <= {"Rm", "M"}
    assert any("Rm" in votes for votes in pattern["votes"])
    (designs,) = store.rglob("designs.jsonl")
    counts = [json.loads(line)["counts"] for line in designs.read_text().splitlines()]
    assert any(of.get("Rm") for of in counts)
    (page,) = store.rglob("report.html")
    html = page.read_text()
    assert "running mean of mine" in html
    assert "#cc79a7" in html
    assert list(store.glob("tiny/evaluate/*/manifest.json"))


def test_a_study_of_four_primitives_runs_through_all_stages(tmp_path: Path) -> None:
    study = on_small_text(in_space("A", "W", "M", "Mb"), tmp_path / "text")
    drive(canonical_json(tiny_study(**study)), str(tmp_path / "store"))
    (archive,) = tmp_path.rglob("archive.parquet")
    used = {layer for row in read_archive(archive) for layer in row.layers}
    assert "W" in used
    assert used <= {"A", "W", "M", "Mb"}
    (page,) = tmp_path.rglob("report.html")
    html = page.read_text()
    assert "window attention" in html
    assert "#56b4e9" in html


def test_the_space_of_a_study_counts_in_its_task_scales_and_keys() -> None:
    own, four = tiny_study(), tiny_study(task={"layers": 4, "primitives": ["A", "W", "M", "Mb"]})
    two = tiny_study(task={"layers": 4, "primitives": ["A", "M"]})
    assert task_of(four.task).primitives == ("A", "W", "M", "Mb")
    assert task_of(own.task).primitives == ("A", "M", "Mb")
    assert scales(four, ["1B"]) == scales(own, ["1B"]) != scales(two, ["1B"])
    assert len({search_units(study)[0].key for study in (own, four, two)}) == 3
    assert search_units(own)[0].section["task"] == {
        "name": own.task.name, "layers": 4, "primitives": ["A", "M", "Mb"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"primitives": ["A", "w"]}, "unknown primitive 'w'"),
        ({"primitives": ["A", "MB"]}, "unknown primitive 'MB'"),
        ({"primitives": ["A"]}, "at least two"),
        ({"primitives": ["A", "M", "A"]}, "distinct"),
        ({"primitives": []}, "at least two"),
        ({"primitives": ["A", "M"], "folder": "somewhere"}, "programs, which have no primitives"),
    ],
)
def test_a_space_that_makes_no_sense_is_one_line(task: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said) as raised:
        tiny_study(task=task)
    assert "\n" not in str(raised.value)


def test_patterns_with_window_attention() -> None:
    done = aira("pattern", "4(W-M)-A", "--primitives", "4", "--json")
    assert done.code == 0, done.err
    data = json.loads(done.out)
    assert tuple(data["layers"]) == parse("4(W-M)-A")
    assert data["counts"] == {"A": 1, "M": 4, "Mb": 0, "W": 4}
    refused = aira("pattern", "A-M", "--primitives", "5")
    assert refused.code == 2
    assert "--primitives 5: there are 4, A, M, Mb, W" in refused.err


def test_designs_with_window_attention_are_scored_by_hand(tmp_path: Path) -> None:
    study = tmp_path / "study.json"
    study.write_text(json.dumps(in_space("A", "W", "M")))
    command = ["proxy", "evaluate", "2(W-M)", "--profile", str(study), "--json"]
    done = aira(*command, AIRA_EVALUATIONS=str(tmp_path / "evaluations"))
    assert done.code == 0, done.err
    (row,) = json.loads(done.out)
    assert row["design"] == "2(W-M)"
    task = ["--task", "NeuralArchitectureSearchMAD2PrimitivesAccuracy", "--dry-run"]
    study.write_text(json.dumps({**in_space("A", "W", "M"), "task": {"layers": 4}}))
    refused = aira(*command, *task)
    assert refused.code == 2
    assert "2(W-M) has W, which task NeuralArchitectureSearchMAD2PrimitivesAccuracy does not have" in refused.err
