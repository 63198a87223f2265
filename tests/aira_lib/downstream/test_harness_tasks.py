"""Tasks of lm-evaluation-harness over local items: its prompts, its scores, and no item among its own examples."""

import importlib.util
import random
import shutil
import socket
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest

from aira_lib.downstream.data import item_digest
from aira_lib.downstream.f1 import coqa_target, coqa_text, squad_target
from aira_lib.downstream.harness import HarnessTask, answered, chosen_items, harness_task
from aira_lib.downstream.items import items_of, recount
from aira_lib.downstream.tables import TASKS
from aira_lib.errors import MissingDependency, UserError
from tests.aira_lib.downstream.made_up import ITEMS, SLICES, write_all, write_lines

CHOICES = {"copa": 2, "winogrande": 2, "xwinograd": 2, "boolq": 2, "piqa": 2, "commonsenseqa": 5, "agieval_lsat_ar": 5}
EVERY = sorted(TASKS)


@pytest.fixture(scope="module", autouse=True)
def no_network() -> Any:
    """Whoever asks for another machine fails."""
    with patch.object(socket.socket, "connect", side_effect=AssertionError("a network was asked")):
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Items of all fifteen tasks."""
    place = tmp_path_factory.mktemp("items")
    shutil.copytree(SLICES, place, dirs_exist_ok=True)
    write_all(place)
    return place


@pytest.fixture(scope="module")
def asked(folder: Path) -> Any:
    """A task with some examples, built once a test module."""
    return cache(lambda name, shots, limit=None, seed=0: harness_task(TASKS[name], shots, folder, limit, seed))


class Guessing:
    """A model without a model: every answer is drawn by what was asked."""

    rank, world_size = 0, 1

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        drawn = [random.Random(repr(request.args)) for request in requests]
        return [(-40 * each.random() - 0.1, each.random() < 0.5) for each in drawn]

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        said = [" the old house\nAda", "", " white.", " a barn", " Nobody", " unanswerable"]
        return [random.Random(request.args[0]).choice(said) for request in requests]


def prompts(task: HarnessTask) -> list[str]:
    return [requests[0].args[0] for requests in task.requests]


@pytest.mark.parametrize("name", EVERY)
def test_every_item_is_asked_once_with_all_its_choices(name: str, asked: Any) -> None:
    task = asked(name, 0)
    assert len(task.docs) == len(task.chosen) == ITEMS.get(name, 8)
    each = CHOICES.get(name, 4) if TASKS[name].kind == "multiple-choice" else 1
    assert {len(requests) for requests in task.requests} == {each}
    kinds = {request.request_type for requests in task.requests for request in requests}
    assert kinds == {"generate_until" if TASKS[name].kind == "generation" else "loglikelihood"}
    for number, requests in zip(task.chosen, task.requests, strict=True):
        assert {(request.task_name, request.doc_id) for request in requests} == {(f"{name}:0", number)}


def examples(task: HarnessTask) -> list[str]:
    """What each item is as an example of others: what it asks, with the right answer."""
    if task.task.kind == "generation":
        return [f"{prompt} {squad_target(doc)}" for prompt, doc in zip(prompts(task), task.docs, strict=True)]
    asked = zip(task.requests, task.data.golds, strict=True)
    return ["".join(requests[gold or 0].args) for requests, gold in asked]


@pytest.mark.parametrize("name", [name for name in EVERY if name not in ("lambada", "coqa")])
def test_a_prompt_shows_others_with_their_right_answers_and_never_its_own_item(name: str, asked: Any) -> None:
    """With examples of all other items each of them is there once, and what is asked is the item itself."""
    own, task = examples(asked(name, 0)), asked(name, ITEMS.get(name, 8) - 1)
    for number, requests in enumerate(task.requests):
        *shown, last = requests[0].args[0].split("\n\n" if name != "squadv2" else "\n\nTitle: ")
        others = {example.removeprefix("Title: ") for example in (*own[:number], *own[number + 1 :])}
        assert {example.removeprefix("Title: ") for example in shown} == others
        assert len(shown) == len(others)
        assert prompts(asked(name, 0))[number].removeprefix("Title: ") == last


def test_an_item_that_a_split_has_twice_is_no_example_of_itself(folder: Path, tmp_path: Path) -> None:
    lines = (folder / "piqa" / "validation.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "piqa").mkdir()
    (tmp_path / "piqa" / "validation.jsonl").write_text("".join([*lines, lines[0], lines[0]]))
    task = harness_task(TASKS["piqa"], 7, tmp_path, None, 0)
    own = prompts(task)[0].split("\n\n")
    assert prompts(task)[8] == prompts(task)[9] == prompts(task)[0]
    assert not any(example.startswith(own[-1]) for example in own[:-1])


@pytest.mark.parametrize("name", ["arc_e", "hellaswag", "squadv2"])
def test_prompts_are_fixed_by_the_seed_and_not_by_what_else_is_scored(name: str, folder: Path, asked: Any) -> None:
    whole, some = asked(name, 3), asked(name, 3, 4)
    again = harness_task(TASKS[name], 3, folder, 4, 0)
    assert len(some.chosen) == 4
    assert prompts(again) == prompts(some)
    every = dict(zip(whole.chosen, prompts(whole), strict=True))
    assert [every[number] for number in some.chosen] == prompts(some)
    other = asked(name, 3, None, 1)
    assert prompts(other) != prompts(whole)
    assert prompts(asked(name, 0, None, 1)) == prompts(asked(name, 0))


def test_a_larger_limit_adds_items_to_a_fixed_permutation() -> None:
    chosen = [set(chosen_items(1000, limit, 0)) for limit in (10, 100, 1000)]
    assert [len(each) for each in chosen] == [10, 100, 1000]
    assert chosen[0] < chosen[1] < chosen[2]
    assert max(chosen[0]) > 100  # not the first of the file
    assert chosen_items(1000, 10, 1) != chosen_items(1000, 10, 0)
    assert chosen_items(5, None, 0) == chosen_items(5, 99, 0) == (0, 1, 2, 3, 4)


@pytest.mark.parametrize("name", EVERY)
def test_counting_the_answers_anew_gives_the_harness_s_scores(name: str, asked: Any) -> None:
    """As its own evaluation of the same task objects gives, mean and standard error; the right choices are ours."""
    from lm_eval.evaluator import evaluate

    task = asked(name, min(TASKS[name].shots, 3))
    errors = 0 if name == "lambada" else 1  # of its perplexity it would draw samples in other processes
    found = evaluate(lm=Guessing(), task_dict={"tasks": {task.name: task.harness}}, bootstrap_iters=errors)["results"]
    rows = items_of(task, answered(task, Guessing()), lambda request: request.doc_id == 2)
    counted = recount(rows)
    assert tuple(counted) == TASKS[name].metrics
    for metric, measured in counted.items():
        assert measured.value == pytest.approx(found[task.name][f"{metric},none"])
        assert measured.stderr is not None
        if errors:
            assert measured.stderr == pytest.approx(found[task.name][f"{metric}_stderr,none"])
    assert [row["item"] for row in rows if row["cut"]] == [2]
    assert [row["digest"] for row in rows] == list(task.data.digests)


def harness_module(path: str, name: str) -> ModuleType:
    """A module of the harness's tasks, with empty ones in the place of those that transformers no longer has."""
    import lm_eval.tasks

    missing = {
        each: ModuleType(each) for each in ("transformers.data.metrics", "transformers.data.metrics.squad_metrics")
    }
    missing |= {"transformers": ModuleType("transformers"), "transformers.data": ModuleType("transformers.data")}
    for each, module in missing.items():
        parent, _, child = each.rpartition(".")
        if parent:
            setattr(missing[parent], child, module)
    place = Path(lm_eval.tasks.__file__).parent / path
    spec = importlib.util.spec_from_file_location(name, place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with patch.dict(sys.modules, missing):
        spec.loader.exec_module(module)
    return module


def test_coqa_and_squad_are_asked_as_the_harness_asks_them(asked: Any) -> None:
    coqa = harness_module("coqa/utils.py", "coqa_of_the_harness")
    for doc in asked("coqa", 0).docs:
        others = {str(number): {"input_text": ["-", other]} for number, other in enumerate(doc["others"])}
        theirs = {
            "story": doc["story"], "questions": {"input_text": doc["questions"]},
            "answers": {"input_text": doc["answers"]}, "additional_answers": others,
        }  # fmt: skip
        assert coqa_text(doc) == coqa.doc_to_text(theirs)
        assert coqa_target(doc) == coqa.doc_to_target(theirs) == ["in a barn", "a barn", "near the farm house"]
    squad = harness_module("squadv2/task.py", "squad_of_the_harness").SQuAD2
    task = asked("squadv2", 0)
    for doc, requests in zip(task.docs, task.requests, strict=True):
        theirs = squad.construct_requests(None, doc, squad.doc_to_text(None, doc))[0]
        assert requests[0].args == theirs.args
        assert squad_target(doc) == squad.doc_to_target(None, doc)


def test_nothing_is_said_while_a_task_is_built(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    answered(harness_task(TASKS["hellaswag"], 2, folder, None, 0), Guessing())
    assert capfd.readouterr() == ("", "")


def test_scores_say_what_was_scored_and_what_prompts_show(asked: Any) -> None:
    assert asked("piqa", 0).note == ""
    assert asked("piqa", 3).note == "examples of prompts are of validation, never the item itself"
    assert asked("arc_e", 0).note == "scored on validation; the paper's harness scores test"
    assert asked("arc_e", 3).note.count(";") == 2
    assert asked("arc_e", 3).name == "arc_e:3"


def test_what_cannot_be_asked_is_refused_before_anything_is(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="arc_e:8: of 8 items an item has 7 others to show as examples"):
        harness_task(TASKS["arc_e"], 8, folder, None, 0)
    with pytest.raises(UserError, match="no items of sciq in"):
        harness_task(TASKS["sciq"], 0, tmp_path, None, 0)
    find = importlib.util.find_spec
    with (
        patch.object(importlib.util, "find_spec", lambda name: None if name == "lm_eval" else find(name)),
        pytest.raises(MissingDependency, match=r"\[eval\]"),
    ):
        harness_task(TASKS["sciq"], 0, folder, None, 0)


def test_an_item_s_digest_is_that_of_what_the_harness_is_asked(folder: Path, asked: Any, tmp_path: Path) -> None:
    task = asked("boolq", 0)
    assert item_digest(task.docs[3]) == task.data.digests[3]
    write_lines(tmp_path / "boolq" / "dev.jsonl", [{**doc, "idx": 7} for doc in task.docs])
    assert harness_task(TASKS["boolq"], 0, tmp_path, None, 0).data.digests == task.data.digests
