"""The best of finished searches, taken out of their records."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from aira_lib.errors import UserError
from aira_lib.flow.run import run_stage
from aira_lib.flow.units import search_units
from aira_lib.local.search_export import export_best
from aira_lib.local.search_results import write_results
from aira_lib.records.opened import SUBMISSION, SUBMITTED_BY
from aira_lib.settings import Settings
from aira_lib.study.reading import load_study
from tests.builders import TINY_STUDY


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Settings]:
    """A study of two searches, both made, and the settings that find them."""
    where = tmp_path_factory.mktemp("finished")
    agents = [{"model": "random", "seeds": 2, "steps": 2}]
    (where / "tiny.yaml").write_text(yaml.safe_dump({**TINY_STUDY, "agents": agents}))
    study, settings = load_study(where / "tiny.yaml"), Settings(store=str(where / "runs"), scratch=where / "scratch")
    for unit in search_units(study):
        run_stage(study, unit, settings)
    return where / "tiny.yaml", settings


def test_the_best_of_all_is_exported_with_its_program(finished: tuple[Path, Settings], tmp_path: Path) -> None:
    study, settings = finished
    (line,) = export_best(str(study), None, tmp_path / "out", settings)
    about = json.loads((tmp_path / "out/about.json").read_text())
    summaries = [json.loads(path.read_text()) for path in Path(settings.store).rglob("search.json")]
    assert len(summaries) == 2
    best = max(summaries, key=lambda summary: summary["best"]["validation"])["best"]
    assert (about["validation_fitness"], about["test_fitness"]) == (best["validation"], best["test"])
    assert str(tmp_path / "out") in line
    with (tmp_path / "out/submission.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["architecture"], [best["design"]]]
    compile((tmp_path / "out/program.py").read_text(), "program.py", "exec")
    with pytest.raises(UserError, match="exists already; name another folder with --output"):
        list(export_best(str(study), None, tmp_path / "out", settings))


def test_one_search_is_named_by_its_unit_its_folder_or_its_page(
    finished: tuple[Path, Settings], tmp_path: Path
) -> None:
    study, settings = finished
    unit = search_units(load_study(study))[1]
    record = Path(settings.store) / unit.folder(load_study(study))
    found = []
    for place, (what, name) in enumerate(((str(study), unit.name), (str(record), None), (f"{record}/page.html", None))):
        list(export_best(what, name, tmp_path / str(place), settings))
        found.append((tmp_path / str(place) / "about.json").read_text())
    assert found[0] == found[1] == found[2]
    assert json.loads(found[0])["seed"] == unit.seed


def test_what_is_no_finished_search_is_one_line(finished: tuple[Path, Settings], tmp_path: Path) -> None:
    study, settings = finished
    for what, unit, line in (
        (str(tmp_path), None, "not the record of a finished search"),
        ("nowhere", None, "neither a study's file nor the folder or page"),
        (str(study), "random.s9", "has no search"),
    ):
        with pytest.raises(UserError, match=line) as error:
            list(export_best(what, unit, tmp_path / "out", settings))
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="none of its searches is finished"):
        list(export_best(str(study), None, tmp_path / "out", Settings(store=str(tmp_path / "empty"))))


def test_the_command_line_has_it_beside_the_search_itself(finished: tuple[Path, Settings], tmp_path: Path) -> None:
    study, settings = finished
    command = [sys.executable, "-m", "aira_lib.cli", "search", "export", str(study), "--store", settings.store]
    done = subprocess.run([*command, "-o", str(tmp_path / "x")], capture_output=True, text=True, check=True)
    assert f"{tmp_path / 'x'}: step" in done.stdout
    unnamed = subprocess.run(command[:4], capture_output=True, text=True, check=False)
    assert (unnamed.returncode, unnamed.stderr.startswith("aira: name a task")) == (2, True)


def test_a_submission_of_another_program_than_the_best_is_not_passed_off_as_its(tmp_path: Path) -> None:
    from aira_lib.local.search_export import _submitted_by
    from tests.builders import node

    best = node(3, None, 0.5, code="print(3)")
    folder = tmp_path / SUBMISSION
    folder.mkdir()
    assert not _submitted_by(folder, best)
    (folder / SUBMITTED_BY).write_text(json.dumps({"step": 3, "code_sha256": "0" * 64}))
    assert not _submitted_by(folder, best)


def test_results_are_of_programs_and_not_of_designs(finished: tuple[Path, Settings], tmp_path: Path) -> None:
    study, settings = finished
    with pytest.raises(UserError, match="candidates are designs, and results are of programs"):
        list(write_results(str(study), None, tmp_path, settings))
