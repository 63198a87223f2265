"""The log of calls: what a step that was killed had paid for."""

import json
from pathlib import Path

import pytest

from aira_lib.agents import Prompt, Reply
from aira_lib.agents.call_log import CallLog, LoggedModel
from aira_lib.agents.model import Refused
from aira_lib.agents.usage import Usage

USED: Usage = {"calls": 1.0, "total_tokens": 10.0, "dollars": 0.5}
PROMPT = Prompt("x" * 30)


class Killed(BaseException):
    pass


class Answers:
    name = "openai/x"

    def __init__(self, *outcomes: Usage | BaseException) -> None:
        self.outcomes = list(outcomes)

    def reply(self, prompt: Prompt, seed: int) -> Reply:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return Reply("text", outcome)


def sitting(path: Path, step: int, *outcomes: Usage | BaseException, found_again: bool = False) -> Usage:
    """One sitting that starts with a step and asks once for each outcome; what it took over."""
    log = CallLog(path)
    lost = log.start(step, found_again)
    model = LoggedModel(Answers(*outcomes), log, price=(0.01, 0.02))
    for seed in range(len(outcomes)):
        try:
            model.reply(PROMPT, seed)
        except Killed:
            break
    return lost


def test_calls_of_finished_steps_are_not_told_again(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    assert sitting(path, 0, USED) == {}
    assert sitting(path, 1, USED, USED) == {}
    assert sitting(path, 2) == {}


def test_of_a_step_that_is_done_again_every_call_is(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    assert sitting(path, 3, USED, Killed()) == {}
    cut_off = {"prompt_tokens": 10.0, "completion_tokens": 0.0, "estimated": 1.0}
    first = {"calls": 2.0, "total_tokens": 20.0, "dollars": 0.6, "useless": 2.0, **cut_off}
    assert sitting(path, 3, Killed()) == pytest.approx(first)
    both = {**first, "calls": 3.0, "total_tokens": 30.0, "dollars": 0.7, "useless": 3.0, "prompt_tokens": 20.0}
    assert sitting(path, 3) == pytest.approx(both)
    # Where replies were recorded, the one that came is found there, with its usage.
    found = {**cut_off, "prompt_tokens": 20.0, "calls": 2.0, "total_tokens": 20.0, "dollars": 0.2, "useless": 2.0}
    assert sitting(path, 3, found_again=True) == pytest.approx(found)


def test_a_refusal_counts_as_it_says(tmp_path: Path) -> None:
    log = CallLog(tmp_path / "calls.jsonl")
    log.start(0, False)
    with pytest.raises(Refused):
        LoggedModel(Answers(Refused("no", {"calls": 7.0})), log).reply(PROMPT, 0)
    assert CallLog(tmp_path / "calls.jsonl").start(0, False) == {"calls": 7.0, "useless": 1.0}


def test_a_torn_line_is_cut_off_and_a_call_is_pushed_before_it_is_made(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    pushed: list[bool] = []

    class Looks(Answers):
        def reply(self, prompt: Prompt, seed: int) -> Reply:
            pushed.append(True)
            return super().reply(prompt, seed)

    log = CallLog(path, lambda: pushed.append(path.exists()))
    log.start(0, False)
    LoggedModel(Looks(USED), log).reply(PROMPT, 5)
    assert pushed == [True, True]
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"step": 0, "se')
    assert CallLog(path).start(0, False)["total_tokens"] == 10.0
    assert path.read_bytes() == whole
    assert [json.loads(line)["ended"] for line in whole.splitlines()] == [False, True]
