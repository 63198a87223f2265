"""What a search needs of a task, whatever its kind: words for the prompt, data to work on, and a score."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, cast

from aira_lib.architecture.pattern import Layers
from aira_lib.records import Evaluation, Node
from aira_lib.study import ProxySection
from aira_lib.tasks import SearchTask

DATA = "data"
"""The folder in which a candidate finds the data."""

Progress = Callable[[float, float, str], None]


@dataclass(frozen=True)
class Scored:
    """What is known of a candidate's score: fields of its `Node`, by the same names; the defaults say nothing.

    `reason` is a remark on a score that counts, such as from where it was taken over; `output` is what was printed
    while it was scored; `measures` are what the harness measured beside the score.
    """

    design: str | None = None
    validation: float | None = None
    test: float | None = None
    evaluation: Evaluation | None = None
    self_reported: bool = False
    reason: str = ""
    output: str = ""
    measures: Mapping[str, float] = field(default_factory=dict)


NOTHING = Scored()


def untested(scored: Scored) -> Scored:
    """What stays known of a candidate that failed in its final test, and so has no score at all."""
    return Scored(output=scored.output, measures=scored.measures)


class CandidateFailure(Exception):
    """The candidate failed; the text is the node's reason, and `scored` is what was known by then."""

    def __init__(self, reason: str, scored: Scored = NOTHING) -> None:
        super().__init__(reason)
        self.scored = scored


class Evaluate(Protocol):
    """The proxy evaluation, `aira_lib.proxy.evaluation.evaluate` or a cheap one for tests."""

    def __call__(
        self,
        layers: Layers,
        section: ProxySection,
        *,
        seed: int,
        threads: int,
        progress: Callable[[float, float, str], None],
    ) -> Evaluation:
        """Score a design."""


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

    It may have `also`, a sequence with the names of further files that every program has to write, and `folders`, a
    mapping of names to further folders that a candidate sees, read-only, beside its data; `hides` names packages that
    no candidate sees. With `is_artefact` a reply's
    program is the artefact itself, and is not run as a candidate; `limits` are then those that hold for it. It may
    have a method `consulted`, which takes the nodes so far and gives what their last one asked to read: a `text` for
    the prompt, and the `names` of what stands in it. Where `tested_apart` is true it is a `TestedApart`, too.
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
    ) -> Scored:
        """Score what was submitted.

        Args:
            submitted: What `collect` took, by file name.
            nodes: The search so far.
            seconds_left: Seconds that are left of the search.
            progress: Part, whole and a note.

        Raises:
            CandidateFailure: it is not what was asked for, or cannot be scored.
        """


class Reseeded(Protocol):
    """What a task with a baseline has besides: scores with another seed of the training.

    Attributes:
        baseline: The program that agents start from.
        seed: Of the trainings that `Task.score` runs.
    """

    baseline: str
    seed: int

    def score_baseline(self, seed: int, seconds_left: Callable[[], float], progress: Progress) -> Scored:
        """Score the baseline by its validation fitness alone.

        Args:
            seed: Of its training.
            seconds_left: Seconds that are left of the search.
            progress: Part, whole and a note.

        Raises:
            CandidateFailure: it fails.
        """

    def score_again(
        self, submitted: Mapping[str, bytes], seed: int, seconds_left: Callable[[], float], progress: Progress
    ) -> Scored:
        """The same for what a program submitted."""


class TestedApart(Protocol):
    """What a task has besides whose hidden test `Task.score` does not run: it is run for programs that become the best.

    Only the search knows which do: a gain within its noise floor is none, and hundreds of looks fit to the test.
    """

    def score_test(
        self, submitted: Mapping[str, bytes], seconds_left: Callable[[], float], progress: Progress
    ) -> float:
        """The hidden score of what was submitted and has been scored.

        Raises:
            CandidateFailure: it fails; the text says nothing of submitted code's, which may have seen hidden labels.
        """


def tested_apart(task: Task) -> TestedApart | None:
    """A task whose test is run apart, as such."""
    return cast(TestedApart, task) if getattr(task, "tested_apart", False) else None


def reseeded(task: Task) -> Reseeded | None:
    """A task that has a baseline, as such."""
    return cast(Reseeded, task) if getattr(task, "baseline", None) is not None else None
