"""The task folders of Autoresearch: what they say is what the library does, and data are kept where they belong."""

import ast
import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("torch")
pytest.importorskip("tokenizers")

import aira_lib
from aira_lib.autoresearch import prepared
from aira_lib.autoresearch.bpb import bits_per_byte, nats_of
from aira_lib.autoresearch.prepare import load
from aira_lib.autoresearch.prepare.profiles import PROFILES, Profile, profile_of
from aira_lib.contents import file_digest
from aira_lib.records.opened import stand_in_of
from aira_lib.tasks.airs.folder import built_in_programs
from aira_lib.tasks.programs.folder import load_program_folder
from aira_lib.tasks.programs.section import ProgramSection
from aira_lib.tasks.programs.splits import open_splits

LIBRARY = Path(aira_lib.__file__).parent
FOLDERS = LIBRARY / "tasks/autoresearch"
BASELINE = LIBRARY / "autoresearch/baseline.py"
PLAIN = FOLDERS / "AutoregressiveLanguageModellingAutoresearchBPB"
ALL = sorted(path for path in FOLDERS.iterdir() if path.is_dir())
SUBMISSIONS = ("gold_submission_trained", "gold_submission_random_1", "gold_submission_random_2")
TRAINING = ("vocabulary", "length", "budget_seconds", "clock", "compile_allowance_seconds", "paper_allowance_seconds")


@pytest.mark.parametrize("folder", ALL, ids=lambda path: path.name)
def test_a_folder_is_found_by_its_name_and_bears_it(folder: Path) -> None:
    found = load_program_folder(folder)
    assert built_in_programs()[folder.name] == folder
    assert found.task.name == folder.name
    assert found.exports == ("train.py",)
    assert found.baseline == BASELINE.read_text()


@pytest.mark.parametrize("folder", ALL, ids=lambda path: path.name)
def test_folders_differ_in_what_they_must(folder: Path) -> None:
    for path in PLAIN.rglob("*.py"):
        assert path.read_text() == (folder / path.relative_to(PLAIN)).read_text()
    told = [yaml.safe_load((each / "program.yaml").read_text()) for each in (PLAIN, folder)]
    assert told[0] == {key: value for key, value in told[1].items() if key != "literature"}
    assert told[1].get("literature", False) == ("WithLiterature" in folder.name)
    description = (PLAIN / "project_description.md").read_text()
    assert (folder / "project_description.md").read_text().startswith(description)


def test_settings_are_those_of_the_laptop() -> None:
    settings = load_program_folder(PLAIN).program.settings
    profile = profile_of("cpu")
    assert settings["profile"] == profile.name
    assert {name: settings[name] for name in TRAINING} == {name: getattr(profile, name) for name in TRAINING}


def test_scripts_find_all_that_they_import() -> None:
    named = {*load_program_folder(PLAIN).program.modules}
    files = [LIBRARY.parent / f"{module.replace('.', '/')}.py" for module in named]
    for path in (*files, PLAIN / "run_training.py", PLAIN / "run_answering.py"):
        wanted = {node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)}
        assert {each for each in wanted if each and each.startswith("aira_lib")} <= named, path


def test_programs_stand_on_their_own() -> None:
    for path in (BASELINE, *(PLAIN / each / "train.py" for each in (*SUBMISSIONS, "invalid_submission"))):
        assert "aira" not in path.read_text()


@pytest.mark.parametrize("name", PROFILES)
def test_the_description_says_the_profiles(name: str) -> None:
    profile = profile_of(name)
    lines = (PLAIN / "project_description.md").read_text().splitlines()
    column = 1 + PROFILES.index(profile.name)
    table = {cells[0]: cells[column] for line in lines if len(cells := line.strip("| ").split(" | ")) == 3}
    assert table["vocabulary"] == f"{profile.vocabulary:,}"
    assert table["length"] == f"{profile.length:,}"
    assert table["budget"].startswith(f"{profile.budget_seconds:g} ")


def test_what_prepare_says_of_a_profile_sets_settings_and_sizes() -> None:
    program = load_program_folder(PLAIN).program.with_data(
        {"profile": "gpu", "length": 2_048, "vocabulary": 8_192, "x": 1}
    )
    assert program.predictions.shape == (2_048, 8_192)
    assert (program.settings["profile"], program.settings["clock"]) == ("gpu", "cpu")
    assert "x" not in program.settings


def test_sizes_must_be_settings() -> None:
    told = yaml.safe_load((PLAIN / "program.yaml").read_text())
    told["settings"]["length"] = 255
    with pytest.raises(ValueError, match=r"predictions\.sizes: length, vocabulary"):
        ProgramSection.model_validate(told)


def arguments(monkeypatch: pytest.MonkeyPatch, **folders: Path) -> None:
    given = [part for name, path in folders.items() for part in (f"--{name.replace('_', '-')}", str(path))]
    monkeypatch.setattr("sys.argv", ["script.py", *given])


def tiny(name: str) -> Profile:
    return Profile(name, 300, 16, 60, "cpu", 0, 60, 20_000, 3_000, 20_000, cuts=True)


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of raw data, with small profiles and a cache of their own."""
    monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.setattr(prepared, "profile_of", tiny)
    folder, mount = tmp_path / "raw", tmp_path / "mount"
    folder.mkdir()
    mount.mkdir()
    arguments(monkeypatch, global_shared_data_dir=folder, agent_data_mount_dir=mount, agent_log_dir=tmp_path)
    return folder


@pytest.fixture
def mount(raw: Path) -> Path:
    """What prepare.py and evaluate_prepare.py write."""
    (raw / "autoresearch.yaml").write_text("budget_seconds: 20\n")
    prepared.prepare_command()
    prepared.evaluate_prepare_command()
    return raw.parent / "mount"


def test_targets_of_hidden_rows_are_kept_back(mount: Path, tmp_path: Path) -> None:
    assert {path.name for path in (mount / "test").iterdir()} == {"tokens.npy"}
    splits = open_splits(mount, mount / "test_with_labels", "labels.npy", 0.2, tmp_path / "place")
    assert not splits.held_out
    assert splits.steers.labels.shape == (*splits.steers.inputs["tokens.npy"].shape, 2)
    seen = {path.name for path in splits.train.iterdir()}
    assert seen == {"tokens.npy", "labels.npy", "tokenizer.json", "vocabulary.json"}
    sizes = json.loads((splits.train / "vocabulary.json").read_text())["bytes"]
    for asked in (splits.steers, splits.final):
        assert np.array_equal(np.array(sizes)[asked.labels[..., 0]], asked.labels[..., 1])


def test_a_record_knows_data_tokenizer_baseline_and_stand_in(mount: Path) -> None:
    about = json.loads((mount / "about.json").read_text())
    assert about["baseline digest"] == file_digest(BASELINE)
    assert (len(about["data digest"]), len(about["tokenizer digest"])) == (64, 64)
    stand_in = stand_in_of({"data": about})
    assert stand_in is not None
    assert "botocore" in stand_in.what
    assert stand_in.instead_of == "the shards of the original, which are web text"
    assert about["budget_seconds"] == 20
    program = load_program_folder(PLAIN).program.with_data(about)
    assert program.settings["budget_seconds"] == 20
    assert program.predictions.shape == (16, 300)


def test_real_shards_are_no_stand_in(mount: Path) -> None:
    _, profile, data = prepared._given()
    real = replace(data, about=data.about.model_copy(update={"stand_in": None}))
    assert stand_in_of({"data": prepared.facts_of(real, profile, "")}) is None
    assert stand_in_of({"data": prepared.facts_of(data, profile, "")}) is not None


def test_another_budget_is_the_same_data(raw: Path) -> None:
    prepared.prepare_command()
    (raw / "autoresearch.yaml").write_text("budget_seconds: 20\n")
    assert len([path for path in (raw.parent / "scratch/autoresearch").iterdir() if path.is_dir()]) == 1
    (folder,) = (path for path in (raw.parent / "scratch/autoresearch").iterdir() if path.is_dir())
    assert load.read_row(folder / "about.json", load.About).profile == "cpu"


@pytest.mark.parametrize(
    ("written", "told"),
    [("profil: gpu\n", "profil"), ("budget_seconds: 1\n", "budget_seconds"), ("shards: x\n", "three")],
)
def test_what_is_wrong_with_the_settings_is_said(raw: Path, written: str, told: str) -> None:
    (raw / "autoresearch.yaml").write_text(written)
    with pytest.raises(SystemExit, match=told):
        prepared.prepare_command()


def test_logits_are_scored_as_airs_bench_does(
    mount: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(mount.parent)
    mount.rename(mount.parent / "data")
    labels = np.load("data/test_with_labels/labels.npy")
    logits = np.random.default_rng(0).normal(size=(*labels.shape[:2], 300)).astype(np.float32)
    np.save("data/predictions.npy", logits)
    monkeypatch.setattr("sys.argv", ["evaluate.py"])
    prepared.evaluate_command()
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert printed["BPB"] == pytest.approx(bits_per_byte(nats_of(logits, labels[..., 0]), labels[..., 1]).value)
    np.save("data/predictions.npy", logits[:, :, :5])
    with pytest.raises(SystemExit):
        prepared.evaluate_command()


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_golds_build_causal_models_of_the_vocabulary(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.chdir(tmp_path)
    Path("run.json").write_text(json.dumps({"seed": 0, "settings": load_program_folder(PLAIN).program.settings}))
    spec = importlib.util.spec_from_file_location("gold", PLAIN / name / "train.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    idx = torch.randint(1_024, (2, 12), generator=torch.Generator().manual_seed(0))
    model = module.build_model()
    other = torch.cat((idx[:, :6], idx[:, :6]), dim=1)
    assert model(idx).shape == (2, 12, 1_024)
    torch.testing.assert_close(model(idx)[:, :6], model(other)[:, :6])
