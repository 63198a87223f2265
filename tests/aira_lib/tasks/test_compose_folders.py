"""The Compose task folders: what they say agrees with the library, and one runs end to end at a tiny size."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from aira_lib.architecture.pattern import parse
from aira_lib.datasets.mad import splits
from aira_lib.errors import UserError
from aira_lib.proxy.cost import task_settings
from aira_lib.proxy.evaluation import evaluate as proxy_evaluate
from aira_lib.proxy.text import text_data
from aira_lib.study import ProxySection
from aira_lib.study.reading import load_study
from aira_lib.tasks import TASKS, SubmissionError, description, read_submission
from aira_lib.tasks.airs import InvalidSubmission, ScriptFailure, TaskFolder, evaluate, load_task_folder, prepare
from aira_lib.tasks.airs.folder import BUILT_IN, task_folders
from aira_lib.tasks.profile import LAPTOP, profile_named
from tests.builders import TINY_STUDY

pytestmark = pytest.mark.usefixtures("plain_kernels")

ROOT = Path(__file__).parents[3]
NAMES = sorted(TASKS)


def test_every_search_task_has_its_folder() -> None:
    assert [path.name for path in task_folders()] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_says_what_the_library_does(name: str) -> None:
    folder, task = load_task_folder(BUILT_IN / name), TASKS[name]
    assert (folder.name, folder.metric) == (task.name, task.metric)
    assert folder.metadata.metric_lower_is_better == task.lower_is_better
    assert folder.description.startswith(description(task, 16, profile_named("paper", task.dataset)[1]))


@pytest.mark.parametrize("name", NAMES)
def test_reference_designs_are_valid_and_the_invalid_one_is_not(name: str) -> None:
    for reference in ("gold_submission", "gold_submission_random_1", "gold_submission_random_2"):
        content = (BUILT_IN / name / reference / "submission.csv").read_bytes()
        assert len(read_submission(content, TASKS[name], 16)) == 16
    with pytest.raises(SubmissionError, match=r"not a primitive|unknown primitive"):
        read_submission((BUILT_IN / name / "invalid_submission/submission.csv").read_bytes(), TASKS[name], 16)


def test_profiles() -> None:
    laptop = load_study(ROOT / "pipelines/compose/laptop.yaml")
    assert profile_named("laptop") == (laptop.task.layers, laptop.proxy) == (16, LAPTOP)
    assert profile_named("paper") == (16, ProxySection())
    with pytest.raises(UserError, match="did you mean 'laptop'"):
        profile_named("latop")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump({**TINY_STUDY, "proxy": {**TINY_STUDY["proxy"], "seed": 77}}))
    return path


def _folders(tmp_path: Path) -> list[Path]:
    made = [tmp_path / name for name in ("shared", "data", "log")]
    for folder in made:
        folder.mkdir()
    return made


def _score(task: TaskFolder, folders: list[Path], submission: str, environment: dict[str, str]) -> float:
    (folders[2] / "submission.csv").write_text(submission)
    return evaluate(task, folders[0], folders[1], folders[2], 300, environment)


def test_a_folder_end_to_end_at_a_tiny_size(tmp_path: Path, study: Path) -> None:
    task = load_task_folder(BUILT_IN / "NeuralArchitectureSearchMAD3PrimitivesMbAccuracy")
    folders = _folders(tmp_path)
    environment = {"AIRA_PROFILE": str(study), "OMP_NUM_THREADS": "1", "AIRA_KERNELS": "plain"}
    proxy = load_study(study).proxy
    prepare(task, *folders, 300, environment)
    _only_the_training_split(folders[1], proxy)
    score = _score(task, folders, "architecture\nMb-A-M-M\n", environment)
    expected = proxy_evaluate(parse("Mb-A-M-M"), proxy, seed=77, device="auto")
    assert score == pytest.approx(expected.test)
    with pytest.raises(InvalidSubmission, match=r"column 4: unknown primitive 'X'; primitives are A"):
        _score(task, folders, "architecture\nMb-X-M-M\n", environment)
    with pytest.raises(InvalidSubmission, match="has 3 layers, but it must have exactly 4"):
        _score(task, folders, "layer\nMb\nA\nM\n", environment)


def _only_the_training_split(data: Path, proxy: ProxySection) -> None:
    """Nothing else is written, and no row of the held-out or test examples is among what is."""
    written = sorted(str(path.relative_to(data)) for path in data.rglob("*") if path.is_file())
    assert written == ["settings.json", "train/in-context-recall.npz", "train/memorization.npz"]
    settings: dict[str, Any] = json.loads((data / "settings.json").read_text())
    assert settings["layers"] == 4
    assert "seed" not in settings["proxy"]
    task = task_settings(proxy, "in-context-recall")
    drawn = splits(task, proxy.train_examples, proxy.test_examples, proxy.validation_fraction, proxy.seed)
    with np.load(data / "train/in-context-recall.npz") as arrays:
        seen = {row.tobytes() for row in arrays["inputs"]}
    assert len(seen) == round(0.7 * proxy.train_examples)
    hidden = [*drawn.validation.inputs, *drawn.test.inputs]
    assert not any(row.tobytes() in seen for row in hidden)


def test_a_folder_of_text_end_to_end_at_a_tiny_size(tmp_path: Path) -> None:
    text = {"tokenizer": "words", "vocab_size": 64, "seq_len": 16, "train_examples": 40, "test_examples": 16}
    study = tmp_path / "text.yaml"
    tiny = {**TINY_STUDY["proxy"], "seed": 77, "language": text}
    study.write_text(yaml.safe_dump({**TINY_STUDY, "proxy": tiny}))
    task = load_task_folder(BUILT_IN / "NeuralArchitectureSearchBabiStories2PrimitivesLoss")
    folders = _folders(tmp_path)
    environment = {"AIRA_PROFILE": str(study), "OMP_NUM_THREADS": "1", "AIRA_KERNELS": "plain"}
    prepare(task, *folders, 300, environment)
    proxy = profile_named(str(study), "babistories")[1]
    _only_the_training_text(folders[1], proxy)
    expected = proxy_evaluate(parse("A-M-M-A"), proxy, seed=77, device="auto")
    assert _score(task, folders, "architecture\nA-M-M-A\n", environment) == pytest.approx(expected.test)


def _only_the_training_text(data: Path, proxy: ProxySection) -> None:
    written = sorted(str(path.relative_to(data)) for path in data.rglob("*") if path.is_file())
    assert written == ["settings.json", "train/babistories.npz", "train/words.json"]
    told = (data / "settings.json").read_text()
    assert '"seed"' not in told
    assert "paths" not in told
    splits_ = text_data(proxy, "babistories").splits
    with np.load(data / "train/babistories.npz") as arrays:
        assert np.array_equal(arrays["inputs"], splits_.train.inputs)
        seen = {row.tobytes() for row in arrays["inputs"].astype(np.int64)}
    assert not any(row.tobytes() in seen for row in [*splits_.validation.inputs, *splits_.test.inputs])


def test_an_unknown_profile_and_a_missing_submission_say_so(tmp_path: Path, study: Path) -> None:
    task = load_task_folder(BUILT_IN / "NeuralArchitectureSearchMAD2PrimitivesAccuracy")
    folders = _folders(tmp_path)
    with pytest.raises(ScriptFailure, match=r"prepare\.py: exit code 1: unknown profile 'larg'"):
        prepare(task, *folders, 300, {"AIRA_PROFILE": "larg"})
    with pytest.raises(ScriptFailure, match=r"evaluate_prepare\.py: exit code 1: submission\.csv was not written"):
        evaluate(task, *folders, 300, {"AIRA_PROFILE": str(study)})
    (folders[2] / "submission.csv").symlink_to("/etc/passwd")
    with pytest.raises(ScriptFailure, match="was not written"):
        evaluate(task, *folders, 300, {"AIRA_PROFILE": str(study)})


def test_the_profile_is_a_flag_too(tmp_path: Path, study: Path) -> None:
    """The script is a process, which says what it imports: what trains nothing waits for no PyTorch."""
    shared, data, _ = _folders(tmp_path)
    script = BUILT_IN / "NeuralArchitectureSearchMAD2PrimitivesAccuracy" / "prepare.py"
    flags = ["--global-shared-data-dir", shared, "--agent-data-mount-dir", data, "--profile", study]
    command = [sys.executable, "-B", "-X", "importtime", script, *flags]
    imported = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    assert json.loads((data / "settings.json").read_text())["proxy"]["d_model"] == 16
    assert "aira_lib.tasks.designs.scripts" in imported
    assert "torch" not in imported
