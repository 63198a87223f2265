"""A search with a noise floor: its task scores a number that the program names, shifted by the seed."""

import json
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

import aira_lib.search.stage as stage
from aira_lib.agents import Prompt, Reply, best_node
from aira_lib.agents.noise import floor_of
from aira_lib.errors import UserError
from aira_lib.records import Node, SeedRun, read_rows
from aira_lib.search.stage import search
from aira_lib.study import AgentSection, ProxySection, TaskSection, changed
from aira_lib.study.agent import EvolutionSettings, NoiseSettings, TreeSettings
from aira_lib.study.reading import parse_study
from aira_lib.tasks import SearchTask
from aira_lib.tasks.family import Opening, TaskFamily
from aira_lib.tasks.live import CandidateFailure, Progress, Scored
from aira_lib.tasks.section import family_of
from tests.aira_lib.search.cheap_searches import Killed, nodes_of, without_seconds
from tests.builders import work_in

BASELINE = "LR = 1.0\n"
SHIFTS = {7: 0.0, 8: 0.04, 9: -0.02, 10: 0.01}
MEAN, SIGMA = 1.0 + statistics.fmean([0.0, 0.04, -0.02]), statistics.stdev([0.0, 0.04, -0.02])
AGENT = AgentSection(name="greedy-scripted", model="scripted", steps=4, n_drafts=1, debug_probability=0.0, tries=1)


class Numbers:
    """The fitness is what the program says, and lower is better; `calls` are (what, seed)."""

    facts = SearchTask("Numbers", (), metric="bpb", lower_is_better=True)
    layers, prompts, artefact, is_artefact = 0, "program", "train.py", True
    description, data_overview, data = "Numbers.", "No files.", Path()
    baseline, seed = BASELINE, 7

    def __init__(self, fail: Callable[[str, int], None] = lambda what, seed: None) -> None:
        self.calls, self._fail = list[tuple[str, int]](), fail

    def collect(self, workdir: Path) -> Mapping[str, bytes]:
        raise AssertionError("a program that is the artefact is not run")

    def score(
        self, submitted: Mapping[str, bytes], nodes: Sequence[Node], seconds_left: object, progress: Progress
    ) -> Scored:
        return self._score("step", submitted["train.py"].decode(), self.seed)

    def score_baseline(self, seed: int, seconds_left: Callable[[], float], progress: Progress) -> Scored:
        assert seconds_left() > 0
        progress(1, 2, "half")
        return self._score("baseline", self.baseline, seed)

    def score_again(
        self, submitted: Mapping[str, bytes], seed: int, seconds_left: object, progress: Progress
    ) -> Scored:
        return self._score("winner", submitted["train.py"].decode(), seed)

    def _score(self, what: str, program: str, seed: int) -> Scored:
        self.calls.append((what, seed))
        self._fail(what, seed)
        value = float(program.split("=")[1].split()[0])
        return Scored(validation=value + SHIFTS[seed], measures={"steps": 10.0 + seed})


class Apart(Numbers):
    """The same, with a hidden test that is run apart: the validation of seed 10, or what a program is told to do."""

    tested_apart = True

    def score_test(self, submitted: Mapping[str, bytes], seconds_left: object, progress: Progress) -> float:
        program = submitted["train.py"].decode()
        return self._score("test", program, 10).validation or math.nan


class NumbersFamily(TaskFamily):
    what, has_designs = "a task of numbers", False

    def __init__(self, opened: Numbers) -> None:
        self.opened = opened

    def names(self) -> Sequence[str]:
        return ("Numbers",)

    def task(self, section: TaskSection) -> SearchTask:
        return Numbers.facts

    def identity(self, section: TaskSection, proxy: ProxySection) -> dict[str, Any]:
        return {}

    def has_baseline(self, section: TaskSection) -> bool:
        return True

    def open(self, section: TaskSection, proxy: ProxySection, opening: Opening) -> Any:
        return self.opened


class Replies:
    """A model that says one text after the other, by the number of the call."""

    name = "scripted"

    def __init__(self, *texts: str) -> None:
        self.texts, self.prompts = texts, list[str]()

    def reply(self, prompt: Prompt, seed: int) -> Reply:
        self.prompts.append(prompt.text)
        return Reply(self.texts[len(self.prompts) - 1])


def whole(value: float) -> str:
    return f"A plan.\n```python\nLR = {value}\n```\n"


def patch(old: float, new: float) -> str:
    return f"Why.\nCHANGE: LR to {new}\n<<<<<<< SEARCH\nLR = {old}\n=======\nLR = {new}\n>>>>>>> REPLACE\n"


def run(where: Path, agent: AgentSection, task: Numbers, *texts: str) -> Replies:
    model = Replies(*texts)
    with pytest.MonkeyPatch.context() as here:
        here.setattr(stage, "family_of", lambda section: NumbersFamily(task))
        here.setattr(stage, "model_named", lambda *_: model)
        search(TaskSection(name="Numbers"), ProxySection(), agent, 0, work_in(where))
    return model


def summary(where: Path) -> dict[str, Any]:
    return dict(json.loads((where / "search.json").read_text()))


def test_the_baseline_is_scored_on_three_seeds_before_the_first_step(tmp_path: Path) -> None:
    task = Numbers()
    model = run(tmp_path, AGENT, task, whole(0.9), *[whole(1.1)] * 3)
    assert task.calls[:4] == [("baseline", 7), ("baseline", 8), ("baseline", 9), ("step", 7)]
    nodes = nodes_of(tmp_path)
    assert [node.step for node in nodes] == list(range(1 + AGENT.steps))
    assert (nodes[0].operator, nodes[0].code) == ("baseline", BASELINE)
    assert nodes[0].validation == pytest.approx(MEAN)
    assert nodes[0].measures["steps"] == pytest.approx(18.0)
    floor = floor_of(nodes, 2.0)
    assert floor is not None
    assert floor.gain == pytest.approx(2 * SIGMA)
    told = summary(tmp_path)["noise"]
    assert told["baseline"]["scores"] == pytest.approx({"7": 1.0, "8": 1.04, "9": 0.98})
    assert (told["baseline"]["mean"], told["baseline"]["sigma"]) == pytest.approx((MEAN, SIGMA))
    assert told["floor"] == pytest.approx(2 * SIGMA)
    assert summary(tmp_path)["steps"] == AGENT.steps  # the baseline is none of the agent's
    assert all(f"mean {MEAN:.6g}" in prompt and f"more than {2 * SIGMA:.3g}" in prompt for prompt in model.prompts)


def test_a_gain_within_noise_is_recorded_and_does_not_become_the_best(tmp_path: Path) -> None:
    run(tmp_path, AGENT, Numbers(), whole(0.96), whole(0.9), whole(0.85), whole(1.3))
    baseline, small, large, smaller, worse = nodes_of(tmp_path)
    assert (small.status, small.within_noise, small.parents) == ("ok", True, ())
    assert small.reason.startswith("within noise: 0.0467 better than step 0")
    assert (large.within_noise, large.parents) == (False, (baseline.id,))  # greedy went on from the baseline
    assert (smaller.within_noise, smaller.parents) == (True, (large.id,))
    assert (worse.within_noise, worse.reason, worse.parents) == (False, "", (large.id,))
    best = best_node(nodes_of(tmp_path), lower_is_better=True)
    assert best == large
    assert summary(tmp_path)["best"]["id"] == large.id
    assert summary(tmp_path)["noise"]["within_noise"] == 2


def test_the_hidden_test_sees_what_is_better_beyond_the_noise_alone(tmp_path: Path) -> None:
    task = Apart()
    run(tmp_path, AGENT, task, whole(0.96), whole(0.9), whole(0.85), whole(0.7))
    assert [node.test for node in nodes_of(tmp_path)] == [None, None, pytest.approx(0.91), None, pytest.approx(0.71)]
    assert [what for what, _ in task.calls[3:-2]] == ["step", "step", "test", "step", "step", "test"]
    assert summary(tmp_path)["best"]["test"] == pytest.approx(0.71)


def test_without_a_floor_the_hidden_test_sees_whatever_is_better_than_the_best(tmp_path: Path) -> None:
    agent = AGENT.model_copy(update={"noise": NoiseSettings(baseline_seeds=0)})
    run(tmp_path, agent, Apart(), whole(0.96), whole(0.97), whole(0.96), whole(0.95))
    assert [node.test for node in nodes_of(tmp_path)] == [pytest.approx(0.97), None, None, pytest.approx(0.96)]


@pytest.mark.parametrize("failing", ["raises", "no number"])
def test_a_program_that_fails_in_its_final_test_has_no_score(tmp_path: Path, failing: str) -> None:
    task = Apart(lambda what, seed: _refuse(what) if failing == "raises" else None)
    if failing == "no number":
        task.score_test = lambda *_: math.inf  # type: ignore[method-assign]
    run(tmp_path, AGENT, task, *[whole(0.5)] * 4)
    _, *made = nodes_of(tmp_path)
    why = "in the final test: it broke" if failing == "raises" else "a score is not a finite number"
    assert {(node.status, node.validation, node.test, node.reason) for node in made} == {("failed", None, None, why)}
    assert all(node.measures == {"steps": 17.0} for node in made)


def _refuse(what: str) -> None:
    if what == "test":
        raise CandidateFailure("in the final test: it broke")


def test_the_same_gains_count_without_a_floor(tmp_path: Path) -> None:
    task = Numbers()
    agent = AGENT.model_copy(update={"noise": NoiseSettings(baseline_seeds=0)})
    run(tmp_path, agent, task, whole(0.96), whole(0.9), whole(0.85), whole(1.3))
    assert {what for what, _ in task.calls} == {"step"}
    assert "noise" not in summary(tmp_path)
    assert summary(tmp_path)["best"]["validation"] == 0.85
    assert "within_noise" not in (tmp_path / "journal.jsonl").read_text()


def test_the_winner_is_scored_on_further_seeds(tmp_path: Path) -> None:
    task = Numbers()
    run(tmp_path, AGENT, task, whole(0.9), whole(0.7), whole(0.8), whole(1.3))
    assert task.calls[-2:] == [("winner", 8), ("winner", 9)]
    told, best = summary(tmp_path)["noise"]["winner"], nodes_of(tmp_path)[2]
    assert (told["step"], told["id"]) == (2, best.id)
    assert told["scores"] == pytest.approx({"8": 0.74, "9": 0.68})
    assert told["mean"] == pytest.approx(0.71)
    assert told["standard_error"] == pytest.approx(0.03)


def test_a_winner_that_fails_on_another_seed_is_told(tmp_path: Path) -> None:
    def fail(what: str, seed: int) -> None:
        if (what, seed) == ("winner", 9):
            raise CandidateFailure("training diverged")

    run(tmp_path, AGENT, Numbers(fail), whole(0.9), *[whole(1.3)] * 3)
    told = summary(tmp_path)["noise"]["winner"]
    assert (told["failed"], told["standard_error"]) == ({"9": "training diverged"}, None)


def test_nothing_beats_the_baseline(tmp_path: Path) -> None:
    task = Numbers()
    run(tmp_path, AGENT, task, *[whole(1.3)] * 4)
    assert "winner" not in {what for what, _ in task.calls}
    assert summary(tmp_path)["best"]["step"] == 0
    assert "winner" not in summary(tmp_path)["noise"]


TEXTS = [whole(0.9), whole(0.89), whole(0.7), whole(1.3)]


@pytest.mark.parametrize("at", range(3 + AGENT.steps + 2))
def test_a_killed_search_scores_no_seed_twice_and_ends_as_a_whole_one(tmp_path: Path, at: int) -> None:
    run(tmp_path / "whole", AGENT, whole_task := Numbers(), *TEXTS)
    count = 0

    def fail(what: str, seed: int) -> None:
        nonlocal count
        count += 1
        if count == at + 1:
            raise Killed

    task = Numbers(fail)
    with pytest.raises(Killed):
        run(tmp_path / "killed", AGENT, task, *TEXTS)
    done = len(nodes_of(tmp_path / "killed"))
    run(tmp_path / "killed", AGENT, task, *TEXTS[max(0, done - 1) :])
    assert [*task.calls[:at], *task.calls[at + 1 :]] == whole_task.calls
    killed, whole_one = (without_seconds(nodes_of(tmp_path / name)) for name in ("killed", "whole"))
    for node in (*killed, *whole_one):
        node.pop("usage")  # a call whose step was lost is counted
    assert killed == whole_one
    assert summary(tmp_path / "killed")["noise"] == summary(tmp_path / "whole")["noise"]
    assert len(read_rows(tmp_path / "killed" / "seeds.jsonl", SeedRun)) == 5


@pytest.mark.parametrize("at", range(11))
def test_a_search_killed_between_a_score_and_its_hidden_test_ends_as_a_whole_one(tmp_path: Path, at: int) -> None:
    run(tmp_path / "whole", AGENT, whole_task := Apart(), *TEXTS)
    assert [what for what, _ in whole_task.calls[3:]] == [
        "step", "test", "step", "step", "test", "step", "winner", "winner"
    ]  # fmt: skip
    left = iter([None] * at)

    def fail(what: str, seed: int) -> None:
        if next(left, "none is left") is not None and not killed:
            killed.append(what)
            raise Killed

    killed: list[str] = []
    task = Apart(fail)
    with pytest.raises(Killed):
        run(tmp_path / "killed", AGENT, task, *TEXTS)
    done = len(nodes_of(tmp_path / "killed"))
    run(tmp_path / "killed", AGENT, task, *TEXTS[max(0, done - 1) :])
    both = [without_seconds(nodes_of(tmp_path / name)) for name in ("killed", "whole")]
    for node in (*both[0], *both[1]):
        node.pop("usage")
    assert both[0] == both[1]
    repeated = {"test": 2}.get(killed[0], 1)  # the step whose test was cut short is scored once more
    assert len(task.calls) == len(whole_task.calls) + repeated
    assert summary(tmp_path / "killed")["noise"] == summary(tmp_path / "whole")["noise"]


@pytest.mark.parametrize("scaffold", ["greedy", "tree", "evolutionary"])
def test_the_hidden_test_is_run_for_each_new_best_and_nothing_else(
    tmp_path: Path, scaffold: Literal["greedy", "tree", "evolutionary"]
) -> None:
    agent = AGENT.model_copy(update={"scaffold": scaffold, "steps": 10, "n_drafts": 2})
    values = [1.01, 0.98, 0.9, 0.89, 0.95, 0.8, 0.79, 0.81, 0.5, 0.49]
    run(tmp_path, agent, Apart(), *map(whole, values))
    best, floor = MEAN, 2 * SIGMA
    for node in nodes_of(tmp_path)[1:]:
        value = node.validation or math.nan
        assert (node.test is not None) is (value < best - floor)
        assert node.within_noise is (best - floor <= value < best)
        best = value if node.test is not None else best


def test_a_finished_search_opens_nothing(tmp_path: Path) -> None:
    run(tmp_path, AGENT, Numbers(), *TEXTS)
    before, task = summary(tmp_path), Numbers()
    run(tmp_path, AGENT, task)
    assert (task.calls, summary(tmp_path)) == ([], before)


def test_a_baseline_that_fails_stops_the_search_with_one_line(tmp_path: Path) -> None:
    def fail(what: str, seed: int) -> None:
        if seed == 8:
            raise CandidateFailure("it never wrote weights")

    with pytest.raises(UserError, match="task Numbers: its baseline failed with seed 8: it never wrote weights"):
        run(tmp_path, AGENT, Numbers(fail))


def test_with_patches_a_draft_is_an_edit_of_the_baseline(tmp_path: Path) -> None:
    agent = AGENT.model_copy(update={"edit": "patch", "one_change": True, "n_drafts": 2, "steps": 3})
    model = run(tmp_path, agent, Numbers(), patch(1.0, 0.9), patch(1.0, 1.5), patch(0.9, 0.5))
    baseline, first, second, third = nodes_of(tmp_path)
    assert BASELINE.rstrip() in model.prompts[0]
    assert "SEARCH" in model.prompts[0]
    assert (first.operator, first.parents, first.code) == ("draft", (baseline.id,), "LR = 0.9\n")
    assert first.change == "LR to 0.9"
    assert first.gain == pytest.approx(0.9 - MEAN)
    assert (second.operator, second.parents, second.change) == ("draft", (baseline.id,), "LR to 1.5")
    assert (third.operator, third.parents, third.code) == ("improve", (first.id,), "LR = 0.5\n")


def _numbers() -> Iterator[str]:
    return (whole(round(1.2 - 0.05 * step, 3)) for step in range(12))


@pytest.mark.parametrize("scaffold", ["tree", "evolutionary", "sampling"])
@pytest.mark.parametrize("edit", ["file", "patch"])
def test_other_scaffolds_choose_as_if_there_were_no_baseline(
    tmp_path: Path, scaffold: Literal["tree", "evolutionary", "sampling"], edit: Literal["file", "patch"]
) -> None:
    agent = AGENT.model_copy(
        update={
            "scaffold": scaffold, "steps": 12, "edit": edit, "tree": TreeSettings(num_children=2),
            "evolution": EvolutionSettings(individuals=2, crossover_probability=0.0),
        }
    )  # fmt: skip
    run(tmp_path, agent, Numbers(), *_numbers())
    baseline, *made = nodes_of(tmp_path)
    drafts = [node for node in made if node.operator == "draft"]
    assert drafts
    assert all(node.parents == ((baseline.id,) if edit == "patch" else ()) for node in drafts)
    improved = {node.parents for node in made if node.operator == "improve"}
    assert (baseline.id,) not in improved
    # The floor never shuts a parent out here: those within noise have children as others do.
    if scaffold == "tree":
        assert {node.id for node in made if node.within_noise} & {parent for (parent,) in improved}


@pytest.mark.parametrize(
    ("setting", "line"), [({"baseline_seeds": 2}, "2 scores tell no deviation"), ({"sigmas": -1}, "sigmas")]
)
def test_settings_that_make_no_floor_are_refused(setting: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=line):
        parse_study({"name": "n", "agents": [{"noise": setting}]}, "test")


def test_the_floor_is_in_no_key_by_default_and_refused_without_a_baseline() -> None:
    task = {"name": "NeuralArchitectureSearchMAD3PrimitivesMbAccuracy"}
    plain, default, chosen = (
        parse_study({"name": "n", "task": task, "agents": [{"noise": noise}]}, "test")
        for noise in ({}, {"sigmas": 2.0}, {"sigmas": 3.0})
    )
    assert changed(plain.agents[0]) == changed(default.agents[0])
    assert changed(chosen.agents[0])["noise"] == {"sigmas": 3.0}
    family = family_of(default.task)
    family.check(default.task, default.agents, default.proxy)
    with pytest.raises(UserError, match="noise: NeuralArchitectureSearchMAD3PrimitivesMbAccuracy has no baseline"):
        family.check(chosen.task, chosen.agents, chosen.proxy)


def test_a_search_with_a_baseline_leaves_its_results(tmp_path: Path) -> None:
    run(tmp_path, AGENT, Numbers(), whole(0.96), "no program", whole(0.9), whole(1.3))
    lines = (tmp_path / "results.tsv").read_text().splitlines()
    assert [line.split("\t")[3] for line in lines[1:]] == ["keep", "noise", "crash", "keep", "discard"]
    assert "val_bpb:          0.900000" in (tmp_path / "results.txt").read_text()
