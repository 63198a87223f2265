"""What a search needs of a task, whatever its kind: words for the prompt, data to work on, and a score."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from aira_lib.records import Node
from aira_lib.tasks import SearchTask

DATA = "data"
"""The folder in which a candidate finds the data."""

Progress = Callable[[float, float, str], None]


class CandidateFailure(Exception):
    """The candidate failed; the text is the node's reason."""


class Task(Protocol):
    """A task as a search uses it.

    Attributes:
        facts: Its name, its metric and the direction.
        layers: The layers of a design, 0 where a candidate is no design.
        prompts: Which templates are used.
        artefact: The file that every program has to write.
        description: The task in words.
        data_overview: The files of `data` in words.
        data: The folder that a candidate sees, read-only, as `./data`.
    """

    facts: SearchTask
    layers: int
    prompts: Literal["design", "program"]
    artefact: str
    description: str
    data_overview: str
    data: Path

    def collect(self, workdir: Path) -> Mapping[str, bytes]:
        """Take what a program that ended well has submitted.

        Raises:
            ArtefactError: a file is missing, too large, or no regular file.
        """

    def score(
        self,
        submitted: Mapping[str, bytes],
        nodes: Sequence[Node],
        seconds_left: Callable[[], float],
        progress: Progress,
        found: dict[str, Any],
    ) -> None:
        """Score what was submitted, adding to `found` the node's fields as they become known.

        Raises:
            CandidateFailure: it cannot be scored.
            SubmissionError: it is not what was asked for.
        """
