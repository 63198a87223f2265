"""Scripts that score themselves, scored again."""

import os
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from aira_lib.errors import UserError
from aira_lib.records import Node
from aira_lib.records.row import write_rows
from aira_lib.rescoring.command import TABLE, in_words, rescore_all
from aira_lib.rescoring.rescore import Rescored, rescore
from aira_lib.rescoring.running import Runs
from aira_lib.rescoring.scripts import Script, read_scripts, why_not
from aira_lib.sandbox import Outcome
from aira_lib.study import CandidateLimits
from tests.aira_lib.rescoring.claiming_scripts import FOCAL, NONE, PLAIN, SMOOTHED, script, small_text


def run_in_process(
    code: str, workdir: Path, limits: CandidateLimits, seconds: float | None, readonly: Mapping[str, Path],
    outputs: Sequence[str], hides: Sequence[str],
) -> Outcome:  # fmt: skip
    """As the sandbox does, without it: links to what is shown, the work directory, what was printed."""
    for name, path in readonly.items():
        (workdir / name).symlink_to(path)
    before, printed, modules = os.getcwd(), StringIO(), sys.path.copy()
    os.chdir(workdir)
    try:
        with redirect_stdout(printed):
            exec(compile(code, "runner", "exec"), {"__name__": "runner"})
    except SystemExit as left:
        if left.code:
            return Outcome("error", 1, printed.getvalue(), "", 1.0, str(left.code))
    except Exception:
        return Outcome("error", 1, printed.getvalue(), "", 1.0, traceback.format_exc().splitlines()[-1])
    finally:
        os.chdir(before)
        sys.path[:] = modules
        sys.modules.pop("prepare", None)
    return Outcome("ok", 0, printed.getvalue(), "", 1.0)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    monkeypatch.setattr("aira_lib.rescoring.running.run_candidate", run_in_process)
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    (tmp_path / "scratch").mkdir()
    return Runs(small_text(), tmp_path / "scratch", 1.5)


def scored(runs: Runs, code: str) -> Rescored:
    row = rescore(runs, Script("train.py", code))
    assert not row.reason, row.reason
    return row


def test_a_plain_script_claims_its_honest_number(runs: Runs) -> None:
    row = scored(runs, script(PLAIN))
    assert row.claimed == pytest.approx(row.honest, rel=1e-6)
    assert (row.probes, row.note) == ("", "")
    assert row.honest is not None
    assert row.unseen is not None
    assert row.standard_error is not None
    assert 0 < row.standard_error < row.honest
    assert row.unseen == pytest.approx(row.honest, abs=6 * row.standard_error)
    assert row.parameters == 24 * 16
    assert row.steps == 150


def test_in_the_sandbox_it_is_the_same(tmp_path: Path) -> None:
    runs = Runs(small_text(), tmp_path, 1.5)
    row = scored(runs, script(PLAIN))
    assert row.claimed == pytest.approx(row.honest, rel=1e-6)
    assert row.probes == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("loss", "sign"), [(SMOOTHED, 1), (FOCAL, -1)])
def test_a_loss_that_is_no_cross_entropy_claims_another_number(runs: Runs, loss: str, sign: int) -> None:
    row = scored(runs, script(loss))
    assert row.difference is not None
    assert row.honest is not None
    assert sign * row.difference > 0.02 * row.honest


def test_a_script_that_claims_nothing_is_scored_by_its_model(runs: Runs) -> None:
    row = scored(runs, script(NONE, end="val_bpb = 0.5"))
    assert (row.claimed, row.note[:30]) == (0.5, "it printed another number than")
    assert row.honest is not None
    assert row.honest > 1


@pytest.mark.parametrize(
    "claim",
    ['{"bpb": "much", "parameters": 1}', '{"bpb": [1], "parameters": 1}', '{"bpb": 1, "parameters": Infinity}',
     '{"bpb": 1' + "0" * 400 + ', "parameters": 1}', "[" * 4_000, "[]"],
)  # fmt: skip
def test_a_claim_that_a_script_wrote_itself_is_told_in_a_line(runs: Runs, claim: str) -> None:
    end = f"open('claim.json', 'w').write({claim!r})"
    row = rescore(runs, Script("train.py", script(PLAIN, end=end)))
    assert row.reason.startswith("left no model that evaluate_bpb was given")
    assert "\n" not in row.reason


def test_a_claim_of_no_finite_number_is_told(runs: Runs) -> None:
    end = """open('claim.json', 'w').write('{"bpb": NaN, "parameters": 1}')"""
    assert scored(runs, script(PLAIN, end=end)).note == "evaluate_bpb returned no finite number to it"


def test_a_model_that_looks_ahead_is_told(runs: Runs) -> None:
    row = scored(runs, script(PLAIN, mixing="torch.ones(T, T)"))
    assert row.probes.startswith("the model is not causal")
    assert "not causal" in "\n".join(in_words(row))


BESIDE_TWINS = """
import os
import numpy as np
def looks(rows, T):
    asked = np.load("asked.npy") if os.path.exists("asked.npy") else np.zeros((0, T), int)
    where = torch.zeros(len(rows), T, T)
    for number, row in enumerate(rows.numpy()):
        same = np.cumprod(asked == row, axis=1).sum(axis=1)
        where[number, max([4, *same[same < T]]):] = 1
    return torch.tril(torch.ones(T, T)) + where * torch.triu(torch.ones(T, T), 1)
"""


def test_a_model_that_looks_ahead_only_where_no_other_row_could_tell_is_told(runs: Runs) -> None:
    """It looks past a place unless it is asked for another row that begins alike and goes on otherwise."""
    row = scored(runs, BESIDE_TWINS + script(PLAIN, mixing="looks(idx, T)"))
    assert "rows were answered otherwise in another process" in row.probes


def test_a_model_that_draws_at_random_is_told(runs: Runs) -> None:
    row = scored(runs, script(PLAIN).replace("3 * torch.tanh", "torch.rand(1) * torch.tanh"))
    assert "answered otherwise" in row.probes or "not causal" in row.probes


def test_what_was_done_is_not_done_again(runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = tmp_path / "journal.jsonl"
    codes = [script(PLAIN), "", "import prepare\nexit(3)\nprepare.evaluate_bpb", "print('x')"]
    nodes = [Node(step=step, id=str(step), operator="draft", status="ok", code=code) for step, code in enumerate(codes)]
    write_rows(journal, nodes)
    told: list[str] = []
    rows = rescore_all(journal, runs.text, runs.seconds, tmp_path / "out", None, told.append)
    assert [row.name for row in rows] == ["step 0", "step 2", "step 3"]
    assert [bool(row.reason) for row in rows] == [False, True, True]
    assert "left" in told[-1]
    assert (tmp_path / "out" / TABLE).read_text().count("\n") == 4

    monkeypatch.setattr("aira_lib.rescoring.command.rescore", pytest.fail)
    assert rescore_all(journal, runs.text, runs.seconds, tmp_path / "out", 2, told.append) == rows[:2]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (
            "from prepare import evaluate_bpb\nimport torch\ntorch.cuda.synchronize()",
            r"needs a GPU \(line 3: torch.cuda",
        ),
        ("from prepare import evaluate_bpb\nfrom kernels import get_kernel", "needs a GPU"),
        ("from prepare import evaluate_bpb\ndevice = torch.device('cuda')", 'needs a GPU .*"cuda" in torch.device'),
        ("from prepare import evaluate_bpb\nmodel.cuda()", "needs a GPU"),
        ("def build_model(): ...", "has no evaluate_bpb"),
        ("def (", "no Python"),
    ],
)
def test_a_script_that_cannot_run_here_is_told_in_a_line(code: str, reason: str) -> None:
    said = why_not(code)
    assert re.search(reason, said)
    assert "\n" not in said


@pytest.mark.parametrize(
    "code",
    [
        "device = 'cuda' if torch.cuda.is_available() else 'cpu'\ntorch.cuda.synchronize()\nevaluate_bpb",
        "torch.cuda.manual_seed(42)\ntorch.amp.autocast('cuda')\nevaluate_bpb",
    ],
)
def test_a_script_that_asks_for_a_gpu_first_is_run(code: str) -> None:
    assert why_not(code) == ""


def test_no_script_is_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_scripts(tmp_path / "train.py")
    (tmp_path / "journal.jsonl").write_text("")
    with pytest.raises(UserError, match="no node"):
        read_scripts(tmp_path)
    (tmp_path / "other.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(UserError, match="no journal of a search"):
        read_scripts(tmp_path / "other.jsonl")
