"""What turns a prompt into a reply, whoever provides it, and what some models can tell besides."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from aira_lib.agents.prompt import Prompt
from aira_lib.agents.usage import Usage
from aira_lib.errors import UserError


class Refused(UserError):
    """A model that cannot be reached, or refuses.

    Attributes:
        usage: What the attempts used, as far as one can know.
    """

    def __init__(self, text: str, usage: Usage) -> None:
        super().__init__(text)
        self.usage = usage


@dataclass(frozen=True)
class Reply:
    """A model's answer; `usage` counts calls, tokens and dollars as far as the provider tells.

    `finish` says how it ended where that was not the model's own end: "length" (cut off by the provider), "context"
    (the prompt does not fit the model's context, there is no answer), "time" (that of the prompt was over before there
    was an answer), "refusal" (the text says why), or what else the provider says.
    """

    text: str
    usage: Usage = field(default_factory=dict)
    finish: str = ""


class Model(Protocol):
    """Something that answers prompts. Equal prompts and seeds should give equal replies; few providers promise it."""

    @property
    def name(self) -> str:
        """How the model is called in records."""

    def reply(self, prompt: Prompt, seed: int) -> Reply:
        """Answer a prompt.

        Raises:
            UserError: the model cannot be reached or refuses; one line with the remedy.
        """


@runtime_checkable
class TellsSettings(Protocol):
    """A model that knows which settings of a call have an effect."""

    def accepted(self) -> dict[str, bool | None]:
        """Whether each setting, such as temperature and seed, is taken (None: unknown)."""


@runtime_checkable
class LeavesOut(Protocol):
    """A model that goes on without a setting of its agent where its provider refuses that by name."""

    @property
    def left_out(self) -> Collection[str]:
        """The settings that it was asked without."""


@runtime_checkable
class Recorded(Protocol):
    """A model that has no reply to a new prompt, only those that it holds."""

    @property
    def replies(self) -> Sequence[Any]:
        """All that it holds."""

    def first(self) -> Reply:
        """The first of them.

        Raises:
            UserError: there is none.
        """
