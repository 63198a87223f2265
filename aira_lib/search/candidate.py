"""One step of a search: from a prompt to a node. Whatever a candidate does wrong becomes the node's reason."""

import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aira_lib.agents import Model, Reply, ReplyError, Situation, next_step, parse_reply, render_prompt
from aira_lib.agents.analysis import analysed, wants_analysis
from aira_lib.agents.ledger import used_up
from aira_lib.agents.patch import change_of, parse_edit
from aira_lib.agents.prompt import patch_wanted, shortened
from aira_lib.agents.reply import MAX_PLAN, cleaned, ended
from aira_lib.agents.step import Step, gain_of, step_rng
from aira_lib.records import Node
from aira_lib.sandbox import ArtefactError, Outcome, discard, run_candidate
from aira_lib.sandbox.gpu_in_words import gpu_in_words
from aira_lib.spec import AgentSection
from aira_lib.tasks import SubmissionError
from aira_lib.tasks.live import DATA, CandidateFailure, Task

_MOST_REPLY = 20_000  # characters kept of a reply without a program


@dataclass(frozen=True)
class Candidates:
    """Makes the nodes of one search, each from the nodes before it."""

    task: Task
    agent: AgentSection
    seed: int
    model: Model
    scratch: Path
    cores: int

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
        started, task = time.monotonic(), self.task
        rng = step_rng(self.seed, len(nodes))
        step = next_step(nodes, self.agent, rng, self.task.facts.lower_is_better)
        parents = [node for name in step.parents for node in nodes if node.id == name]
        parent, other = [*parents, None, None][:2]
        situation = Situation(
            task.description, task.facts.primitives, task.layers, task.data_overview, self.agent.limits, self.cores,
            seconds_left(), steps_left, self.task.facts.lower_is_better, edit=self.agent.edit,
            one_change=self.agent.one_change, memory=self.agent.memory, memory_tokens=self.agent.memory_tokens,
            complexity_cues=self.agent.complexity_cues, artefact=task.artefact, prompts=task.prompts,
            gpu=gpu_in_words(self.agent.limits),
        )  # fmt: skip
        progress(0, 1, f"{step.operator}: asking {self.model.name}")
        prompt = render_prompt(step.operator, situation, nodes, parent, other)
        reply = self.model.reply(prompt, int(rng.integers(2**31)))
        found: dict[str, Any] = {}
        patched = parent if patch_wanted(step.operator, self.agent.edit, parent) else None
        try:
            _parse(reply, patched, task.artefact, found)
            self._attempt(nodes, seconds_left, progress, found)
        except (CandidateFailure, ReplyError, ArtefactError, SubmissionError) as failure:
            found |= {"status": "failed", "reason": str(failure)}
        node = Node(
            step=len(nodes),
            id=self._id(len(nodes)),
            parents=step.parents,
            operator=step.operator,
            debug_depth=_debug_depth(step, parent),
            island=step.island,
            gain=gain_of(found.get("validation"), step.parents, nodes),
            usage=reply.usage,
            **found,
        )
        bought = used_up(self.agent, [*nodes, node]) is None and seconds_left() > 0
        if bought and wants_analysis(self.agent, node):
            progress(1, 1, f"analyse: asking {self.model.name}")
            node = analysed(node, self.model, situation, int(rng.integers(2**31)))
        return node.model_copy(update={"seconds": time.monotonic() - started})

    def _attempt(
        self,
        nodes: Sequence[Node],
        seconds_left: Callable[[], float],
        progress: Callable[[float, float, str], None],
        found: dict[str, Any],
    ) -> None:
        """Run, read and score; what is known by then is in `found` when it fails."""
        submitted = self._run(found["code"], seconds_left, found)
        self.task.score(submitted, nodes, seconds_left, progress, found)
        found["status"] = "ok"

    def _run(self, code: str, seconds_left: Callable[[], float], found: dict[str, Any]) -> Mapping[str, bytes]:
        """Run the program in a fresh work directory and take what it submits."""
        workdir = Path(tempfile.mkdtemp(dir=self.scratch))
        try:
            outcome = run_candidate(code, workdir, self.agent.limits, seconds_left(), {DATA: self.task.data})
            found["output"] = _output(outcome)
            if outcome.status != "ok":
                raise CandidateFailure(f"the program failed ({outcome.status}): {outcome.reason}")
            return self.task.collect(workdir)
        finally:
            discard(workdir)

    def _id(self, step: int) -> str:
        name = f"{self.task.facts.name} {self.agent.name} {self.seed} {step}"
        return hashlib.sha256(name.encode()).hexdigest()[:12]


def _parse(reply: Reply, patched: Node | None, artefact: str, found: dict[str, Any]) -> None:
    """Find plan and program in a reply; a failure says, too, how the provider ended the reply."""
    try:
        _read(reply.text, reply.finish == "length", patched, artefact, found)
    except ReplyError as error:
        raise CandidateFailure("; ".join(part for part in (str(error), ended(reply.finish)) if part)) from None


def _read(text: str, cut: bool, patched: Node | None, artefact: str, found: dict[str, Any]) -> None:
    """Read a program, or the patch of a node's program; a repair sees what `found` holds by then."""
    if patched is None:
        found["code"] = shortened(cleaned(text), _MOST_REPLY)
        parsed = parse_reply(text, artefact, cut)
        found |= {"plan": parsed.plan, "code": parsed.code}
        return
    found |= {"plan": shortened(cleaned(text), MAX_PLAN), "code": patched.code}
    parsed = parse_edit(text, patched.code, artefact, cut)
    # A repair carries the change on that it mends.
    change = patched.change if patched.status == "failed" and patched.change else change_of(parsed.plan)
    found |= {"plan": parsed.plan, "code": parsed.code, "change": change}


def _debug_depth(step: Step, parent: Node | None) -> int:
    return parent.debug_depth + 1 if step.operator == "debug" and parent else 0


def _output(outcome: Outcome) -> str:
    return "\n".join(part for part in (outcome.stdout_tail.rstrip(), outcome.stderr_tail.rstrip()) if part)
