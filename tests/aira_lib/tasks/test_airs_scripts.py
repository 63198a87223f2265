import json
import os
import time
from pathlib import Path

import pytest

from aira_lib.tasks.airs import InvalidSubmission, ScriptFailure, evaluate, load_task_folder, prepare, read_result
from aira_lib.tasks.airs.scripts import RESULT_MARK, run_script
from tests.aira_lib.tasks.made_folders import made_folder


@pytest.mark.parametrize(
    ("printed", "score"),
    [
        ('Loading\n\n--- EVALUATION RESULT ---\n{\n  "Accuracy": 0.25\n}\n', 0.25),
        (f'{RESULT_MARK}{{"Accuracy": 1}}', 1.0),
        (f'{RESULT_MARK}\n{{"Accuracy": -1e-3}}\nbye {{"Accuracy": 2}}', -0.001),
    ],
)
def test_a_result_is_read(printed: str, score: float) -> None:
    assert read_result(printed, "Accuracy") == score


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        ("", "printed no line"),
        ('{"Accuracy": 1.0}', "printed no line"),
        (RESULT_MARK, "no JSON object"),
        (f"{RESULT_MARK} 0.5", "no JSON object"),
        (f"{RESULT_MARK} [0.5]", "no JSON object"),
        (f"{RESULT_MARK} {{'Accuracy': 0.5}}", "no JSON object"),
        (f"{RESULT_MARK} note {{}}", "no JSON object"),
        (f"{RESULT_MARK} {{}}", "the one key 'Accuracy', found none"),
        (f'{RESULT_MARK} {{"accuracy": 0.5}}', "the one key 'Accuracy', found accuracy"),
        (f'{RESULT_MARK} {{"Accuracy": 0.5, "F1": 0.5}}', "found Accuracy, F1"),
        (f'{RESULT_MARK} {{"Accuracy": 0.5, "Accuracy": 0.9}}', "found Accuracy, Accuracy"),
        (f'{RESULT_MARK} {{"Accuracy": {{"value": 0.5}}}}', "is not a number"),
        (f'{RESULT_MARK} {{"Accuracy": "0.5"}}', "is not a number"),
        (f'{RESULT_MARK} {{"Accuracy": true}}', "is not a number"),
        (f'{RESULT_MARK} {{"Accuracy": null}}', "is not a number"),
        (f'{RESULT_MARK} {{"Accuracy": NaN}}', "not a finite number"),
        (f'{RESULT_MARK} {{"Accuracy": -Infinity}}', "not a finite number"),
        (f'{RESULT_MARK} {{"Accuracy": 1e999}}', "not a finite number"),
        (f'{RESULT_MARK} {{"Accuracy": 1{"0" * 400}}}', "not a finite number"),
        (f'{RESULT_MARK} {{"Accuracy": 1.0}}\n{RESULT_MARK} {{"Accuracy": 0.0}}', "more than once"),
    ],
)
def test_anything_else_is_a_failure_with_its_reason(printed: str, reason: str) -> None:
    with pytest.raises(ScriptFailure, match=reason) as caught:
        read_result(printed, "Accuracy")
    assert "\n" not in str(caught.value)


def test_names_in_a_result_are_bounded_and_clean() -> None:
    names = [f"\x1b[2J\n{number}" for number in range(100_000)]
    with pytest.raises(ScriptFailure, match="found \ufffd") as caught:
        read_result(f"{RESULT_MARK} {json.dumps(dict.fromkeys(names, 1))}", "Accuracy")
    assert len(str(caught.value)) < 650
    assert not {"\n", "\x1b"} & set(str(caught.value))


def script(folder: Path, code: str, name: str = "script.py") -> Path:
    path = folder / name
    path.write_text(code)
    return path


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise KeyError('train')", r"^script.py: exit code 1: KeyError: 'train'$"),
        ("import sys; sys.exit(3)", r"^script.py: exit code 3$"),
        ("import sys; sys.exit('Error: no data\\n')", r"exit code 1: Error: no data$"),
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("import sys; print('x' * 9999, file=sys.stderr); sys.exit(1)", "exit code 1: x{500}$"),
    ],
)
def test_a_failing_script_tells_the_last_line_of_its_stderr(tmp_path: Path, code: str, reason: str) -> None:
    with pytest.raises(ScriptFailure, match=reason):
        run_script(script(tmp_path, code), [], tmp_path, 60)


def test_a_script_past_its_time_dies_with_all_that_it_started(tmp_path: Path) -> None:
    child = "import time, pathlib; time.sleep(3); pathlib.Path('survived').touch()"
    code = f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {child!r}])\ntime.sleep(60)"
    with pytest.raises(ScriptFailure, match=r"ran longer than 1\.5 s"):
        run_script(script(tmp_path, code), [], tmp_path, 1.5)
    time.sleep(3)
    assert not (tmp_path / "survived").exists()


def test_a_script_sees_no_key_and_its_own_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-key")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    (tmp_path / "utils.py").write_text("WORD = 'found'")
    code = "import os, utils; print(utils.WORD, os.environ['OMP_NUM_THREADS'], 'secret-key' in os.environ.values())"
    (tmp_path / "elsewhere").mkdir()
    assert run_script(script(tmp_path, code), [], tmp_path / "elsewhere", 60).split() == ["found", "3", "False"]
    assert not (tmp_path / "__pycache__").exists()


def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    made = tuple(tmp_path / name for name in ("shared", "data", "log"))
    for folder in made:
        folder.mkdir()
    return made[0], made[1], made[2]


def test_a_submission_goes_through_all_scripts(tmp_path: Path) -> None:
    task = load_task_folder(made_folder(tmp_path))
    shared, data, log = folders(tmp_path)
    prepare(task, shared, data, log)
    assert sorted(os.listdir(data)) == ["test", "train"]
    assert "parity" not in (data / "test/data.csv").read_text()
    bits = (data / "test/data.csv").read_text().split()[1:]
    right = [str(text.count("1") % 2) for text in bits]
    answers = ["0" if i < 50 and answer == "1" else answer for i, answer in enumerate(right)]
    (log / "submission.csv").write_text("\n".join(["parity", *answers]))
    wrong = right[:50].count("1")
    assert 0 < wrong < 50
    assert evaluate(task, shared, data, log) == pytest.approx(1 - wrong / 200)
    (log / "submission.csv").write_text("\n".join(["parity", *answers[:-1]]))
    with pytest.raises(InvalidSubmission, match="has 199 rows, but the test data have 200"):
        evaluate(task, shared, data, log)


def test_a_missing_submission_is_a_failure_and_no_score(tmp_path: Path) -> None:
    task = load_task_folder(made_folder(tmp_path))
    shared, data, log = folders(tmp_path)
    with pytest.raises(ScriptFailure, match=r"evaluate_prepare\.py: exit code 1: FileNotFoundError"):
        evaluate(task, shared, data, log)
