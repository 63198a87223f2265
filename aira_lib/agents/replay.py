"""Recorded replies: a search keeps what its model said, and the model "replay:PATH" says it again, at no cost.

A recording is JSON lines of `RecordedReply`. A reply is found by the seed of its call, which comes from the search's
seed, its step and its policy alone (the analysis of a step is a call of its own, with another seed). Where several
searches' recordings stand in one file, the prompt's digest tells replies of one seed apart; a single one is given
whatever the digest, since what programs print may differ from one run to the next. What a path holds is in the key of a
search, and the path is not.
"""

import json
import os
from pathlib import Path

from pydantic import ValidationError

from aira_lib.agents.model import Model, Reply
from aira_lib.agents.prompt import Prompt
from aira_lib.agents.spoken import cleaned
from aira_lib.errors import UserError
from aira_lib.records import Row

REPLAY = "replay:"
REPLIES = "replies.jsonl"


class NotRecorded(UserError):
    """A call to which a recording holds no reply."""


class RecordedReply(Row):
    """A reply with what asked for it. `usage` is that of the recorded call."""

    prompt: str
    seed: int
    text: str
    usage: dict[str, float] = {}
    finish: str = ""


def recording_at(path: Path) -> Path:
    """The recording that a path names: itself, or that of a search's record, in the folder of its last attempt."""
    if not path.is_dir():
        return path
    attempts = sorted(path.glob(f"[0-9]*-*/{REPLIES}"), key=lambda each: int(each.parent.name.partition("-")[0]))
    return attempts[-1] if attempts else path / REPLIES


class ReplayModel:
    """Says again what was recorded, usage included, so that a repeated search stops where the recorded one did."""

    def __init__(self, path: Path) -> None:
        """Read a recording, or the one in a record's folder.

        Raises:
            UserError: there is none, or it cannot be read.
        """
        self.path = recording_at(path)
        self.name = f"{REPLAY}{path}"
        try:
            self.replies = _read(self.path, self.path.read_bytes())
        except OSError as error:
            raise UserError(
                f"model {self.name!r}: {self.path}: {error.strerror}; record replies with record_replies: true first"
            ) from None

    def first(self) -> Reply:
        """The first recorded reply.

        Raises:
            UserError: the recording is empty.
        """
        if not self.replies:
            raise UserError(f"model {self.name!r}: the recording is empty; record replies with record_replies: true")
        return _reply(self.replies[0])

    def reply(self, prompt: Prompt, seed: int) -> Reply:
        """Give the recorded reply.

        Raises:
            NotRecorded: none was recorded for this call.
        """
        alike = [entry for entry in self.replies if entry.seed == seed]
        exact = [entry for entry in alike if entry.prompt == prompt.digest]
        if not exact and len(alike) != 1:
            raise NotRecorded(
                f"model {self.name!r}: no reply was recorded for the call with seed {seed}; "
                "repeat the very search that was recorded, or choose another model"
            )
        return _reply((exact or alike)[-1])


class RecordingModel:
    """A model whose replies are kept in a file as they come, before anything is done with them.

    A reply that was bought by a search which was interrupted before its step was finished is found there again.
    """

    def __init__(self, model: Model, path: Path) -> None:
        """Go on with a recording, or begin one; a torn last line is cut off."""
        self.name = model.name
        self._model = model
        self._path = path
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(path, len(whole))
        self._known = {(entry.prompt, entry.seed): entry for entry in _read(path, whole)}

    def reply(self, prompt: Prompt, seed: int) -> Reply:
        """Ask the model, unless it has answered this very call; see `Model.reply` for errors."""
        if known := self._known.get((prompt.digest, seed)):
            return _reply(known)
        reply = self._model.reply(prompt, seed)
        text = cleaned(reply.text)
        entry = RecordedReply(prompt=prompt.digest, seed=seed, text=text, usage=reply.usage, finish=reply.finish)
        with open(self._path, "ab") as file:
            file.write(json.dumps(entry.model_dump()).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._known[prompt.digest, seed] = entry
        return _reply(entry)


def _reply(entry: RecordedReply) -> Reply:
    return Reply(entry.text, dict(entry.usage), entry.finish)


def _read(path: Path, content: bytes) -> list[RecordedReply]:
    entries = []
    for number, line in enumerate(content.split(b"\n"), 1):
        if line:
            try:
                entries.append(RecordedReply.model_validate_json(line))
            except ValidationError:
                raise UserError(f"{path}:{number}: not a recorded reply; delete this line or the file") from None
    return entries
