"""Prompts and replies on the page of a search: the last sitting's, as text alone, and no more than a page can hold."""

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from aira_lib.agents import Prompt, Reply
from aira_lib.agents.transcript import TRANSCRIPT, Exchange, TranscribedModel, Transcript
from aira_lib.records import Node
from aira_lib.search.page import Exchanges, LivePage, render_run
from aira_lib.search.page.exchanges import MOST_PAGE, MOST_TEXT
from tests.aira_lib.search_page.test_page import HOSTILE, Elements
from tests.builders import node


def line(step: int, prompt: str, reply: str = "a reply", seed: int = 0, operator: str = "draft", **other: Any) -> bytes:
    exchange = Exchange(step=step, operator=operator, seed=seed, prompt=prompt, reply=reply, **other)
    return exchange.json_line().encode()


def asked(*lines: bytes) -> Exchanges:
    found = Exchanges()
    found.add(b"".join(lines))
    return found


def shown(nodes: list[Node], exchanges: Exchanges | None) -> list[Any]:
    return [each.get("asked") for each in json.loads(Elements(render_run(nodes, "t", asked=exchanges)).data)]


def nodes_of(count: int) -> list[Node]:
    return [node(step, "M", 0.5) for step in range(count)]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_prompts_and_replies_stay_text(text: str) -> None:
    nodes = nodes_of(1)
    page = render_run(nodes, "t", asked=asked(line(0, text, text, finish=text, operator=text)))
    assert Elements(page).found == Elements(render_run(nodes, "t", asked=asked(line(0, "a", "b")))).found
    ((call,),) = shown(nodes, asked(line(0, text, text, finish=text)))
    assert call["prompt"][0] == call["reply"][0] == call["finish"] == text.replace("\0", "\ufffd")


def test_tries_are_numbered_and_a_look_back_is_none() -> None:
    calls = asked(
        line(0, "first", "prose", seed=1, finish="length", usage={"total_tokens": 7.0}), line(0, "first", "p", seed=2),
        line(0, "look", "it worked", seed=3, operator="analyse"), line(1, "mend", "p", seed=4, operator="debug"),
        line(3, "of before", "p", operator=""),
    )  # fmt: skip
    zero, one, two, three = shown(nodes_of(4), calls)
    assert [call["what"] for call in zero] == ["draft, try 1 of 2", "draft, try 2 of 2", "look back"]
    assert [call["reply"][0] for call in zero] == ["prose", "p", "it worked"]
    assert [(call["finish"], call["tokens"]) for call in zero] == [("length", 7), ("", None), ("", None)]
    assert [call["what"] for call in one] == ["debug"]
    assert two == []
    assert [call["what"] for call in three] == ["call"], "transcripts of earlier versions do not say the operator"


class Says:
    """Says one text after the other."""

    name = "says"

    def __init__(self, *texts: str) -> None:
        self.texts = [*texts]

    def reply(self, prompt: Prompt, seed: int) -> Reply:
        return Reply(self.texts.pop(0))


def test_of_a_step_that_was_done_again_the_last_calls_are_shown(tmp_path: Path) -> None:
    path, model = tmp_path / TRANSCRIPT, Says("a killed one", "another", "the last", "of the next")
    for sitting in ((0, (11, 12)), (0, (11,)), (1, (21,))):  # the first was killed after its second try
        transcript = Transcript(path)
        transcript.step, transcript.operator = sitting[0], "draft"
        for seed in sitting[1]:
            TranscribedModel(model, transcript).reply(Prompt("p"), seed)
    found = Exchanges()
    found.read_on(path)
    assert [[call["reply"][0] for call in step] for step in shown(nodes_of(2), found)] == [
        ["the last"],
        ["of the next"],
    ]


def test_a_page_holds_no_more_than_it_can(tmp_path: Path) -> None:
    """All of these prompts are 30 MB."""
    rng = random.Random(1)
    long = [line(step, f"BEGIN{step} {'x' * 60_000} END{step}", "a short reply", seed=step) for step in range(500)]
    page = render_run(nodes_of(500), "t", asked=asked(*long))
    plain = render_run(nodes_of(500), "t")
    assert len(page) - len(plain) < MOST_PAGE + 500 * 500
    calls = [call for (call,) in shown(nodes_of(500), asked(*long))]
    for step in rng.sample(range(500), 20):
        text, length = calls[step]["prompt"]
        assert text.startswith(f"BEGIN{step} ")
        assert text.endswith(f" END{step}")
        said = re.search(rf"\n\[\.\.\. ([\d,]+) characters are not shown here; {TRANSCRIPT} in the record", text)
        assert said
        shown_here = len(text) - len(text[said.start() : text.index(" ...]\n") + 6])
        assert shown_here + int(said[1].replace(",", "")) == length == 60_000 + len(f"BEGIN{step}  END{step}")
        assert calls[step]["reply"][0] == "a short reply", "short ones are whole, and leave the room to long ones"
    assert sum(len(call["prompt"][0]) for call in calls) > 0.9 * MOST_PAGE


@pytest.mark.parametrize("length", [0, 1, MOST_TEXT // 2, MOST_TEXT // 2 + 1, MOST_TEXT - 1, MOST_TEXT])
def test_a_text_that_fits_is_whole(length: int) -> None:
    text = "".join(random.Random(length).choices("abc \n", k=length))
    ((call,),) = shown(nodes_of(1), asked(line(0, text)))
    assert call["prompt"] == [text, length]
    ((call,),) = shown(nodes_of(1), asked(line(0, f"{text}{'y' * MOST_TEXT}z")))
    assert ("not shown here" in call["prompt"][0]) == (len(call["prompt"][0]) != call["prompt"][1])


def test_a_transcript_is_read_as_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / TRANSCRIPT
    lines = [line(step, f"prompt {step}", seed=step) for step in range(6)]
    page = LivePage(tmp_path / "page.html", lambda name: None, "t", False, transcript=path)
    whole = b"".join(lines)
    for size in (0, len(lines[0]), len(lines[0]) + 9, len(whole) - 1, len(whole)):
        path.write_bytes(whole[:size])
        page.finish(nodes_of(6))
        found = json.loads(Elements((tmp_path / "page.html").read_text()).data)
        complete = whole[:size].count(b"\n")
        assert [each["asked"] != [] for each in found] == [step < complete for step in range(6)]
    assert [each["asked"][0]["prompt"][0] for each in found] == [f"prompt {step}" for step in range(6)]
    # What was read is not read again: it may as well be gone.
    path.write_bytes(b" " * len(whole) + line(5, "another", seed=99))
    page.finish(nodes_of(6))
    found = json.loads(Elements((tmp_path / "page.html").read_text()).data)
    assert [len(each["asked"]) for each in found] == [1, 1, 1, 1, 1, 2]


def test_what_is_no_call_is_passed_over() -> None:
    found = asked(b"{}\n", b"\xff\n", b"[1]\n", line(0, "p"))
    assert [len(step) for step in shown(nodes_of(1), found)] == [1]


def test_without_a_transcript_the_page_says_how_to_keep_one() -> None:
    assert shown(nodes_of(1), None) == [None]
    assert "keep_prompts: true of its agent keeps them" in render_run(nodes_of(1), "t")
