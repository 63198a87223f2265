"""The key of a search in a task folder: the contents of files and raw data, and versions, wherever they lie."""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from aira_lib.errors import UserError
from aira_lib.flow.units import search_units
from aira_lib.identity import VERSIONS
from aira_lib.local.search_study import SearchOptions, study_for
from aira_lib.study import Study
from aira_lib.study.reading import parse_study
from aira_lib.tasks.airs import load_task_folder, packages
from aira_lib.tasks.airs.packages import package_versions
from aira_lib.tasks.airs.raw_data import raw_digest
from tests.aira_lib.search.third_party_folder import third_party_folder
from tests.aira_lib.tasks.made_folders import change_metadata, made_folder
from tests.builders import TINY_STUDY, tiny_study

Raw = tuple[Path, Path]


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Raw:
    """A task folder and its raw data, which the environment names."""
    folder, shared = third_party_folder(tmp_path)
    monkeypatch.setenv("AIRA_TASK_DATA", str(shared))
    return folder, shared


def study(folder: Path, **sections: Any) -> Study:
    agent = {"name": "a", "model": "openai/gpt-5"}
    return parse_study({"name": "folder", "task": {"folder": str(folder)}, "agents": [agent], **sections}, "test")


def key(folder: Path) -> str:
    (unit,) = search_units(study(folder))
    return unit.key


def test_other_raw_data_are_another_search_and_equal_ones_elsewhere_the_same(
    third_party: Raw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, shared = third_party
    before = key(folder)
    monkeypatch.setenv("AIRA_TASK_DATA", str(shared.rename(tmp_path / "moved")))
    assert key(folder) == before
    table = tmp_path / "moved/somebody/houses/default/test.csv"
    text = table.read_text()
    table.write_text(text[:-3] + ("1" if text[-3] != "1" else "2") + text[-2:])  # as long as before
    changed = key(folder)
    assert changed != before
    monkeypatch.delenv("AIRA_TASK_DATA")
    assert key(folder) not in (before, changed)


def test_raw_data_that_are_not_there_are_one_line_when_a_study_is_planned(
    third_party: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRA_TASK_DATA", "/nowhere/at/all")
    with pytest.raises(UserError, match="/nowhere/at/all: no such folder; AIRA_TASK_DATA must name"):
        key(third_party[0])


def test_another_version_of_a_package_is_another_search(third_party: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(third_party[0])
    monkeypatch.setattr(packages, "version", lambda name: "0.0.1" if name == "numpy" else version(name))
    assert key(third_party[0]) != before


def test_what_scripts_train_with_this_package_is_in_the_key(
    third_party: Raw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scripts of a Compose task read the profile, and call the proxy: a copy of its folder is searched by them."""
    folder = third_party[0]
    monkeypatch.delenv("AIRA_KERNELS", raising=False)
    others = key(folder)
    monkeypatch.setenv("AIRA_PROFILE", "paper")
    assert key(folder) == others
    script = folder / "evaluate_prepare.py"
    script.write_text(f"from aira_lib.proxy.evaluation import evaluate\n{script.read_text()}")
    found = [key(folder)]
    profile = tmp_path / "study.yaml"
    for text in ("one", "two"):
        profile.write_text(text)
        monkeypatch.setenv("AIRA_PROFILE", str(profile))
        found.append(key(folder))
    monkeypatch.setenv("AIRA_KERNELS", "plain")
    found.append(key(folder))
    monkeypatch.setitem(VERSIONS, "proxy", VERSIONS["proxy"] + 1)
    found.append(key(folder))
    assert len(set(found)) == len(found)


def test_a_search_whose_programs_use_gpus_is_one_of_the_device(
    third_party: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_device(gpu: bool, device: str) -> str:
        monkeypatch.setenv("AIRA_DEVICE", device)
        agent = {"name": "a", "model": "openai/gpt-5", "limits": {"gpu": gpu}}
        return search_units(study(third_party[0], agents=[agent]))[0].key

    assert with_device(True, "cpu") != with_device(True, "cuda")
    assert with_device(False, "cpu") == with_device(False, "cuda")


def test_versions_are_of_what_is_required_and_of_what_scripts_import(tmp_path: Path) -> None:
    folder = made_folder(tmp_path, evaluate="import json, yaml, utils\nfrom pyarrow import ipc\nfrom . import boto3\n")
    wanted = {"container_python_requirements": ["Pydantic>=2", "no_such.package==1"]}
    change_metadata(folder, {**wanted, "evaluate_container_python_requirements": []})
    found = package_versions(load_task_folder(folder))
    assert found.pop("python") is not None
    assert found["pydantic"] == version("pydantic")
    assert found["pyyaml"] == version("PyYAML")
    assert found["pyarrow"] == version("pyarrow")
    assert found["no-such-package"] is None
    assert not found.keys() & {"json", "utils", "boto3"}


def test_the_digest_is_that_of_names_and_contents(third_party: Raw) -> None:
    shared = third_party[1]
    (shared / "somebody/houses/default/__pycache__").mkdir()
    (shared / "somebody/houses/default/__pycache__/x.pyc").write_text("not counted")
    (shared / ".git").mkdir()
    (shared / ".git/index").write_text("not counted")
    whole = hashlib.sha256()
    for name in ("somebody/houses/default/test.csv", "somebody/houses/default/train.csv"):
        whole.update(f"{hashlib.sha256((shared / name).read_bytes()).hexdigest()} {name}\n".encode())
    assert raw_digest() == whole.hexdigest()


def test_data_behind_links_count_and_a_circle_of_links_ends(third_party: Raw, tmp_path: Path) -> None:
    shared = third_party[1]
    before = raw_digest()
    (tmp_path / "more").mkdir()
    (tmp_path / "more/rows.csv").write_text("1")
    (shared / "linked").symlink_to(tmp_path / "more")
    linked = raw_digest()
    (shared / "somebody/circle").symlink_to(shared)
    assert raw_digest() == linked != before
    (tmp_path / "more/rows.csv").write_text("2")
    assert raw_digest() != linked


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ({"pretrain": TINY_STUDY["pretrain"]}, "leave out pretrain"),
        ({"aggregate": [{"name": "vote"}], "extrapolate": {"scales": []}}, "leave out aggregate, extrapolate"),
        ({"proxy": {"epochs": 3}}, "proxy: it scores designs"),
        ({"agents": [{"model": "offline"}]}, "model offline writes designs only"),
        ({"agents": [{"model": "random"}]}, "model random writes designs only"),
    ],
)
def test_what_does_not_go_with_a_folder_is_one_line_when_a_study_is_planned(
    third_party: Raw, sections: dict[str, Any], line: str
) -> None:
    with pytest.raises(UserError, match=line) as error:
        search_units(study(third_party[0], **sections))
    assert "\n" not in str(error.value)


def test_designs_need_a_way_to_aggregate_them_when_a_study_is_planned() -> None:
    with pytest.raises(UserError, match="study tiny: aggregate is empty"):
        search_units(tiny_study(aggregate=[]))


def test_a_folder_that_is_named_on_the_command_line_refuses_baselines(third_party: Raw) -> None:
    with pytest.raises(UserError, match="--model random: it writes designs only"):
        study_for(str(third_party[0]), SearchOptions(model="random"))
