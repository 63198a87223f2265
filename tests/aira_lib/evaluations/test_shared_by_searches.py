"""Searches of several studies share evaluations, and their journals do not tell who trained; the commands do."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from aira_lib.cli import app
from aira_lib.errors import PatternError, UserError
from aira_lib.flow import run as stages
from aira_lib.flow.units import search_units
from aira_lib.settings import Settings
from aira_lib.study import Study, canonical_json
from tests.builders import tiny_study
from tests.record_tree import files_of, record_tree

pytestmark = pytest.mark.usefixtures("plain_kernels")

UNIT = "greedy-offline.s0"


def run(study: Study, store: Path) -> dict[str, Any]:
    """Make the study's first search; its summary."""
    unit = next(unit for unit in search_units(study) if unit.name == UNIT)
    stages.run_stage(study, unit, Settings(store=str(store)))
    files = files_of(store / unit.folder(study) / "manifest.json")
    found: dict[str, Any] = json.loads((files / "search.json").read_text())
    return found


def command(*arguments: str) -> Any:
    done = CliRunner().invoke(app, [*arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_second_study_trains_nothing_and_ends_with_the_same_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AIRA_EVALUATIONS", "AIRA_STORE"):
        monkeypatch.delenv(name, raising=False)
    first, second = tiny_study(), tiny_study(name="another", description="The same searches.")
    trained = run(first, tmp_path)
    assert (trained["evaluations_trained"], trained["evaluations_found"]) == (trained["designs"], 0)
    found = run(second, tmp_path)
    assert (found["evaluations_trained"], found["evaluations_found"]) == (0, trained["designs"])

    def journals(study: str) -> list[Any]:
        return [content for name, content in record_tree(tmp_path / study).items() if name.endswith("journal.jsonl")]

    assert journals("tiny") == journals("another") != []
    assert all(node["evaluation"]["key"] for nodes in journals("tiny") for node in nodes if node["evaluation"])

    stats = json.loads(command("store", "stats", "--store", str(tmp_path), "--json"))
    assert stats["asked_by"] == {
        f"tiny/{UNIT}": {"trained": trained["designs"], "found": 0},
        f"another/{UNIT}": {"trained": 0, "found": trained["designs"]},
    }
    assert "(this code)" in command("store", "stats", "--store", str(tmp_path))
    file = tmp_path / "study.json"
    file.write_text(canonical_json(second))
    best = json.loads(command("store", "query", "--study", str(file), "--store", str(tmp_path), "--json"))[0]
    again = json.loads(
        command("proxy", "evaluate", best["design"], "--profile", str(file), "--store", str(tmp_path), "--json")
    )
    assert [(row["found"], row["key"], row["validation"]) for row in again] == [
        (True, best["key"], best["evaluation"]["validation"])
    ]
    outlook = command(
        "proxy", "evaluate", "A-2M-A", best["design"], "--profile", str(file), "--seed", "77", "--dry-run", "--store",
        str(tmp_path),
    )  # fmt: skip
    assert outlook.count("of training") == 2
    assert "nothing was started" in outlook
    assert "evaluations" in command("store", "export", str(tmp_path / "x.parquet"), "--store", str(tmp_path))


def test_sharing_can_be_switched_off_and_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRA_EVALUATIONS", "none")
    assert Settings.from_environment("s3://b/runs/").shared_evaluations is None
    with pytest.raises(UserError, match="AIRA_EVALUATIONS is none"):
        CliRunner().invoke(app, ["store", "stats"], catch_exceptions=False)
    monkeypatch.setenv("AIRA_EVALUATIONS", "s3://other/place")
    assert Settings.from_environment("runs").shared_evaluations == "s3://other/place"
    monkeypatch.delenv("AIRA_EVALUATIONS")
    assert Settings.from_environment("s3://b/runs/").shared_evaluations == "s3://b/runs/evaluations"


@pytest.mark.parametrize(
    ("arguments", "message", "kind"),
    [
        (["A-M-3(A"], r"no '\)' for this '\('\n  A-M-3\(A\n       \^", PatternError),
        ([], "name a design", UserError),
        (["--file", "absent.txt"], "absent.txt: cannot be read .*; name a file of designs", UserError),
        (["A-Mb", "--task", "NeuralArchitectureSearchMAD2PrimitivesAccuracy"], "has Mb, which task", UserError),
        (["A-M", "--profile", "labtop"], "did you mean 'laptop'", UserError),
        (["A-M", "--task", "Nothing"], "unknown task", UserError),
    ],
)
def test_mistakes_of_a_command_are_one_line(arguments: list[str], message: str, kind: type[UserError]) -> None:
    with pytest.raises(kind, match=message):
        CliRunner().invoke(app, ["proxy", "evaluate", *arguments], catch_exceptions=False)
