"""What was asked and what was answered, word for word but for keys, in a file beside a search's journal.

For people who want to know why an agent did what it did: with `keep_prompts: true`. The page of the search shows it;
nothing else reads it (that is what `aira_lib.agents.replay` is for). A step that a kill cut short is done again, and
stands there twice.
"""

import os
from pathlib import Path

from aira_lib.agents.model import Model, Reply
from aira_lib.agents.prompt import Prompt
from aira_lib.agents.redaction import redacted
from aira_lib.records import Row

TRANSCRIPT = "transcript.jsonl"


class Exchange(Row):
    """A call: the prompt and the reply; `finish` says how the reply ended (see `aira_lib.agents.model.Reply`).

    `operator` is what was asked for, "analyse" a look back; an earlier version did not write it.
    """

    step: int
    operator: str = ""
    seed: int
    prompt: str
    reply: str
    finish: str = ""
    usage: dict[str, float] = {}


class Transcript:
    """The file, to which is only appended; `step` and `operator` are those of the next calls."""

    def __init__(self, path: Path) -> None:
        """Go on with a transcript, or begin one; a torn last line is cut off."""
        self.step, self.operator = 0, ""
        self._path = path
        content = path.read_bytes() if path.exists() else b""
        if not content.endswith(b"\n"):
            path.touch()
            os.truncate(path, content.rfind(b"\n") + 1)

    def write(self, prompt: Prompt, seed: int, reply: Reply) -> None:
        """Add a call."""
        exchange = Exchange(
            step=self.step, operator=self.operator, seed=seed, prompt=_kept(prompt.text), reply=_kept(reply.text),
            finish=reply.finish, usage=reply.usage,
        )  # fmt: skip
        with open(self._path, "ab", buffering=0) as file:
            file.write(exchange.json_line().encode())


class TranscribedModel:
    """A model whose calls are written down."""

    def __init__(self, model: Model, transcript: Transcript) -> None:
        """Write the calls of a model down in a transcript."""
        self.name = model.name
        self._model, self._transcript = model, transcript

    def reply(self, prompt: Prompt, seed: int) -> Reply:
        """Ask the model; see `Model.reply`."""
        reply = self._model.reply(prompt, seed)
        self._transcript.write(prompt, seed, reply)
        return reply


def _kept(text: str) -> str:
    return redacted(text.encode("utf-8", "replace").decode("utf-8"))
