"""One step of a search: from a prompt to a node. Whatever a candidate does wrong becomes the node's reason."""

import hashlib
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aira_lib.agents import Model, ReplyError, Situation, next_step, parse_reply, render_prompt
from aira_lib.agents.patch import change_of, parse_edit
from aira_lib.agents.prompt import patch_wanted, shortened
from aira_lib.agents.reply import MAX_PLAN, cleaned
from aira_lib.agents.step import Step, gain_of, step_rng
from aira_lib.architecture.pattern import Layers, render
from aira_lib.records import Evaluation, Node
from aira_lib.sandbox import ArtefactError, Outcome, collect, discard, run_candidate
from aira_lib.search.data import FOLDER
from aira_lib.spec import AgentSection, ProxySection
from aira_lib.tasks import MAX_SUBMISSION_BYTES, SUBMISSION, SearchTask, SubmissionError, read_submission

_MOST_REPLY = 20_000  # characters kept of a reply without a program


class Evaluate(Protocol):
    """The proxy evaluation, `aira_lib.proxy.evaluate` or a cheap one for tests."""

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


class _Failed(Exception):
    """The candidate failed; the text is the node's reason."""


@dataclass(frozen=True)
class Candidates:
    """Makes the nodes of one search, each from the nodes before it."""

    task: SearchTask
    n_layers: int
    proxy: ProxySection
    agent: AgentSection
    seed: int
    model: Model
    evaluate: Evaluate
    description: str
    data_overview: str
    data: Path
    scratch: Path
    cores: int
    threads: int

    def make(
        self,
        nodes: Sequence[Node],
        steps_left: int,
        seconds_left: Callable[[], float],
        progress: Callable[[float, float, str], None],
    ) -> Node:
        """Do the next step.

        Raises:
            UserError: the model, the machine or the study stops the search, not the candidate.
        """
        started = time.monotonic()
        rng = step_rng(self.seed, len(nodes))
        step = next_step(nodes, self.agent, rng, self.task.lower_is_better)
        parents = [node for name in step.parents for node in nodes if node.id == name]
        parent, other = [*parents, None, None][:2]
        situation = Situation(
            self.description, self.task.primitives, self.n_layers, self.data_overview, self.agent.limits, self.cores,
            seconds_left(), steps_left, self.task.lower_is_better, edit=self.agent.edit,
            one_change=self.agent.one_change,
        )  # fmt: skip
        progress(0, 1, f"{step.operator}: asking {self.model.name}")
        prompt = render_prompt(step.operator, situation, nodes, parent, other)
        reply = self.model.reply(prompt, int(rng.integers(2**31)))
        found: dict[str, Any] = {}
        patched = parent if patch_wanted(step.operator, self.agent.edit, parent) else None
        try:
            _parse(reply.text, patched, found)
            self._attempt(nodes, seconds_left, progress, found)
        except (_Failed, ReplyError, ArtefactError, SubmissionError) as failure:
            found |= {"status": "failed", "reason": str(failure)}
        return Node(
            step=len(nodes),
            id=self._id(len(nodes)),
            parents=step.parents,
            operator=step.operator,
            debug_depth=_debug_depth(step, parent),
            island=step.island,
            gain=gain_of(found.get("validation"), step.parents, nodes),
            usage=reply.usage,
            seconds=time.monotonic() - started,
            **found,
        )

    def _attempt(
        self,
        nodes: Sequence[Node],
        seconds_left: Callable[[], float],
        progress: Callable[[float, float, str], None],
        found: dict[str, Any],
    ) -> None:
        """Run, read and score; what is known by then is in `found` when it fails."""
        layers = self._run(found["code"], seconds_left, found)
        design = found["design"] = render(layers)
        evaluation, reused = self._evaluate(layers, design, nodes, progress)
        found["evaluation"] = evaluation
        if evaluation.status != "ok":
            raise _Failed(f"the design could not be scored: {evaluation.reason}{reused}")
        found |= {
            "status": "ok",
            "reason": reused.strip(" ()"),
            "validation": evaluation.validation,
            "test": evaluation.test,
        }

    def _run(self, code: str, seconds_left: Callable[[], float], found: dict[str, Any]) -> Layers:
        """Run the program in a fresh work directory and read what it submits."""
        workdir = Path(tempfile.mkdtemp(dir=self.scratch))
        try:
            outcome = run_candidate(code, workdir, self.agent.limits, seconds_left(), {FOLDER: self.data})
            found["output"] = _output(outcome)
            if outcome.status != "ok":
                raise _Failed(f"the program failed ({outcome.status}): {outcome.reason}")
            submission = collect(workdir, SUBMISSION, MAX_SUBMISSION_BYTES)
        finally:
            discard(workdir)
        return read_submission(submission, self.task, self.n_layers)

    def _evaluate(
        self, layers: Layers, design: str, nodes: Sequence[Node], progress: Callable[[float, float, str], None]
    ) -> tuple[Evaluation, str]:
        """Score a design, once a search: the second value says from which step a score was taken over."""
        for node in nodes:
            if node.design == design and node.evaluation:
                return node.evaluation.model_copy(update={"seconds": 0.0}), f" (scored at step {node.step})"
        evaluation = self.evaluate(layers, self.proxy, seed=self.proxy.seed, threads=self.threads, progress=progress)
        return _finite(evaluation), ""

    def _id(self, step: int) -> str:
        name = f"{self.task.name} {self.agent.name} {self.seed} {step}"
        return hashlib.sha256(name.encode()).hexdigest()[:12]


def _parse(reply: str, patched: Node | None, found: dict[str, Any]) -> None:
    """Find plan and program in a reply, or the patch of a node's program; a repair sees what `found` holds by then."""
    if patched is None:
        found["code"] = shortened(cleaned(reply), _MOST_REPLY)
        parsed = parse_reply(reply, SUBMISSION)
        found |= {"plan": parsed.plan, "code": parsed.code}
        return
    found |= {"plan": shortened(cleaned(reply), MAX_PLAN), "code": patched.code}
    parsed = parse_edit(reply, patched.code, SUBMISSION)
    # A repair carries the change on that it mends.
    change = patched.change if patched.status == "failed" and patched.change else change_of(parsed.plan)
    found |= {"plan": parsed.plan, "code": parsed.code, "change": change}


def _debug_depth(step: Step, parent: Node | None) -> int:
    return parent.debug_depth + 1 if step.operator == "debug" and parent else 0


def _output(outcome: Outcome) -> str:
    return "\n".join(part for part in (outcome.stdout_tail.rstrip(), outcome.stderr_tail.rstrip()) if part)


def _finite(evaluation: Evaluation) -> Evaluation:
    """A score that is no finite number is a failure: it must neither win nor reach a record."""
    scores = [evaluation.validation, evaluation.test]
    scores += [*evaluation.validation_by_task.values(), *evaluation.test_by_task.values()]
    if all(score is None or math.isfinite(score) for score in scores) and (
        evaluation.status != "ok" or evaluation.validation is not None
    ):
        return evaluation
    return Evaluation(
        status="failed",
        reason="a score is not a finite number",
        params=evaluation.params,
        train_steps=evaluation.train_steps,
        seconds=evaluation.seconds,
    )
