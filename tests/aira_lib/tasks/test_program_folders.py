"""Folders whose submissions are code: what they must say, keys, searches, and others that ship code without saying."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aira_lib.search.stage as stage
from aira_lib.errors import UserError
from aira_lib.flow.units import search_units
from aira_lib.identity import VERSIONS
from aira_lib.records import Node, read_rows
from aira_lib.records.opened import in_words
from aira_lib.sandbox import ArtefactError, Outcome
from aira_lib.search.stage import search
from aira_lib.study import AgentSection, ProxySection, TaskSection
from aira_lib.study.agent import NoiseSettings
from aira_lib.study.reading import parse_study
from aira_lib.tasks.airs import check_task_folder, find_task_folder, packages
from aira_lib.tasks.airs import folder as folders_of_airs
from aira_lib.tasks.airs.scripts import InvalidSubmission
from aira_lib.tasks.family import FAMILIES, Opening
from aira_lib.tasks.folders import check_folder
from aira_lib.tasks.programs import family, opening
from aira_lib.tasks.programs.check import submission_in
from aira_lib.tasks.programs.folder import lay_library, load_program_folder
from aira_lib.tasks.programs.score import score_program
from aira_lib.tasks.programs.scoring import score_of
from aira_lib.tasks.section import family_of
from tests.aira_lib.search.folder_searches import Scripted
from tests.aira_lib.tasks.made_folders import change_metadata, made_folder
from tests.aira_lib.tasks.program_folders import NAME, SHOWN, key, rings, task
from tests.builders import work_in

SIDES = {"script": "train.py", "files": ["a.npy", "b.npy"], "width": 4}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": None}, "version"),
        ({"version": 2}, "version"),
        ({"trian": "train.py"}, "unknown key 'trian'; did you mean 'train'"),
        ({"train": "../train.py"}, "no name of a Python file of the folder"),
        ({"describe": "other.py"}, "names other.py, which the folder does not have"),
        ({"describe": "/bin/x.py"}, "no name of a Python file of the folder"),
        ({"most_described": {"parameters": 9}}, "most_described: there is no describe script"),
        (
            {"describe": "train.py", "most_described": {"Parameters": 9}},
            "'Parameters' is no name of lower-case letters",
        ),
        ({"describe": "train.py", "most_described": {"parameters": float("nan")}}, "most_described"),
        ({"encode": {**SIDES, "script": "other.py"}}, "names other.py, which the folder does not have"),
        ({"encode": {**SIDES, "script": "../x.py"}}, "no name of a Python file of the folder"),
        ({"encode": {**SIDES, "files": ["a.npy"]}}, "encode.files"),
        ({"encode": {**SIDES, "width": 0}}, "encode.width"),
        ({"encode": SIDES, "score": None, "measure": "numpy:mean"}, "encode: what is encoded apart is scored by score"),
        ({"infer": "other.py"}, "names other.py, which the folder does not have"),
        ({"score": "accuracy"}, "neither a Python file of the folder nor a function"),
        ({"modules": ["numpy"]}, "no module of aira_lib"),
        ({"modules": ["aira_lib.no_such"]}, "there is no aira_lib.no_such"),
        ({"labels": "labels.csv"}, "no name of an .npy file"),
        ({"vary": ["epochs"]}, "vary: 'epochs' is no setting"),
        ({"predictions": {"shape": [0]}}, "predictions.shape"),
        (
            {"limits": {"train": {"seconds": 5}, "infer": {"seconds": 6}}},
            "infer.seconds (6) is more than train.seconds (5)",
        ),
        ({"limits": {"weights_mb": 999}}, "weights_mb (999) is more than train.disk_mb (256)"),
    ],
)
def test_what_is_wrong_with_a_program_yaml_is_one_line(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError) as error:
        load_program_folder(rings(tmp_path, **changes))
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_a_reply_can_be_one_file_alone(tmp_path: Path) -> None:
    folder = rings(tmp_path)
    change_metadata(folder, {"file_export_globs": ["model.py", "layers.py"]})
    with pytest.raises(UserError, match=r"are model\.py, layers\.py; write reply: program"):
        load_program_folder(folder)


def test_each_folder_is_of_one_family(tmp_path: Path) -> None:
    folders = {"programs": rings(tmp_path), "folder": made_folder(tmp_path)}
    for name, folder in folders.items():
        assert family_of(task(folder)) is FAMILIES.named(name)


def test_a_built_in_one_is_searched_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = rings(tmp_path)
    monkeypatch.setattr(folders_of_airs, "BUILT_IN_PROGRAMS", (tmp_path / "none", tmp_path))
    named = TaskSection(name=NAME)
    family = family_of(named)
    assert family is FAMILIES.named("programs")
    assert family.task(named).name == NAME
    assert json.dumps(family.identity(named, ProxySection()), sort_keys=True) == key(folder)
    assert find_task_folder(NAME).path == folder
    with pytest.raises(UserError, match=f"did you mean '{NAME}'"):
        family_of(TaskSection(name="RingsMdeAccuracy"))


def test_published_results_are_those_of_the_metadata(tmp_path: Path) -> None:
    folder = rings(tmp_path)
    sota = [
        {"sota_paper_url": "https://example.org/1", "sota_paper_title": "Rings", "sota_score": 0.9},
        {"sota_paper_url": "https://example.org/2", "sota_score": 0.8},
    ]
    change_metadata(folder, {"logging_info.sota": sota, "logging_info.optimal_score": 1.0})
    found = family_of(task(folder)).published(task(folder))
    assert (found.best, found.optimum) == ({"Rings": 0.9, "SOTA 2": 0.8}, 1.0)


def test_files_are_read_once_for_all_searches_of_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, asked = rings(tmp_path), list[str]()
    agents = [{"name": name, "model": "openai/gpt-5", "seeds": 3} for name in ("a", "b")]
    study = parse_study({"name": "rings", "task": {"folder": str(folder)}, "agents": agents}, "test")
    digest_of = family.folder_digest
    monkeypatch.setattr(family, "folder_digest", lambda path: asked.append(path) or digest_of(path))
    units = search_units(study)
    assert asked == [folder]
    own = family_of(study.task).identity(study.task, study.proxy)
    assert all(own.items() <= unit.section.items() for unit in units)
    assert len({unit.key for unit in units}) == 6


@SHOWN
def test_a_reply_can_be_a_program_that_writes_what_is_submitted(tmp_path: Path) -> None:
    folder = rings(tmp_path, reply="program", train_sees_validation=True)
    change_metadata(folder, {"file_export_globs": ["model.py", "layers.py"]})
    (tmp_path / "scratch").mkdir()
    opened: Any = family_of(task(folder)).open(task(folder), ProxySection(), Opening(tmp_path / "scratch"))
    assert (opened.artefact, opened.also, opened.is_artefact) == ("model.py", ("layers.py",), False)
    assert not hasattr(opened, "limits")
    assert "is run first, and writes `model.py`, `layers.py`" in opened.description
    assert sorted(path.name for path in opened.data.rglob("*")) == ["inputs.npy", "labels.npy", "train"]
    assert "mind: training sees these rows" in in_words(opened.told())
    work = tmp_path / "work"
    work.mkdir()
    (work / "model.py").write_text("import layers")
    with pytest.raises(ArtefactError, match=r"layers\.py was not written"):
        opened.collect(work)
    (work / "layers.py").write_text("")
    assert opened.collect(work) == {"model.py": b"import layers", "layers.py": b""}


def test_a_study_may_not_have_such_a_folder_report_itself_or_show_others(tmp_path: Path) -> None:
    folder = rings(tmp_path)
    for section, why in (
        (task(folder, validation="self-reported"), "says how to measure it"),
        (task(folder, folders={"pretrained": str(tmp_path)}), "sees its data alone"),
    ):
        with pytest.raises(UserError, match=why):
            family_of(section).check(section, (), ProxySection())


@SHOWN
def test_a_program_that_writes_what_is_submitted_does_not_see_what_its_task_hides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could write what it read there into what it submits."""
    told: list[Any] = []

    def run(*given: Any) -> Outcome:
        told.append(given[-1])
        return Outcome("error", 1, "", "", 0.0, "not run")

    monkeypatch.setattr("aira_lib.search.candidate.run_candidate", run)
    folder = rings(tmp_path, reply="program", hides=["secret_text", "secret_*"])
    agent = AgentSection(name="greedy-scripted", model="scripted", steps=1, n_drafts=1, tries=1)
    monkeypatch.setattr(stage, "model_named", lambda *_: Scripted("print()"))
    search(task(folder), ProxySection(), agent, 0, work_in(tmp_path / "work"))
    assert told == [("secret_text", "secret_*")]


def test_the_key_knows_files_packages_and_the_code_that_scripts_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = rings(tmp_path)
    monkeypatch.delenv("AIRA_PROFILE", raising=False)
    said = json.loads(key(folder))
    assert said["packages"]["numpy"] == version("numpy")
    assert said["library"].keys() == {"tensors"}
    found = [key(folder), key(rings(tmp_path / "again", limits={"weights_mb": 2}))]
    assert key(rings(tmp_path / "elsewhere")) == found[0]
    monkeypatch.setattr(packages, "version", lambda name: "0.1" if name == "numpy" else version(name))
    found.append(key(folder))
    monkeypatch.setitem(VERSIONS, "programs", VERSIONS["programs"] + 1)
    found.append(key(folder))
    monkeypatch.setenv("AIRA_PROFILE", "paper")  # which prepare.py can read
    found.append(key(folder))
    assert len(set(found)) == len(found)


def test_a_folder_that_trains_on_a_gpu_is_another_on_another_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [rings(tmp_path / "a"), rings(tmp_path / "b", limits={"train": {"gpu": True}})]
    found = []
    for device in ("cpu", "cuda"):
        monkeypatch.setenv("AIRA_DEVICE", device)
        found.append([key(folder) for folder in folders])
    assert [one == other for one, other in zip(*found, strict=True)] == [True, False]


def test_scripts_see_the_modules_that_are_named_and_nothing_else_of_ours(tmp_path: Path) -> None:
    program = load_program_folder(
        rings(tmp_path, modules=["aira_lib.tensors", "aira_lib.tasks.programs.metrics"])
    ).program
    lay_library(program, tmp_path / "library")
    held = {path.relative_to(tmp_path / "library").as_posix() for path in (tmp_path / "library").rglob("*.py")}
    packages_around = {f"aira_lib/{name}__init__.py" for name in ("", "tasks/", "tasks/programs/")}
    assert held == {"aira_lib/tensors.py", "aira_lib/tasks/programs/metrics.py", *packages_around}
    assert all((tmp_path / "library" / name).read_bytes() == b"" for name in packages_around)


@SHOWN
def test_a_script_of_the_folder_scores_as_a_function_does(tmp_path: Path) -> None:
    folders = [
        load_program_folder(rings(tmp_path / "f")),
        load_program_folder(rings(tmp_path / "s", score="evaluate.py")),
    ]
    labels = np.arange(9) % 2
    scores = np.eye(2)[(labels + (np.arange(9) < 3)) % 2]
    assert [score_of(each, scores, labels, tmp_path, 30) for each in folders] == [6 / 9] * 2
    with pytest.raises(InvalidSubmission, match=r"found the shape \(9, 3\)"):
        score_of(folders[1], np.zeros((9, 3)), labels, tmp_path, 30)


def test_where_files_are_open_nothing_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Submitted code would find the labels; a machine without namespaces, or an old one."""
    monkeypatch.setattr(opening, "closes_files", lambda strength: False)
    monkeypatch.delenv("AIRA_TRUST_AGENTS", raising=False)
    (found,) = [each for each in check_folder(rings(tmp_path), None, 30, {}) if not each.holds]
    assert "could read the labels that it is scored by" in found.detail
    monkeypatch.setenv("AIRA_TRUST_AGENTS", "1")
    opening.require_closed_files()


def test_packages_that_are_missing_are_named_with_what_installs_them(tmp_path: Path) -> None:
    folder = rings(tmp_path)
    change_metadata(folder, {"container_python_requirements": ["numpy", "flax-of-nobody>=9"]})
    (found,) = [each for each in check_folder(folder, None, 30, {}) if not each.holds]
    assert "needs flax-of-nobody>=9; `pip install 'flax-of-nobody>=9'` (or AIRA's extra `jax`)" in found.detail


@pytest.mark.parametrize("glob", ["model.py", "src/*.py", "*", "model.*"])
def test_code_without_a_program_yaml_is_not_searched_and_the_check_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, glob: str
) -> None:
    monkeypatch.delenv("AIRA_TRUST_AGENTS", raising=False)
    folder = made_folder(tmp_path, prepare="raise SystemExit('far enough')")
    change_metadata(folder, {"file_export_globs": [glob], "logging_info.shape": ...})
    section = task(folder)
    with pytest.raises(UserError, match=r"in the process that holds the labels.*program\.yaml.*or say --trust-agents"):
        family_of(section).check(section, (), ProxySection())
    found = {each.what: each for each in check_task_folder(folder)}
    assert "can print any score" in found["submitted code does not run beside the labels"].detail
    monkeypatch.setenv("AIRA_TRUST_AGENTS", "1")
    family_of(section).check(section, (), ProxySection())


def test_tables_are_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRA_TRUST_AGENTS", raising=False)
    section = task(made_folder(tmp_path))
    family_of(section).check(section, (), ProxySection())


DESCRIBE = """
import json, os
from pathlib import Path
import model
told = json.loads(Path("run.json").read_text())
assert told["part"] == "describe" and told["row"] == {"inputs.npy": [2]}, told
assert not [name for name in ("data", "weights.safetensors") if os.path.exists(name)]
print("described", os.listdir())
Path("described.json").write_text(json.dumps({"parameters": getattr(model, "COUNT", 4)}))
"""


@SHOWN
def test_numbers_of_a_submission_come_from_a_process_without_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are kept apart from what the harness measures; a program of which none are told fails untrained."""
    folder = rings(tmp_path, probes={"rows": 20, "repeats": 2}, describe="describe.py")
    (folder / "describe.py").write_text(DESCRIBE)
    gold = submission_in(load_program_folder(folder), folder / "gold_submission")["model.py"].decode()
    agent = AgentSection(name="greedy-scripted", model="scripted", steps=2, n_drafts=2)
    model = Scripted(gold, f"COUNT = 'many'\n{gold}")
    monkeypatch.setattr(stage, "model_named", lambda *_: model)
    work = work_in(tmp_path / "work")
    search(task(folder), ProxySection(), agent, 0, work)
    best, failed = read_rows(work.path / "journal.jsonl", Node)
    told = {"described_parameters", "train_seconds", "train_cpu_seconds", "peak_memory_mb", "parameters"}
    assert best.measures.keys() == told
    assert best.measures["parameters"] == 4 * 2  # a weight [3, 2] and a bias [2]
    assert best.measures["described_parameters"] == 4
    assert best.measures["train_seconds"] > 0
    assert best.output.startswith("described")
    assert "step 0: loss" in best.output
    assert (failed.reason, failed.measures) == ("describe: described.json: parameters is no number", {})
    assert "step 0" not in failed.output
    assert "`describe.py` tells numbers of what you submitted" in model.prompts[0]
    assert "It is refused where" not in model.prompts[0]
    (folder / "program.yaml").open("a").write("\nmost_described: {parameters: 3, depth: 2}\n")
    model.prompts.clear()
    search(task(folder), ProxySection(), agent, 0, work := work_in(tmp_path / "bounded"))
    large = next(iter(read_rows(work.path / "journal.jsonl", Node)))
    assert (large.status, large.reason) == ("failed", "describe: parameters is 4; at most 3 is allowed")
    assert "step 0" not in large.output
    assert "It is refused where `parameters` is more than 3, `depth` is more than 2." in model.prompts[-1]
    (folder / "describe.py").write_text("raise SystemExit('too large')")
    findings = {each.what: each for each in check_folder(folder, None, 30, {})}
    assert "too large" in findings["describe.py tells numbers of gold_submission, without data"].detail
    with pytest.raises(UserError, match=r"describe failed .*too large"):
        list(score_program(folder, folder / "gold_submission", None, 30))


@SHOWN
def test_a_gain_within_the_noise_is_not_tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that turn a share of their answers over, in per cent; the baseline's share hangs on the seed."""
    folder = rings(tmp_path, probes={"rows": 20, "repeats": 2}, baseline="start.py", seed=4)
    (folder / "start.py").touch()
    gold = submission_in(load_program_folder(folder), folder / "gold_submission")["model.py"].decode()

    def turned(share: str) -> str:
        over = (
            f"    if __import__('os').path.exists('data/inputs'):\n"
            f"        found[np.abs(inputs[:, 0] * 1e4).astype(int) % 100 < {share}] *= -1\n    return found\n"
        )
        return gold.replace("return np.concatenate", "found = np.concatenate") + over

    seed = "int(__import__('json').loads(__import__('pathlib').Path('run.json').read_text())['seed'])"
    (folder / "start.py").write_text(turned(f"30 + 3 * {seed}"))
    agent = AgentSection(name="greedy-scripted", model="scripted", steps=3, n_drafts=3,
                         noise=NoiseSettings(winner_seeds=1))  # fmt: skip
    model = Scripted(turned("40"), turned("9"), turned("4"))
    monkeypatch.setattr(stage, "model_named", lambda *_: model)
    work = work_in(tmp_path / "work")
    search(task(folder), ProxySection(), agent, 0, work)
    baseline, small, large, after = read_rows(work.path / "journal.jsonl", Node)
    assert json.loads((work.path / "task.json").read_text())["baseline_seed"] == 4
    assert (baseline.test, small.test, after.test) == (None, None, None)
    assert (small.within_noise, large.within_noise, after.within_noise) == (True, False, True)
    assert after.validation > large.validation > small.validation > baseline.validation
    assert large.test == pytest.approx(large.validation, abs=0.1)


@SHOWN
def test_a_search_whose_replies_are_the_file_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test of a program that is not the best so far is not run, nor that of one that fails.

    What a program says in its final test, where it has seen the labels of validation, is not told.
    """
    folder = rings(tmp_path, probes={"rows": 20, "repeats": 2})
    gold, poor = (
        submission_in(load_program_folder(folder), folder / name)["model.py"].decode()
        for name in ("gold_submission", "gold_submission_random_1")
    )
    broken = gold.replace("axis=1)", "axis=1)[1:]")
    tells = "import os\nif os.path.exists('data/validation'):\n    print('secret')\n    raise ValueError('secret')\n"
    agent = AgentSection(name="greedy-scripted", model="scripted", steps=4, n_drafts=4)
    model = Scripted(tells + gold, gold, poor, broken)
    monkeypatch.setattr(stage, "model_named", lambda *_: model)
    work = work_in(tmp_path / "work")
    search(task(folder), ProxySection(), agent, 0, work)
    told, best, worse, failed = read_rows(work.path / "journal.jsonl", Node)
    assert (told.status, told.reason) == ("failed", "in the final test: train failed (error)")
    assert "secret" not in told.output
    assert (best.status, best.validation, best.test, best.code) == ("ok", 1.0, 1.0, gold.rstrip() + "\n")
    assert best.output.startswith("step 0: loss 0.6931")
    assert (worse.status, worse.test) == ("ok", None)
    assert worse.validation is not None
    assert worse.validation < 0.7
    assert (failed.status, failed.validation, failed.self_reported) == ("failed", None, False)
    assert failed.reason == "train failed (error): exit code 1: model.py: features must be [300, k], not [299, 3]"
    summary = json.loads((work.path / "search.json").read_text())
    assert (summary["validation"], summary["validation_rows"], summary["best"]["step"]) == ("measured", 100, 1)
    assert "measured on 100 rows" in in_words(summary)
    assert (work.path / "submission" / "model.py").read_text() == best.code
    prompt = model.prompts[0]
    assert "complete\nfile `model.py` (no placeholders)" in prompt
    assert "- ./data/train/inputs.npy: float32 (300, 2)" in prompt
    assert "into the current directory" not in prompt
    assert "for at most 60 seconds" in prompt
    assert "tells numbers of what you submitted" not in prompt
