import json
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aira_lib.search.stage as stage
from aira_lib.agents import Prompt, Reply
from aira_lib.architecture.pattern import Layers, parse
from aira_lib.datasets.mad import splits
from aira_lib.errors import UserError
from aira_lib.proxy.cost import task_settings
from aira_lib.records import PAGE, Evaluation, Node, read_rows
from aira_lib.search.scratch import scratch_folder
from aira_lib.search.stage import search
from aira_lib.study import AgentSection, CandidateLimits, MADSettings, ProxySection, TaskSection
from aira_lib.study.agent import EvolutionSettings, TreeSettings
from aira_lib.tasks.designs.data import data_overview, write_train_data
from tests.builders import SilentLog, work_in

TASK = TaskSection(layers=6)
PROXY = ProxySection(
    tasks=("memorization", "in-context-recall"),
    difficulty={"in-context-recall": MADSettings(seq_len=16)},
    train_examples=10, test_examples=4,
)  # fmt: skip
LIMITS = CandidateLimits(seconds=30, memory_mb=256)
AGENT = AgentSection(steps=9, n_drafts=3, limits=LIMITS)
TEST = 0.48151623


class Proxy:
    """A cheap evaluation: the share of attention layers, and a test fitness to be recognised by."""

    def __init__(self) -> None:
        self.calls: list[Layers] = []

    def __call__(self, layers: Layers, section: ProxySection, *, seed: int, threads: int, progress: Any) -> Evaluation:
        assert seed == section.seed
        self.calls.append(layers)
        progress(1, 2, "half")
        share = layers.count("A") / len(layers)
        if layers[0] == "M":
            return Evaluation(status="failed", reason="diverged", seconds=1.0)
        return Evaluation(status="ok", validation=share, test=TEST, test_by_task={"x": TEST}, seconds=1.0)


class Scripted:
    """A model whose programs are given; keeps the prompts."""

    name = "scripted"

    def __init__(self, *programs: str | Callable[[], str]) -> None:
        self.programs, self.prompts = list(programs), list[str]()

    def reply(self, prompt: Prompt, seed: int) -> Reply:
        self.prompts.append(prompt.text)
        program = self.programs[min(len(self.prompts), len(self.programs)) - 1]
        return Reply(f"A plan.\n```python\n{program}\n```\n" if isinstance(program, str) else program())


def submit(design: str) -> str:
    return f"open('submission.csv', 'w').write('architecture\\n{design}\\n')"


def nodes_of(path: Path) -> list[Node]:
    return read_rows(path / "journal.jsonl", Node)


def without_seconds(nodes: list[Node]) -> list[dict[str, Any]]:
    def strip(value: Any) -> Any:
        return {k: strip(v) for k, v in value.items() if k != "seconds"} if isinstance(value, dict) else value

    return [strip(node.model_dump()) for node in nodes]


def scripted(monkeypatch: pytest.MonkeyPatch, *programs: str | Callable[[], str]) -> Scripted:
    model = Scripted(*programs)
    monkeypatch.setattr(stage, "model_named", lambda *_: model)
    return model


class Killed(BaseException):
    """What a kill looks like from inside."""


EVOLUTION = EvolutionSettings(
    islands=2, individuals=1, crossover_after=1, crossover_probability=0.8, migration_probability=0.7
)


@pytest.mark.parametrize(
    ("agent", "operators", "cuts"),
    [
        (AGENT, {"draft", "improve"}, range(9)),
        (AGENT.model_copy(update={"scaffold": "tree", "tree": TreeSettings(num_children=2)}),
         {"draft", "improve"}, (1, 4, 7)),
        (AGENT.model_copy(update={"scaffold": "evolutionary", "steps": 14, "evolution": EVOLUTION}),
         {"draft", "crossover"}, (1, 5, 8, 12)),
        (AGENT.model_copy(update={"scaffold": "one-shot"}), {"draft"}, (0,)),
    ],
    ids=["greedy", "tree", "evolutionary", "one-shot"],
)  # fmt: skip
def test_interrupted_after_any_node_it_ends_as_if_it_had_not_been(
    agent: AgentSection, operators: set[str], cuts: Sequence[int], tmp_path: Path
) -> None:
    whole = work_in(tmp_path / "whole")
    search(TASK, PROXY, agent, 7, whole, Proxy())
    expected = nodes_of(whole.path)
    lines = (whole.path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    assert {node.operator for node in expected} >= operators
    for cut in cuts:
        work = work_in(tmp_path / f"cut{cut}")
        # The node after the cut was being written when the search was killed.
        (work.path / "journal.jsonl").write_bytes(b"".join(lines[:cut]) + lines[cut][: 11 * cut])
        proxy = Proxy()
        search(TASK, PROXY, agent, 7, work, proxy)
        assert without_seconds(nodes_of(work.path)) == without_seconds(expected)
        assert len(proxy.calls) <= len(expected) - cut
        first, second = (json.loads((p / "search.json").read_text()) for p in (whole.path, work.path))
        assert {**first, "seconds": 0} == {**second, "seconds": 0}


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


def test_a_kill_during_the_evaluation_repeats_only_that_step(tmp_path: Path) -> None:
    work, proxy = work_in(tmp_path), Proxy()

    def killed(layers: Layers, *args: Any, **kwargs: Any) -> Evaluation:
        if len(proxy.calls) == 3:
            raise Killed
        return proxy(layers, *args, **kwargs)

    with pytest.raises(Killed):
        search(TASK, PROXY, AGENT, 7, work, killed)
    assert len(nodes_of(tmp_path)) >= 3
    search(TASK, PROXY, AGENT, 7, work, Proxy())
    whole = work_in(tmp_path / "whole")
    search(TASK, PROXY, AGENT, 7, whole, Proxy())
    assert without_seconds(nodes_of(tmp_path)) == without_seconds(nodes_of(whole.path))


def test_a_recorded_search_repeats_node_for_node_without_its_model(tmp_path: Path) -> None:
    first = work_in(tmp_path / "first")
    search(TASK, PROXY, AGENT.model_copy(update={"record_replies": True}), 7, first, Proxy())
    assert len((first.path / "replies.jsonl").read_text().splitlines()) == AGENT.steps
    again = work_in(tmp_path / "again")
    search(TASK, PROXY, AGENT.model_copy(update={"model": f"replay:{first.path}"}), 7, again, Proxy())
    assert without_seconds(nodes_of(again.path)) == without_seconds(nodes_of(first.path))
    assert again.stand_ins[0].what == "recorded replies"
    with pytest.raises(UserError, match="no reply was recorded"):
        search(TASK, PROXY, AGENT.model_copy(update={"model": f"replay:{first.path}"}), 8, work_in(tmp_path), Proxy())


@pytest.mark.parametrize(
    ("budget", "stopped"), [({"max_tokens_total": 25}, "tokens"), ({"max_dollars": 1.25}, "dollars")]
)
def test_a_budget_stops_a_search_and_counts_earlier_sittings(
    budget: dict[str, Any], stopped: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dear(Scripted):
        def reply(self, prompt: Prompt, seed: int) -> Reply:
            if len(self.prompts) == 2 and not resumed:
                raise Killed
            return Reply(super().reply(prompt, seed).text, {"calls": 1.0, "total_tokens": 10.0, "dollars": 0.5})

    resumed = False
    model = Dear(submit("6A"))
    monkeypatch.setattr(stage, "model_named", lambda *_: model)
    agent = AGENT.model_copy(update=budget)
    with pytest.raises(Killed):
        search(TASK, PROXY, agent, 0, work_in(tmp_path), Proxy())
    resumed = True
    for _ in range(2):
        search(TASK, PROXY, agent, 0, work_in(tmp_path), Proxy())
        summary = json.loads((tmp_path / "search.json").read_text())
        assert (summary["stopped_by"], summary["steps"]) == (stopped, 3)
        assert summary["spent"] == {"tokens": 30, "dollars": 1.5}
    assert len(model.prompts) == 3


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


def test_a_finished_search_does_nothing_more(tmp_path: Path) -> None:
    work, proxy = work_in(tmp_path), Proxy()
    search(TASK, PROXY, AGENT, 0, work, proxy)
    before, calls = (tmp_path / "journal.jsonl").read_bytes(), len(proxy.calls)
    search(TASK, PROXY, AGENT, 0, work, proxy)
    assert (tmp_path / "journal.jsonl").read_bytes() == before
    assert len(proxy.calls) == calls


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


def test_hours_are_a_limit_that_counts_earlier_sittings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = scripted(monkeypatch, "while True: pass")
    agent = AGENT.model_copy(update={"hours": 0.5 / 3600})
    search(TASK, PROXY, agent, 0, work_in(tmp_path), Proxy())
    (node,) = nodes_of(tmp_path)
    assert "(timeout)" in node.reason
    assert json.loads((tmp_path / "search.json").read_text())["stopped_by"] == "time"
    search(TASK, PROXY, agent, 0, work_in(tmp_path), Proxy())
    assert len(model.prompts) == 1


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


def test_a_model_out_of_reach_stops_the_search_and_keeps_its_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable() -> str:
        raise UserError("model 'x': status 401; check the key in X_API_KEY")

    scripted(monkeypatch, submit("6A"), unreachable)
    with pytest.raises(UserError, match="X_API_KEY"):
        search(TASK, PROXY, AGENT, 0, work_in(tmp_path), Proxy())
    assert len(nodes_of(tmp_path)) == 1


def test_an_unknown_task_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean"):
        search(TaskSection(name="NeuralArchitectureSearchMAD3Primitives"), PROXY, AGENT, 0, work_in(tmp_path), Proxy())


def test_what_a_killed_search_left_is_deleted_but_not_what_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "aira-search-left").mkdir()
    (tmp_path / "aira-search-left" / "file").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "aira-search-link").symlink_to(tmp_path / "other")
    with scratch_folder() as first, scratch_folder() as second:
        assert {path.name for path in tmp_path.iterdir()} == {first.name, second.name, "other", "aira-search-link"}
    assert {path.name for path in tmp_path.iterdir()} == {"other", "aira-search-link"}


def test_nothing_stays_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    scripted(monkeypatch, "import os\nos.mkdir('closed', 0)\n" + submit("6A"))
    search(TASK, PROXY, AGENT.model_copy(update={"steps": 2}), 0, work_in(tmp_path / "work"), Proxy())
    assert list(scratch.iterdir()) == []
    shutil.rmtree(scratch)
