"""Settings of a folder that a study gives other values: what is refused, and who knows of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from aira_lib.errors import UserError
from aira_lib.study import ProxySection
from aira_lib.tasks.family import Opening
from aira_lib.tasks.programs.folder import load_program_folder
from aira_lib.tasks.programs.varied import varied
from aira_lib.tasks.section import family_of
from tests.aira_lib.tasks.program_folders import SHOWN, key, rings, task


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"learning_rate": 1}, "task.settings: 'learning_rate' is not among those that a study may vary: steps"),
        ({"steps": "many"}, "task.settings.steps: 'many' is no positive number"),
        ({"steps": 0}, "task.settings.steps: 0 is no positive number"),
        ({"steps": True}, "task.settings.steps: True is no value like 200"),
        ({"steps": 10**400}, "is no positive number"),
    ],
)
def test_a_study_varies_what_the_folder_lets_it(tmp_path: Path, settings: dict[str, Any], told: str) -> None:
    section = task(rings(tmp_path, vary=["steps"]), settings=settings)
    with pytest.raises(UserError) as refused:
        family_of(section).check(section, [], ProxySection())
    assert told in str(refused.value)


def test_a_setting_that_is_zero_in_the_folder_may_be_zero(tmp_path: Path) -> None:
    folder = rings(tmp_path, vary=["pause"], settings={"pause": 0})
    for value in (0, 0.0, 2.5):
        section = task(folder, settings={"pause": value})
        family_of(section).check(section, [], ProxySection())
        assert varied(load_program_folder(folder).program, section.settings).settings == {"pause": value}


@pytest.mark.parametrize(
    ("settings", "fits"),
    [({"budget_seconds": 60}, True), ({"budget_seconds": 61}, False), ({"budget_seconds": 1e300}, False),
     ({"budget_seconds": 50, "compile_allowance_seconds": 11}, False)],
)  # fmt: skip
def test_a_budget_that_its_limit_would_cut_short_is_refused(
    tmp_path: Path, settings: dict[str, Any], fits: bool
) -> None:
    both = {"budget_seconds": 5, "compile_allowance_seconds": 0}
    folder = rings(tmp_path, vary=[*both], settings=both)
    section = task(folder, settings=settings)
    if fits:
        family_of(section).check(section, [], ProxySection())
        assert varied(load_program_folder(folder).program, settings).settings == both | settings
        return
    with pytest.raises(UserError, match=r"budget_seconds .*: more than a training may take here, 60 s") as refused:
        family_of(section).check(section, [], ProxySection())
    assert "\n" not in str(refused.value)


CHOICES = {"settings": {"count": "honest"}, "choices": {"count": ["honest", "paper"]}}


def test_a_study_chooses_among_the_values_that_a_setting_may_have(tmp_path: Path) -> None:
    folder = rings(tmp_path, vary=["count"], **CHOICES)
    section = task(folder, settings={"count": "paper"})
    family_of(section).check(section, [], ProxySection())
    for wrong in ("papre", "Paper", ""):
        section = task(folder, settings={"count": wrong})
        with pytest.raises(UserError, match=r"task.settings.count: '\w*' is none of its choices: honest, paper"):
            family_of(section).check(section, [], ProxySection())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"settings": {"count": "papre"}}, "settings.count: 'papre' is none of its choices: honest, paper"),
        ({"settings": {"steps": 2}}, "choices: 'count' is no setting"),
        ({"choices": {"count": []}}, "choices.count"),
        ({"choices": {"count": ["paper"]}}, "'honest' is none of its choices: paper"),
    ],
)
def test_a_folder_whose_own_value_is_not_to_be_chosen_is_refused(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError) as refused:
        load_program_folder(rings(tmp_path, **(CHOICES | changes)))
    assert told in str(refused.value)
    assert "program.yaml" in str(refused.value)


@SHOWN
def test_what_prepare_says_is_held_against_the_choices_too(tmp_path: Path) -> None:
    folder = rings(tmp_path, **CHOICES)
    script = folder / "prepare.py"
    script.write_text(script.read_text() + "    (mount / 'about.json').write_text('{\"count\": \"papre\"}')\n")
    with pytest.raises(UserError, match=r"about.json, .*: count: 'papre' is none of its choices: honest, paper"):
        family_of(task(folder)).open(task(folder), ProxySection(), Opening(tmp_path / "scratch"))


@SHOWN
def test_what_a_study_chose_stands_in_the_record_also_where_prepare_says_nothing_of_it(tmp_path: Path) -> None:
    section = task(rings(tmp_path, vary=["count"], **CHOICES), settings={"count": "paper"})
    told: dict[str, Any] = {}
    (tmp_path / "scratch").mkdir()
    family_of(section).open(section, ProxySection(), Opening(tmp_path / "scratch", told=told))
    assert told["data"]["count"] == "paper"


@SHOWN
def test_a_budget_that_prepare_says_is_held_against_the_limit_too(tmp_path: Path) -> None:
    folder = rings(tmp_path, settings={"budget_seconds": 5})
    script = folder / "prepare.py"
    script.write_text(script.read_text() + "    (mount / 'about.json').write_text('{\"budget_seconds\": 3600}')\n")
    with pytest.raises(UserError, match=r"budget_seconds 3600: more than a training may take here, 60 s"):
        family_of(task(folder)).open(task(folder), ProxySection(), Opening(tmp_path / "scratch"))


def test_a_folder_that_names_no_settings_lets_none_vary(tmp_path: Path) -> None:
    section = task(rings(tmp_path), settings={"steps": 5})
    with pytest.raises(UserError, match="has none that a study may vary"):
        family_of(section).check(section, [], ProxySection())


@SHOWN
def test_what_a_study_varies_scripts_prompts_records_and_keys_know(tmp_path: Path) -> None:
    folder = rings(tmp_path, vary=["steps"])
    script = folder / "prepare.py"
    script.write_text(script.read_text() + "    (mount / 'about.json').write_text('{\"steps\": 100}')\n")
    section, plain = task(folder, settings={"steps": 7}), task(folder)
    assert key(folder) != json.dumps(family_of(section).identity(section, ProxySection()), sort_keys=True)
    told: dict[str, Any] = {}
    for number, (each, steps) in enumerate(((section, 7), (plain, 100))):
        place = tmp_path / str(number)
        place.mkdir()
        opened = family_of(each).open(each, ProxySection(), Opening(place, told=told))
        assert opened._measure.folder.program.settings["steps"] == steps
        assert f"steps {steps}" in opened.description
        assert told["data"]["steps"] == steps
