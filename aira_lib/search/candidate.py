"""One step of a search: from a prompt to a node. Whatever a candidate does wrong becomes the node's reason."""

import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import isfinite
from pathlib import Path

import numpy as np

from aira_lib.agents import Model, Reply, ReplyError, Situation, next_step, parse_reply, render_prompt
from aira_lib.agents.analysis import analysed, wants_analysis
from aira_lib.agents.bounds import MAX_PLAN
from aira_lib.agents.ledger import used_up
from aira_lib.agents.noise import floor_of, noise_of_gain
from aira_lib.agents.patch import change_of, parse_edit
from aira_lib.agents.prompt import Prompt, patch_wanted, shortened
from aira_lib.agents.replay import NotRecorded
from aira_lib.agents.reply import ended
from aira_lib.agents.spoken import cleaned
from aira_lib.agents.step import Operator, Step, best_node, fitness, gain_of, step_rng
from aira_lib.agents.templates import OwnTemplate
from aira_lib.agents.usage import added
from aira_lib.records import Node
from aira_lib.sandbox import ArtefactError, Outcome, discard, run_candidate
from aira_lib.sandbox.gpu_in_words import gpu_in_words
from aira_lib.sandbox.packages_in_words import packages_in_words
from aira_lib.search.bounded import at_most
from aira_lib.study import AgentSection
from aira_lib.study.agent import OperatorName
from aira_lib.tasks.live import DATA, NOTHING, CandidateFailure, Scored, Task, tested_apart, untested

_MOST_REPLY = 20_000  # characters kept of a reply without a program
_NOT_FINITE = "a score is not a finite number"
_MOST_SECONDS = 120.0  # for reading a reply, which takes one at most on a machine that is not far too busy


@dataclass(frozen=True)
class _Written:
    """What a reply holds, by the names of a node's fields: of one without a program, what stands in its place."""

    plan: str = ""
    code: str = ""
    change: str = ""


@dataclass(frozen=True)
class _Tried:
    """What came of a program: what it printed, how it scored and what it submitted.

    `why_not` says why it failed, and `noise` why a better score is not taken for better.
    """

    output: str = ""
    scored: Scored = NOTHING
    why_not: str | None = None
    noise: str = ""
    submitted: Mapping[str, bytes] = field(default_factory=dict)


@dataclass
class Candidates:
    """Makes the nodes of one search, each from the nodes before it; `submitted` is what the last program submitted."""

    task: Task
    agent: AgentSection
    seed: int
    model_for: Callable[[OperatorName], Model]
    scratch: Path
    cores: int
    submitted: Mapping[str, bytes] = field(default_factory=dict)
    templates: Mapping[OperatorName, OwnTemplate] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    begin: Callable[[int], dict[str, float]] = lambda step: {}
    """Told of each step that begins; what earlier calls for that very step used in vain."""

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
        step = next_step(nodes, self.agent, rng, self.task.facts.lower_is_better)
        parents = [node for name in step.parents for node in nodes if node.id == name]
        parent, other = [*parents, None, None][:2]
        # A draft from the baseline is asked for as any other edit of a program.
        asked: Operator = "improve" if step.operator == "draft" and parent else step.operator
        situation = self._situation(asked, nodes, steps_left, seconds_left())
        consulted: tuple[str, ...] = ()
        if consult := getattr(self.task, "consulted", None):
            shown = consult(nodes)
            situation = replace(situation, description="\n\n".join(filter(None, (situation.description, shown.text))))
            consulted = shown.names
        model = self.model_for(asked)
        progress(0, 1, f"{step.operator}: asking {model.name}")
        prompt = render_prompt(asked, situation, nodes, parent, other)
        patched = parent if patch_wanted(asked, self.agent.edit, parent) else None
        written, why_not, usage = self._written(model, prompt, int(rng.integers(2**31)), patched, nodes, seconds_left)
        tried = _Tried(why_not=why_not) if why_not else self._try(written.code, nodes, seconds_left, progress)
        self.submitted, failed = tried.submitted, tried.why_not is not None
        output = "\n".join(part for part in (tried.output, tried.scored.output) if part)
        scored = vars(tried.scored) | {"output": output} | ({"reason": tried.why_not} if failed else {})
        if tried.noise:
            scored |= {"within_noise": True, "reason": "; ".join(filter(None, (tried.scored.reason, tried.noise)))}
        node = Node(
            step=len(nodes),
            id=id_of_step(self.task.facts.name, self.agent, self.seed, len(nodes)),
            parents=step.parents,
            operator=step.operator,
            debug_depth=_debug_depth(step, parent),
            island=step.island,
            status="failed" if failed else "ok",
            gain=gain_of(tried.scored.validation, step.parents, nodes),
            usage=usage,
            consulted=consulted,
            **asdict(written),
            **scored,
        )
        bought = used_up(self.agent, [*nodes, node]) is None and seconds_left() > 0
        if bought and wants_analysis(self.agent, node):
            model = self.model_for("analyse")
            progress(1, 1, f"analyse: asking {model.name}")
            node = analysed(node, model, situation, int(rng.integers(2**31)), seconds_left())
        return node.model_copy(update={"seconds": time.monotonic() - started})

    def _situation(
        self, operator: OperatorName, nodes: Sequence[Node], steps_left: int, seconds_left: float
    ) -> Situation:
        task, agent = self.task, self.agent
        floor = floor_of(nodes, agent.noise.sigmas)
        noise = [floor.in_words(task.facts.lower_is_better)] if floor else []
        limits = getattr(task, "limits", agent.limits)
        return Situation(
            "\n\n".join([task.description, *noise]), task.facts.primitives, task.layers, task.data_overview,
            limits, self.cores,
            seconds_left, steps_left, task.facts.lower_is_better, edit=agent.edit, one_change=agent.one_change,
            memory=agent.memory_for(operator), memory_tokens=agent.memory_tokens, artefact=task.artefact,
            complexity_cues=agent.complexity_cues, prompts=task.prompts, gpu=gpu_in_words(limits),
            also=tuple(getattr(task, "also", ())), packages=packages_in_words(self.packages),
            templates=self.templates, is_artefact=getattr(task, "is_artefact", False),
        )  # fmt: skip

    def _written(
        self,
        model: Model,
        prompt: Prompt,
        seed: int,
        patched: Node | None,
        nodes: Sequence[Node],
        seconds_left: Callable[[], float],
    ) -> tuple[_Written, str, dict[str, float]]:
        """Ask until a reply holds a program, as often as the agent may: it, why there is none, and the usage."""
        usage = self.begin(len(nodes))
        written, why_not = _Written(), ""
        for number in range(self.agent.tries):
            try:
                reply = model.reply(replace(prompt, seconds=seconds_left()), _seed_of_try(seed, number))
            except NotRecorded:  # a recording of an agent with fewer tries
                if number == 0:
                    raise
                break
            usage = added(usage, reply.usage)
            written, why_not = _read(reply, patched, self.task.artefact)
            why_not += f" (the last of {number + 1} replies)" if why_not and number else ""
            useless = reply.finish in ("context", "time") or seconds_left() <= 0
            if not why_not or useless or used_up(self.agent, nodes, usage):
                break
        return written, why_not, usage

    def _try(
        self,
        code: str,
        nodes: Sequence[Node],
        seconds_left: Callable[[], float],
        progress: Callable[[float, float, str], None],
    ) -> _Tried:
        """Run a program in a fresh work directory, and score what it submits; or submit the program itself."""
        if getattr(self.task, "is_artefact", False):
            itself = {self.task.artefact: code.encode("utf-8", "replace")}
            return self._scored(itself, "", nodes, seconds_left, progress)
        workdir = Path(tempfile.mkdtemp(dir=self.scratch))
        try:
            seen = {DATA: self.task.data, **getattr(self.task, "folders", {})}
            wanted = (self.task.artefact, *getattr(self.task, "also", ()))
            hides = getattr(self.task, "hides", ())
            outcome = run_candidate(code, workdir, self.agent.limits, seconds_left(), seen, wanted, hides)
            output = _output(outcome)
            if outcome.status != "ok":
                return _Tried(output, why_not=f"the program failed ({outcome.status}): {outcome.reason}")
            submitted = self.task.collect(workdir)
        except ArtefactError as refused:
            return _Tried(output, why_not=str(refused))
        finally:
            discard(workdir)
        return self._scored(submitted, output, nodes, seconds_left, progress)

    def _scored(
        self,
        submitted: Mapping[str, bytes],
        output: str,
        nodes: Sequence[Node],
        seconds_left: Callable[[], float],
        progress: Callable[[float, float, str], None],
    ) -> _Tried:
        """Score what was submitted by a program that printed `output`."""
        try:
            scored = self.task.score(submitted, nodes, seconds_left, progress)
        except CandidateFailure as failure:
            return _Tried(output, failure.scored, str(failure))
        if scored.validation is None or not isfinite(scored.validation):
            return _Tried(output, untested(scored), _NOT_FINITE)
        noise = noise_of_gain(scored.validation, nodes, self.agent, self.task.facts.lower_is_better)
        try:
            scored = self._tested(scored, submitted, nodes, seconds_left, progress) if not noise else scored
        except CandidateFailure as failure:
            return _Tried(output, untested(scored), str(failure))
        if not isfinite(scored.test or 0.0):
            return _Tried(output, untested(scored), _NOT_FINITE)
        return _Tried(output, scored, submitted=submitted, noise=noise)

    def _tested(
        self,
        scored: Scored,
        submitted: Mapping[str, bytes],
        nodes: Sequence[Node],
        seconds_left: Callable[[], float],
        progress: Callable[[float, float, str], None],
    ) -> Scored:
        """With the hidden test, where that is run apart and the program becomes the best."""
        apart, lower = tested_apart(self.task), self.task.facts.lower_is_better
        best, sign = best_node(nodes, lower), -1.0 if lower else 1.0
        if apart is None or (best and sign * (scored.validation or 0.0) <= fitness(best, lower)):
            return scored
        return replace(scored, test=apart.score_test(submitted, seconds_left, progress))


def id_of_step(task: str, agent: AgentSection, seed: int, step: int) -> str:
    """The id of a step's node, which is the same whenever the search is run."""
    return hashlib.sha256(f"{task} {agent.name} {seed} {step}".encode()).hexdigest()[:12]


@at_most(_MOST_SECONDS)
def _read(reply: Reply, patched: Node | None, artefact: str) -> tuple[_Written, str]:
    """Plan and program of a reply, or why there are none; this says, too, how the provider ended the reply."""
    try:
        return (_program(reply, artefact) if patched is None else _patch(reply, patched, artefact)), ""
    except ReplyError as error:
        # A repair is shown the reply itself, or the program that a patch was meant for.
        text = cleaned(reply.text)
        kept = (
            _Written(code=shortened(text, _MOST_REPLY))
            if patched is None
            else _Written(plan=shortened(text, MAX_PLAN), code=patched.code)
        )
        return kept, "; ".join(part for part in (str(error), ended(reply.finish)) if part)


def _program(reply: Reply, artefact: str) -> _Written:
    parsed = parse_reply(reply.text, artefact, reply.finish == "length")
    return _Written(parsed.plan, parsed.code)


def _patch(reply: Reply, patched: Node, artefact: str) -> _Written:
    parsed = parse_edit(reply.text, patched.code, artefact, reply.finish == "length")
    # A repair carries the change on that it mends.
    change = patched.change if patched.status == "failed" and patched.change else change_of(parsed.plan)
    return _Written(parsed.plan, parsed.code, change)


def _seed_of_try(seed: int, number: int) -> int:
    """The seed of a call: that of the step, and others where the step asks again."""
    return seed if number == 0 else int(np.random.default_rng([seed, number]).integers(2**31))


def _debug_depth(step: Step, parent: Node | None) -> int:
    return parent.debug_depth + 1 if step.operator == "debug" and parent else 0


def _output(outcome: Outcome) -> str:
    return "\n".join(part for part in (outcome.stdout_tail.rstrip(), outcome.stderr_tail.rstrip()) if part)
