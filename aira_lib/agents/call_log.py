"""The calls of a search as they are begun and ended, in a file beside its journal: a kill loses no call that was paid.

A node holds what its calls used, but a step that is killed leaves no node. The next sitting does that step again, and
its node then takes over what the calls of the killed one used: as they ended, or an estimate of those under way.
"""

import os
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from aira_lib.agents.model import Model, Refused, Reply
from aira_lib.agents.prompt import Prompt
from aira_lib.agents.usage import Usage, added, estimated
from aira_lib.records import Row

CALLS = "calls.jsonl"


class LoggedCall(Row):
    """A call that is begun, with an estimate of what its prompt alone uses, or one that has ended."""

    step: int
    seed: int
    ended: bool
    usage: dict[str, float] = {}


class CallLog:
    """The file, to which is only appended; a torn last line is cut off."""

    def __init__(self, path: Path, push: Callable[[], None] = lambda: None) -> None:
        """Go on with a log, or begin one.

        Args:
            path: The file.
            push: Makes what was written outlive this machine.
        """
        self._path, self._push, self._step = path, push, 0
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(path, len(whole))
        self._earlier = _read(whole)

    def start(self, step: int, found_again: bool) -> Usage:
        """Say which step the next calls are of.

        Args:
            step: Its number.
            found_again: Whether replies were recorded, so that a call that ended is not made again.

        Returns:
            What earlier sittings' calls for this step used in vain.
        """
        self._step = step
        lost: Usage = {}
        ended = [call.seed for call in self._earlier if call.step == step and call.ended]
        for call in self._earlier:
            if call.step != step or (call.ended and found_again):
                continue
            if not call.ended and call.seed in ended:
                ended.remove(call.seed)  # it is told of when it ended
                continue
            lost = added(lost, {**call.usage, "useless": call.usage.get("useless", 0.0) + 1.0})
        return lost

    def write(self, seed: int, ended: bool, usage: Usage) -> None:
        """Add a line; that of a call that begins is pushed before the call."""
        line = LoggedCall(step=self._step, seed=seed, ended=ended, usage=usage).json_line()
        with open(self._path, "ab", buffering=0) as file:
            file.write(line.encode())
        if not ended:
            self._push()


class LoggedModel:
    """A model whose calls are logged."""

    def __init__(self, model: Model, log: CallLog, price: tuple[float, float] | None = None) -> None:
        """Log the calls of a model; `price` is in dollars, for a token of the prompt and for one of the reply."""
        self.name = model.name
        self._model, self._log, self._price = model, log, price

    def reply(self, prompt: Prompt, seed: int) -> Reply:
        """Ask the model; see `Model.reply`."""
        self._log.write(seed, False, self._of_prompt(prompt))
        try:
            reply = self._model.reply(prompt, seed)
        except Refused as refused:
            self._log.write(seed, True, refused.usage)
            raise
        self._log.write(seed, True, reply.usage)
        return reply

    def _of_prompt(self, prompt: Prompt) -> Usage:
        usage = {"calls": 1.0, **estimated(len(prompt.text))}
        return usage | ({"dollars": usage["prompt_tokens"] * self._price[0]} if self._price else {})


def _read(content: bytes) -> list[LoggedCall]:
    """The calls; a line that is none is passed over: it is better to count too little than to stop a search."""
    calls = []
    for line in content.splitlines():
        try:
            calls.append(LoggedCall.model_validate_json(line))
        except ValidationError:
            continue
    return calls
