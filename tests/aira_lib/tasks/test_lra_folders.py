"""The task folders of Long Range Arena: what they say is what the library does, and one is trained and answers."""

import ast
import importlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("jax")
pytest.importorskip("flax")

import aira_lib
from aira_lib.errors import UserError
from aira_lib.lra import described_submission, prepared, submitted
from aira_lib.lra.baselines import baseline_path
from aira_lib.lra.configurable import BOUNDS
from aira_lib.lra.configuration import law
from aira_lib.lra.data import LraTask, lra_data
from aira_lib.lra.described import description, folder_name
from aira_lib.lra.interface import submission_of
from aira_lib.lra.program import program_of
from aira_lib.lra.refused import Refused
from aira_lib.lra.weights import save_weights
from aira_lib.records.opened import stand_in_of
from aira_lib.tasks.programs.arrays import read_encodings, read_split
from aira_lib.tasks.programs.costs import costs_of
from aira_lib.tasks.programs.described import beyond, read_described
from aira_lib.tasks.programs.folder import load_program_folder

LIBRARY = Path(aira_lib.__file__).parent
FOLDERS = LIBRARY / "tasks/lra"
BOTH: list[tuple[LraTask, bool]] = [(task, each) for task in ("text", "listops", "retrieval") for each in (False, True)]
SUBMISSIONS = ("gold_submission_trained", "gold_submission_random_1", "gold_submission_random_2")


def test_there_are_six_folders() -> None:
    assert {path.name for path in FOLDERS.iterdir() if path.is_dir()} == {folder_name(*each) for each in BOTH}


@pytest.mark.parametrize(("task", "configurable"), BOTH)
def test_a_folder_says_what_the_library_does(task: LraTask, configurable: bool) -> None:
    found = load_program_folder(FOLDERS / folder_name(task, configurable))
    assert found.task.name == found.path.name
    assert found.task.description.rstrip() == description(task, configurable).rstrip()
    assert {key: found.program.settings[key] for key in ("task", "configurable")} == {
        "task": task,
        "configurable": configurable,
    }
    assert found.program.predictions.shape == (submitted.PROBLEMS[task].num_classes,)
    assert not found.program.train_sees_validation


def test_table_12_stands_in_a_description() -> None:
    lines = description("listops", False).splitlines()
    for key, value in {
        "num train steps": "5000",
        "emb dim": "512",
        "warmup": "1000",
        "learning rate": "0.0001",
    }.items():
        assert any(line.startswith(f"| {key} | {value} |") for line in lines)


def test_scripts_find_all_that_they_import() -> None:
    """Every module of AIRA that a named module imports is named too, for the sandbox shows no others."""
    named = {*load_program_folder(FOLDERS / folder_name("text", False)).program.modules}
    for module in named:
        tree = ast.parse((LIBRARY.parent / f"{module.replace('.', '/')}.py").read_text())
        wanted = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        assert {each for each in wanted if each.startswith("aira_lib")} <= named, module


def test_folders_differ_in_what_they_must() -> None:
    """Scripts are the same but for the task, and the submissions of a task's two folders are the same."""
    for task in ("text", "listops", "retrieval"):
        plain, configurable = (FOLDERS / folder_name(task, each) for each in (False, True))
        for path in plain.rglob("*.py"):
            assert path.read_text() == (configurable / path.relative_to(plain)).read_text()
        told = [yaml.safe_load((each / "program.yaml").read_text()) for each in (plain, configurable)]
        for each in told:
            del each["settings"]["configurable"]
        if task == "retrieval":
            widths = [each["encode"].pop("width") for each in told]
            assert widths == [4 * law(task, "paper").emb_dim, 4 * BOUNDS[task]["emb_dim"][1]]
        assert told[0] == told[1]


@pytest.mark.parametrize("task", ["text", "listops", "retrieval"])
def test_submissions_keep_the_interface(task: LraTask) -> None:
    folder = FOLDERS / folder_name(task, False)
    for name in SUBMISSIONS:
        program_of(submission_of(folder / name / "model.py", submitted.PROBLEMS[task]), law(task, "smoke"))


def test_invalid_submissions_are_refused_with_what_is_wrong() -> None:
    single, pairs = (
        FOLDERS / folder_name(each, False) / "invalid_submission/model.py" for each in ("text", "retrieval")
    )
    invalid = submission_of(single, submitted.PROBLEMS["text"])
    with pytest.raises(Refused, match=r"expected float\[8, 2\]"):
        program_of(invalid, law("text", "smoke"))
    with pytest.raises(Refused, match="has no method `encode`"):
        submission_of(pairs, submitted.PROBLEMS["retrieval"])


def arguments(monkeypatch: pytest.MonkeyPatch, **folders: Path) -> None:
    given = [part for name, path in folders.items() for part in (f"--{name.replace('_', '-')}", str(path))]
    monkeypatch.setattr("sys.argv", ["script.py", *given])


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What prepare.py and evaluate_prepare.py of ListOps write at the smallest size."""
    raw, mount = tmp_path / "raw", tmp_path / "mount"
    raw.mkdir()
    mount.mkdir()
    (raw / "lra.yaml").write_text("size: smoke\nseed: 3\n")
    arguments(monkeypatch, global_shared_data_dir=raw, agent_data_mount_dir=mount, agent_log_dir=tmp_path)
    prepared.prepare_command("listops")
    prepared.evaluate_prepare_command("listops")
    return mount


def test_test_labels_are_kept_back_and_no_seed_is_told(opened: Path) -> None:
    data = lra_data("listops", "smoke", seed=3)
    assert {*read_split(opened / "test")} == {"inputs.npy"}
    np.testing.assert_array_equal(np.load(opened / "test/inputs.npy"), data.test.inputs[0])
    np.testing.assert_array_equal(np.load(opened / "test_with_labels/labels.npy"), data.test.labels)
    for split in ("train", "validation"):
        np.testing.assert_array_equal(np.load(opened / split / "labels.npy"), getattr(data, split).labels)
    said = (opened / "train/about.txt").read_text()
    assert "listops of 64 tokens" in said
    assert "majority" in said
    assert "seed" not in said
    told = json.loads((opened / "about.json").read_text())  # for people, who are told the seed
    assert told["seed"] == 3
    assert told["ceilings"].startswith("majority")
    entry = stand_in_of({"data": told})
    assert entry
    assert entry.what.startswith("ListOps, 64 tokens")
    assert entry.instead_of == told["instead of"]
    assert "seed 3; ceilings majority" in entry.detail


def test_a_submission_is_trained_and_answers(
    opened: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """In this process: train, infer and score, as the sandbox and AIRS-Bench's own scorer start them."""
    work = tmp_path / "work"
    shutil.copytree(opened, work / "data")
    shutil.copytree(opened / "test", work / "data/inputs")
    folder = FOLDERS / folder_name("listops", True)
    shutil.copytree(folder / SUBMISSIONS[1], work / "submission")
    (work / "submission/model.py").open("a").write("\nNUM_TRAIN_STEPS = 2\n")
    told = {"train_on": ["train", "validation"], "seconds": 600, "seed": 0}
    settings = {"task": "listops", "configurable": True}
    (work / "run.json").write_text(json.dumps({**told, "settings": settings}))
    monkeypatch.chdir(work)
    submitted.train_submitted()
    said = capsys.readouterr().out
    assert said.startswith("listops of 64 tokens")
    assert "step 2 of 2" in said
    submitted.infer_submitted()
    logits = np.load("predictions.npy")
    assert logits.shape == (200, 10)
    arguments(monkeypatch, submission_file=Path("predictions.npy"))
    prepared.evaluate_command()
    result = capsys.readouterr().out.partition("--- EVALUATION RESULT ---")[2]
    labels = np.load("data/test_with_labels/labels.npy")
    assert json.loads(result) == {"Accuracy": float(np.mean(logits.argmax(axis=1) == labels))}


def test_what_a_submission_costs_is_told_without_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """The harness compares it with what a folder allows: softmax is not sub-quadratic, a sum of places is."""
    shutil.copytree(FOLDERS / folder_name("listops", False) / SUBMISSIONS[1], tmp_path / "submission")
    settings = {"task": "listops", "configurable": False}
    run = {"row": {"inputs.npy": [64]}, "seed": 0, "settings": settings}
    (tmp_path / "run.json").write_text(json.dumps(run))
    monkeypatch.chdir(tmp_path)
    described_submission.describe_submitted()
    told = read_described(Path("described.json").read_bytes())
    own = law("listops", "smoke")
    assert told["described_steps"] == own.num_train_steps
    assert told["described_length"] == 64
    assert 0 < told["described_base_ratio"] < 1
    assert told["described_flops_exponent"] <= 1.05
    assert "memory" in capsys.readouterr().out
    assert beyond(told, {"flops_exponent": 1.5, "memory_exponent": 1.5}) == ""
    assert costs_of(told).growth == "linear"
    (tmp_path / "submission/model.py").write_text(baseline_path("softmax").read_text())
    (tmp_path / "run.json").write_text(json.dumps(run | {"row": {"inputs.npy": [200]}}))
    described_submission.describe_submitted()
    softmax = read_described(Path("described.json").read_bytes())
    assert beyond(softmax, {"flops_exponent": 1.5}).endswith("; at most 1.5 is allowed")
    assert costs_of(softmax).growth == "not sub-quadratic"


def test_pairs_are_answered_from_encodings_of_single_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one program says it that reads both: encode is asked for documents in any order, classify for encodings."""
    folder = FOLDERS / folder_name("retrieval", False)
    shutil.copytree(folder / SUBMISSIONS[0], tmp_path / "submission")
    monkeypatch.chdir(tmp_path)
    documents = np.random.default_rng(0).integers(1, 257, (2, 11, 96)).astype(np.int32)
    settings = {"task": "retrieval", "configurable": False}
    told = {"seed": 0, "settings": settings, "row": {"inputs1.npy": [96], "inputs2.npy": [96]}}
    Path("run.json").write_text(json.dumps(told))
    program = submitted.program_at(told, 96)
    variables = program.init(importlib.import_module("jax").random.key(1))
    save_weights(Path("weights.safetensors"), variables)
    order = np.random.default_rng(1).permutation(22)
    Path("data/inputs").mkdir(parents=True)
    np.save("data/inputs/inputs.npy", documents.reshape(22, 96)[order])
    submitted.encode_submitted()
    encodings = read_encodings(Path("encodings.npy").read_bytes(), 22, 512, "encodings.npy")
    placed = np.empty_like(encodings)
    placed[order] = encodings
    Path("data/inputs/inputs.npy").unlink()
    for side, held in enumerate(placed.reshape(2, 11, -1), start=1):
        np.save(f"data/inputs/inputs{side}.npy", held)
    submitted.classify_submitted()
    expected = program.classify(variables, *(program.encode(variables, each) for each in documents))
    np.testing.assert_allclose(np.load("predictions.npy"), expected, rtol=1e-4, atol=1e-5)


def test_what_is_wrong_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "submission").mkdir()
    (tmp_path / "submission/model.py").write_text("SEED = 3\n")
    (tmp_path / "data/train").mkdir(parents=True)
    np.save("data/train/inputs.npy", np.ones((4, 64), np.int32))
    np.save("data/train/labels.npy", np.zeros(4, np.int32))
    settings = {"task": "listops", "configurable": True}
    told = {"train_on": ["train"], "seconds": 600, "seed": 0, "settings": settings}
    (tmp_path / "run.json").write_text(json.dumps(told))
    with pytest.raises(SystemExit) as ended:
        submitted.train_submitted()
    assert str(ended.value) == "line 1: SEED is the harness's to set; take it out"
    with pytest.raises(Refused, match="length of no size"):
        submitted.configuration_at("text", 65, 0, None)


def test_wrong_settings_of_the_data_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments(monkeypatch, global_shared_data_dir=tmp_path, agent_data_mount_dir=tmp_path)
    for text, reason in {"size: smol\n": "size", "text: imbd\nsize: smoke\n": "did you mean 'imdb'"}.items():
        (tmp_path / "lra.yaml").write_text(text)
        with pytest.raises(SystemExit) as ended:
            prepared.prepare_command("text")
        assert reason in str(ended.value)
        assert "\n" not in str(ended.value)
    assert issubclass(Refused, UserError)
