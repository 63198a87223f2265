"""The worst scorer that there could be runs what is submitted: what the sandbox still keeps from it."""

import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from aira_lib.sandbox import closes_files, isolation
from aira_lib.tasks.airs import InvalidSubmission, ScriptFailure, load_task_folder, prepare
from aira_lib.tasks.airs.form import Form
from aira_lib.tasks.airs.scoring import Scorer
from tests.aira_lib.search.third_party_folder import NAME, third_party_folder

RUNS_ANYTHING = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--submission-file")
exec(open(parser.parse_args().submission_file).read())
"""
RESULT = "print('--- EVALUATION RESULT ---'); print('{\"MeanAbsoluteError\": 1.5}')\n"


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    where = tmp_path_factory.mktemp("scorer")
    folder, shared = third_party_folder(where, evaluate=RUNS_ANYTHING)
    for name in ("prepared", "log", "scratch"):
        (where / name).mkdir()
    task = load_task_folder(folder)
    assert task.name == NAME
    prepare(task, shared, where / "prepared", where / "log")
    return Scorer(task, shared, where / "prepared", where / "scratch")


def contents(*folders: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


def test_a_submission_goes_through_both_scripts_and_leaves_nothing(scorer: Scorer) -> None:
    program = "import os; assert os.path.exists('data/test_with_labels/rows.csv'), os.listdir('data')\n" + RESULT
    assert scorer.test({"submission.csv": program.encode()}) == 1.5
    assert list(scorer.scratch.iterdir()) == []
    assert not (scorer.prepared / "test_with_labels").exists()


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("while True: pass", r"^evaluate\.py: ran longer than 2 s"),
        ("import os; os.kill(os.getpid(), 11)", r"^evaluate\.py: killed by SIGSEGV"),
        (RESULT * 2, "more than once"),
        ("print('x' * (5 << 20)); " + RESULT, "its output cannot be read"),
        ("import os; os.unlink('stdout'); os.symlink('/etc/passwd', 'stdout')", "its output cannot be read"),
        ("raise ValueError('first\\nsecond')", r"^evaluate\.py: exit code 1: second$"),
    ],
)
def test_whatever_it_does_is_a_failure_with_one_line(scorer: Scorer, program: str, reason: str) -> None:
    started = time.monotonic()
    with pytest.raises(ScriptFailure, match=reason) as failure:
        scorer.test({"submission.csv": program.encode()}, 2 if "while" in program else 60)
    assert "\n" not in str(failure.value)
    assert time.monotonic() - started < 60
    assert list(scorer.scratch.iterdir()) == []


def test_it_reaches_neither_network_nor_other_files(scorer: Scorer, tmp_path: Path) -> None:
    if not closes_files(isolation()):
        pytest.skip("this machine cannot close the file system")
    (tmp_path / "secret").write_text("key")
    before = contents(scorer.folder.path, scorer.shared, scorer.prepared)
    with socket.create_server(("127.0.0.1", 0)) as server:
        attempts = [
            f"socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 1)",
            "open('task/utils.py', 'a')", "open('raw/x', 'w')", "open('data/train/rows.csv', 'w')",
            "open('shared/somebody/houses/default/train.csv', 'a')",
            f"open({str(tmp_path / 'secret')!r})", f"open({str(tmp_path / 'new')!r}, 'w')",
        ]  # fmt: skip
        lines = ["import socket", "reached = []"]
        for attempt in attempts:
            lines += ["try:", f"    {attempt}", f"    reached.append({attempt!r})", "except OSError: pass"]
        lines += ["if reached: raise SystemExit(str(reached))", "raise SystemExit('nothing was reached')"]
        with pytest.raises(ScriptFailure, match=r"exit code 1: nothing was reached$"):
            scorer.test({"submission.csv": "\n".join(lines).encode()})
    assert contents(scorer.folder.path, scorer.shared, scorer.prepared) == before


def test_what_it_writes_beside_raw_data_is_there_for_it_and_gone_afterwards(scorer: Scorer) -> None:
    before = contents(scorer.shared)
    program = (
        "open('shared/somebody/houses/default/cache.arrow', 'w').write('x')\n"
        "assert open('shared/somebody/houses/default/cache.arrow').read() == 'x'\n"
        "assert open('shared/somebody/houses/default/train.csv').read().startswith('area')\n"
    )
    assert scorer.test({"submission.csv": (program + RESULT).encode()}) == 1.5
    assert contents(scorer.shared) == before


def test_a_submission_far_from_its_form_is_refused_before_anything_runs(scorer: Scorer) -> None:
    bounded = replace(scorer, form=Form(20, ("price",), ((),), 8.0), folder=replace(scorer.folder, path=Path("/none")))
    for content, why in ((b"price\nnan\n", "lacks a finite number"), (b"a," * 9_999, "columns, where 1 column is")):
        with pytest.raises(InvalidSubmission, match=why):
            bounded.test({"submission.csv": content})


def test_its_time_is_bounded_by_what_a_perfect_submission_takes(scorer: Scorer) -> None:
    with pytest.raises(ScriptFailure, match=r"ran longer than 1 s"):
        replace(scorer, seconds=1.0).test({"submission.csv": b"while True: pass"})


def test_a_refusal_is_told_from_a_failure(scorer: Scorer) -> None:
    with pytest.raises(InvalidSubmission, match=r"exit code 2: evaluate\.py: error: 3 rows"):
        scorer.test({"submission.csv": b"parser.error('3 rows')"})
    with pytest.raises(ScriptFailure, match=r"^evaluate_prepare\.py: exit code 1: FileNotFoundError"):
        scorer.test({"other.csv": b""})
