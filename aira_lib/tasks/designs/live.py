"""The Compose tasks: a program submits a design, the proxy trains and scores it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from aira_lib.architecture.pattern import Layers, render
from aira_lib.proxy.stopping import with_bars
from aira_lib.records import Evaluation, Node
from aira_lib.sandbox import collect
from aira_lib.study import ProxySection
from aira_lib.tasks import MAX_SUBMISSION_BYTES, SUBMISSION, SubmissionError, description, read_submission
from aira_lib.tasks.designs.data import data_overview, write_train_data
from aira_lib.tasks.live import CandidateFailure, Evaluate, Progress, Scored
from aira_lib.tasks.task import SearchTask


class DesignTask:
    """See `aira_lib.tasks.live.Task`."""

    prompts: Literal["design", "program"] = "design"
    artefact = SUBMISSION

    def __init__(
        self, facts: SearchTask, layers: int, proxy: ProxySection, evaluate: Evaluate, data: Path, threads: int
    ) -> None:
        """Write the data of candidates into a new folder, `data`."""
        self.facts, self.layers, self.data = facts, layers, data
        write_train_data(proxy, data)
        self.description = description(self.facts, layers, proxy)
        self.data_overview = data_overview(data)
        self._proxy, self._score, self._threads = proxy, evaluate, threads

    def collect(self, workdir: Path) -> Mapping[str, bytes]:
        """See `Task`."""
        return {SUBMISSION: collect(workdir, SUBMISSION, MAX_SUBMISSION_BYTES)}

    def score(
        self,
        submitted: Mapping[str, bytes],
        nodes: Sequence[Node],
        seconds_left: Callable[[], float],
        progress: Progress,
    ) -> Scored:
        """See `Task`; a design that was scored before in this search is not scored again."""
        try:
            layers = read_submission(submitted[SUBMISSION], self.facts, self.layers)
        except SubmissionError as error:
            raise CandidateFailure(str(error)) from None
        design = render(layers)
        evaluation, reused = self._evaluate(layers, design, nodes, progress)
        if evaluation.status != "ok":
            known = Scored(design, evaluation=evaluation)
            raise CandidateFailure(f"the design could not be scored: {evaluation.reason}{reused}", known)
        said = "; ".join(part for part in (evaluation.reason, reused.strip(" ()")) if part)
        return Scored(design, evaluation.validation, evaluation.test, evaluation, reason=said)

    def _evaluate(
        self, layers: Layers, design: str, nodes: Sequence[Node], progress: Progress
    ) -> tuple[Evaluation, str]:
        """Score a design, once a search: the second value says from which step a score was taken over."""
        for node in nodes:
            if node.design == design and node.evaluation:
                return node.evaluation.model_copy(update={"seconds": 0.0}), f" (scored at step {node.step})"
        earlier: dict[str | None, Evaluation] = {}
        for node in nodes:
            if node.evaluation:
                earlier.setdefault(node.design, node.evaluation)
        proxy = with_bars(self._proxy, list(earlier.values()))
        scored = self._score(layers, proxy, seed=proxy.seed, threads=self._threads, progress=progress)
        return scored.finite(), ""
