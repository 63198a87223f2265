import json
import re
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from aira_lib.architecture.pattern import parse
from aira_lib.datasets.mad import splits
from aira_lib.errors import UserError
from aira_lib.proxy.cost import task_settings
from aira_lib.records import PAGE, Evaluation
from aira_lib.search.stage import search
from aira_lib.study import AgentSection, TaskSection
from aira_lib.tasks.designs.data import data_overview, write_train_data
from tests.aira_lib.search.cheap_searches import (
    AGENT,
    LIMITS,
    PROXY,
    TASK,
    TEST,
    Proxy,
    nodes_of,
    scripted,
    submit,
)
from tests.builders import SilentLog, work_in


def patch(old: str, new: str) -> str:
    return f"Why.\nCHANGE: {old} to {new}\n<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"


def test_patches_change_the_parents_program_and_record_change_and_gain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(
        monkeypatch,
        "n = 3\nopen('submission.csv', 'w').write(f'architecture\\n{n}A-{6 - n}M')",
        lambda: patch("n = 3", "n = 5"), lambda: patch("n = 4", "n = 6"), lambda: patch("n = 5", "n = 4; 1 / 0"),
        lambda: patch("n = 4; 1 / 0", "n = 4"),
    )  # fmt: skip
    agent = AGENT.model_copy(update={"steps": 5, "n_drafts": 1, "edit": "patch", "one_change": True, "tries": 1})
    search(TASK, PROXY, agent, 0, work_in(tmp_path), Proxy())
    draft, better, misfit, broken, mended = nodes_of(tmp_path)
    assert (draft.design, draft.change, draft.gain) == ("3A-3M", "", None)
    assert (better.design, better.change, better.code) == ("5A-M", "n = 3 to n = 5", draft.code.replace("3", "5", 1))
    assert better.gain == pytest.approx(2 / 6)
    assert (misfit.status, misfit.code, misfit.gain) == ("failed", better.code, None)
    assert "the patch does not apply: the lines of search/replace block 1 are not in the program" in misfit.reason
    assert "<<<<<<< SEARCH" in misfit.plan
    assert (broken.operator, broken.change) == ("debug", "n = 5 to n = 4; 1 / 0")
    assert (mended.operator, mended.design, mended.change) == ("debug", "4A-2M", broken.change)
    assert mended.gain == pytest.approx(-1 / 6)


def test_the_offline_agent_answers_with_patches_that_apply(tmp_path: Path) -> None:
    agent = AGENT.model_copy(update={"steps": 12, "edit": "patch"})
    search(TASK, PROXY, agent, 3, work_in(tmp_path), Proxy())
    changed = [node for node in nodes_of(tmp_path) if node.operator != "draft"]
    assert all(node.change.startswith("[offline agent]") for node in changed)
    assert any(node.status == "ok" and node.gain is not None for node in changed)
    assert not any("patch" in node.reason for node in changed)


def test_no_prompt_holds_the_test_fitness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = scripted(monkeypatch, submit("6A"), submit("5A-M"), "1 / 0", submit("4A-2M"), submit("3A-3M"))
    search(TASK, PROXY, AGENT.model_copy(update={"tries": 1}), 0, work_in(tmp_path), Proxy())
    assert next(node.test for node in nodes_of(tmp_path) if node.status == "ok") == TEST
    assert len(model.prompts) == AGENT.steps
    assert any("Improve the best design" in prompt for prompt in model.prompts)
    assert any("A step failed" in prompt for prompt in model.prompts)
    assert not any(str(TEST)[:6] in prompt for prompt in model.prompts)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("while True: pass", r"\(timeout\): ran longer than 1 s"),
        ("x = bytearray(10**10)", r"\(memory\)"),
        ("raise SystemExit('enough')", r"\(error\): exit code 1: enough"),
        ("print('nothing')", "submission.csv was not written"),
        ("import os; os.symlink('/etc/passwd', 'submission.csv')", "links are not followed"),
        ("open('submission.csv', 'w').write('layer\\n' + 'A\\n' * 10**6)", "larger than 65536 bytes"),
        (submit("5A"), "has 5 layers, but it must have exactly 6"),
        (submit("5A-X"), "unknown primitive 'X'"),
        (submit("6M"), "could not be scored: diverged"),
        (lambda: "I refuse.", "no fenced block"),
        (lambda: "\ud800 \u2028 ```python\nlayers = [", "cut off"),
        ("import os; os.write(1, b'\\xc2\\x85\\xe2\\x80\\xa8\\xff'); 1 / 0", "ZeroDivisionError"),
        (f"import json; json.load(open('/proc/{10**9}/x'))", "FileNotFoundError"),
    ],
)
def test_a_bad_candidate_is_a_failed_node_with_its_reason(
    program: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, program, submit("6A"))
    limits = LIMITS.model_copy(update={"seconds": 1.0})
    agent = AGENT.model_copy(update={"steps": 2, "tries": 1, "limits": limits})
    search(TASK, PROXY, agent, 0, work_in(tmp_path), Proxy())
    failed, good = nodes_of(tmp_path)
    assert (failed.status, failed.validation) == ("failed", None)
    assert re.search(reason, failed.reason), failed.reason
    assert failed.code
    assert (good.status, good.design) == ("ok", "6A")


def test_nan_neither_wins_nor_reaches_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, submit("6A"))
    agent = AGENT.model_copy(update={"steps": 1})
    search(
        TASK, PROXY, agent, 0, work_in(tmp_path),
        lambda *_, **__: Evaluation(status="ok", validation=float("nan"), test=0.5),
    )  # fmt: skip
    (node,) = nodes_of(tmp_path)
    assert (node.status, node.evaluation and node.evaluation.status) == ("failed", "failed")
    assert "finite" in node.reason


def test_a_design_is_scored_once_a_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, submit("6A"), submit("A-A-A-A-A-A"), submit("5A-M"), submit("2(3A)"))
    proxy = Proxy()
    search(TASK, PROXY, AGENT.model_copy(update={"steps": 4}), 0, work_in(tmp_path), proxy)
    nodes = nodes_of(tmp_path)
    assert proxy.calls == [parse("6A"), parse("5A-M")]
    assert [node.reason for node in nodes] == ["", "scored at step 0", "", "scored at step 0"]
    assert {node.validation for node in nodes if node.design == "6A"} == {1.0}
    assert nodes[1].evaluation is not None
    assert nodes[1].evaluation.seconds == 0
    assert json.loads((tmp_path / "search.json").read_text())["evaluations_reused"] == 2


def test_candidates_see_the_training_split_and_nothing_held_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import glob; print(sorted(glob.glob('**', recursive=True)))\n" + submit("6A")
    scripted(monkeypatch, program)
    search(TASK, PROXY, AGENT.model_copy(update={"steps": 1}), 0, work_in(tmp_path), Proxy())
    (node,) = nodes_of(tmp_path)
    names = ["candidate.py", "data", "data/train", "data/train/in-context-recall.npz", "data/train/memorization.npz"]
    assert node.output == str(names)


def test_the_training_files_are_what_the_proxy_trains_on(tmp_path: Path) -> None:
    write_train_data(PROXY, tmp_path / "data")
    for name in PROXY.tasks:
        data = splits(task_settings(PROXY, name), 10, 4, PROXY.validation_fraction, PROXY.seed)
        with np.load(tmp_path / "data" / "train" / f"{name}.npz") as arrays:
            assert np.array_equal(arrays["inputs"], data.train.inputs)
            assert np.array_equal(arrays["targets"], data.train.targets)
            assert len(arrays["inputs"]) == 7
    assert "./data/train/memorization.npz: `inputs` and `targets`, int64, 7 rows" in data_overview(tmp_path / "data")


def test_what_is_logged_and_said(tmp_path: Path) -> None:
    work = work_in(tmp_path)
    pushed: list[tuple[str, int]] = []  # a file's name, and the nodes in the journal at that moment
    told: list[tuple[float, float]] = []
    work.push = lambda name: pushed.append((name, len(nodes_of(tmp_path))))
    work.progress = lambda done, total, note: told.append((done, total))
    search(TASK, PROXY, AGENT, 1, work, Proxy())
    assert [entry.instead_of for entry in work.stand_ins] == [
        "a large language model",
        "MAD at the size of the paper profile",
    ]
    assert [nodes for name, nodes in pushed if name == "journal.jsonl"] == list(range(1, AGENT.steps + 1))
    assert {name for name, _ in pushed} == {"journal.jsonl", PAGE}
    assert pushed[-1] == (PAGE, AGENT.steps)
    assert told == sorted(told)
    assert told[-1] == (AGENT.steps, AGENT.steps)
    assert isinstance(work.log, SilentLog)
    metrics = [value for kind, value in work.log.logged if kind == "metrics"]
    assert [step for step, _ in metrics] == list(range(AGENT.steps))
    best = [values["best_validation"] for _, values in metrics if "best_validation" in values]
    assert best == sorted(best)
    assert {values["test_hidden_from_agent"] for _, values in metrics if "validation" in values} == {TEST}


def test_one_shot_is_one_step(tmp_path: Path) -> None:
    search(TASK, PROXY, AgentSection(scaffold="one-shot", limits=LIMITS), 0, work_in(tmp_path), Proxy())
    assert len(nodes_of(tmp_path)) == 1


def test_ids_differ_between_searches(tmp_path: Path) -> None:
    for seed in (0, 1):
        search(TASK, PROXY, AGENT, seed, work_in(tmp_path / str(seed)), Proxy())
    ids = [node.id for seed in (0, 1) for node in nodes_of(tmp_path / str(seed))]
    assert len(set(ids)) == 2 * AGENT.steps


def test_an_unknown_task_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean"):
        search(TaskSection(name="NeuralArchitectureSearchMAD3Primitives"), PROXY, AGENT, 0, work_in(tmp_path), Proxy())


def test_nothing_stays_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    scripted(monkeypatch, "import os\nos.mkdir('closed', 0)\n" + submit("6A"))
    search(TASK, PROXY, AGENT.model_copy(update={"steps": 2}), 0, work_in(tmp_path / "work"), Proxy())
    assert list(scratch.iterdir()) == []
    shutil.rmtree(scratch)


def test_prompts_name_further_packages_and_candidates_import_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = scripted(monkeypatch, f"import yaml\nprint(yaml.safe_load('a: [1]'))\n{submit('6A')}")
    agent = AGENT.model_copy(update={"steps": 1})
    with_them = TaskSection(layers=6, packages=("pyyaml", "numpy"))
    search(with_them, PROXY, agent, 0, work_in(tmp_path / "a"), Proxy())
    (node,) = nodes_of(tmp_path / "a")
    assert (node.status, node.output) == ("ok", "{'a': [1]}")
    assert f" and PyYAML {version('pyyaml')} (import yaml) are there." in model.prompts[0]
    assert model.prompts[0].count(f"numpy {version('numpy')}") == 1, "it is named with those often used"
    search(TASK, PROXY, agent, 0, work_in(tmp_path / "b"), Proxy())
    assert "PyYAML" not in model.prompts[1]


def test_a_package_that_the_sandbox_hides_or_nobody_has_stops_a_search_before_its_first_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = scripted(monkeypatch, submit("6A"))
    for name in ("aira", "no-such-package-zz"):
        with pytest.raises(UserError, match=f"task.packages: '{name}'"):
            search(TaskSection(layers=6, packages=(name,)), PROXY, AGENT, 0, work_in(tmp_path / name), Proxy())
    assert model.prompts == []
