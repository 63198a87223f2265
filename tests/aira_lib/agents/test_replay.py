from pathlib import Path

import pytest

from aira_lib.agents import Prompt, Reply, model_named
from aira_lib.agents.replay import REPLIES, RecordedReply, RecordingModel, ReplayModel
from aira_lib.errors import UserError


class Counting:
    """A model that numbers its replies."""

    name = "counting"

    def __init__(self) -> None:
        self.calls = 0

    def reply(self, prompt: Prompt, seed: int) -> Reply:
        self.calls += 1
        return Reply(f"reply {self.calls}: \u2028 \ud800 \x00 {prompt.text}", {"calls": 1.0, "total_tokens": 7.0})


def recorded(path: Path) -> Counting:
    model = Counting()
    recording = RecordingModel(model, path)
    for seed, digest in ((1, "a"), (2, "b"), (2, "c")):
        recording.reply(Prompt("text", digest), seed)
    return model


def test_what_was_said_is_said_again(tmp_path: Path) -> None:
    recorded(tmp_path / REPLIES)
    for name in (f"replay:{tmp_path}", f"replay:{tmp_path / REPLIES}"):
        model = model_named(name)
        reply = model.reply(Prompt("text", "a"), 1)
        assert reply.text.startswith("reply 1: ")
        assert reply.usage == {"calls": 1.0, "total_tokens": 7.0}
        assert model.reply(Prompt("", "c"), 2).text.startswith("reply 3")
        assert model.reply(Prompt("", "b"), 2).text.startswith("reply 2")
        assert model.reply(Prompt("", "another output"), 1).text.startswith("reply 1")


def test_a_record_names_the_recording_of_its_last_attempt(tmp_path: Path) -> None:
    for attempt, text in (("1-0123abcd", "first"), ("10-0123abcd", "last"), ("9-0123abcd", "before")):
        (tmp_path / attempt).mkdir()
        reply = RecordedReply(prompt="a", seed=1, text=text)
        (tmp_path / attempt / REPLIES).write_text(reply.json_line())
    assert ReplayModel(tmp_path).first().text == "last"


def test_how_a_reply_ended_is_recorded_too(tmp_path: Path) -> None:
    class Cut:
        name = "cut"

        def reply(self, prompt: Prompt, seed: int) -> Reply:
            return Reply("half", finish="length")

    recording = RecordingModel(Cut(), tmp_path / REPLIES)
    asked = [recording.reply(Prompt("", "a"), 1), recording.reply(Prompt("", "a"), 1)]
    asked.append(ReplayModel(tmp_path).reply(Prompt("", "a"), 1))
    assert [reply.finish for reply in asked] == ["length"] * 3


def test_recordings_of_before_replies_said_how_they_ended_are_read(tmp_path: Path) -> None:
    (tmp_path / REPLIES).write_text('{"prompt": "a", "seed": 1, "text": "old", "usage": {"calls": 1.0}}\n')
    assert ReplayModel(tmp_path).reply(Prompt("", "a"), 1) == Reply("old", {"calls": 1.0})


@pytest.mark.parametrize(("seed", "digest"), [(3, "a"), (2, "neither")])
def test_a_missing_reply_is_one_line(seed: int, digest: str, tmp_path: Path) -> None:
    recorded(tmp_path / REPLIES)
    with pytest.raises(UserError, match=f"no reply was recorded for the call with seed {seed}") as caught:
        ReplayModel(tmp_path).reply(Prompt("", digest), seed)
    assert "\n" not in str(caught.value)


def test_a_call_that_was_answered_is_not_made_again_after_an_interruption(tmp_path: Path) -> None:
    path = tmp_path / REPLIES
    recorded(path)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in range(len(lines)):
        path.write_bytes(b"".join(lines[:cut]) + lines[cut][:-1])
        model = Counting()
        recording = RecordingModel(model, path)
        for seed, digest in ((1, "a"), (2, "b"), (2, "c")):
            recording.reply(Prompt("text", digest), seed)
        assert model.calls == len(lines) - cut
        assert len(path.read_bytes().splitlines()) == len(lines)


def test_a_damaged_recording_is_named_with_its_line(tmp_path: Path) -> None:
    recorded(tmp_path / REPLIES)
    (tmp_path / REPLIES).write_bytes((tmp_path / REPLIES).read_bytes() + b"{}\n")
    with pytest.raises(UserError, match=r"replies.jsonl:4: not a recorded reply"):
        ReplayModel(tmp_path)
