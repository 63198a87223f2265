"""Searches of designs with a proxy that costs nothing, and a model whose programs are given."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import aira_lib.search.stage as stage
from aira_lib.agents import Prompt, Reply
from aira_lib.architecture.pattern import Layers
from aira_lib.records import Evaluation, Node, read_rows
from aira_lib.study import AgentSection, CandidateLimits, MADSettings, ProxySection, TaskSection

TASK = TaskSection(layers=6)

PROXY = ProxySection(
    tasks=("memorization", "in-context-recall"),
    difficulty={"in-context-recall": MADSettings(seq_len=16)},
    train_examples=10, test_examples=4,
)  # fmt: skip
LIMITS = CandidateLimits(seconds=30, memory_mb=256)
AGENT = AgentSection(steps=9, n_drafts=3, limits=LIMITS)
TEST = 0.48151623


class Proxy:
    """A cheap evaluation: the share of attention layers, and a test fitness to be recognised by."""

    def __init__(self) -> None:
        self.calls: list[Layers] = []

    def __call__(self, layers: Layers, section: ProxySection, *, seed: int, threads: int, progress: Any) -> Evaluation:
        assert seed == section.seed
        self.calls.append(layers)
        progress(1, 2, "half")
        share = layers.count("A") / len(layers)
        if layers[0] == "M":
            return Evaluation(status="failed", reason="diverged", seconds=1.0)
        return Evaluation(status="ok", validation=share, test=TEST, test_by_task={"x": TEST}, seconds=1.0)


class Scripted:
    """A model whose programs are given; keeps the prompts."""

    name = "scripted"

    def __init__(self, *programs: str | Callable[[], str]) -> None:
        self.programs, self.prompts = list(programs), list[str]()

    def reply(self, prompt: Prompt, seed: int) -> Reply:
        self.prompts.append(prompt.text)
        program = self.programs[min(len(self.prompts), len(self.programs)) - 1]
        return Reply(f"A plan.\n```python\n{program}\n```\n" if isinstance(program, str) else program())


def submit(design: str) -> str:
    return f"open('submission.csv', 'w').write('architecture\\n{design}\\n')"


def nodes_of(path: Path) -> list[Node]:
    return read_rows(path / "journal.jsonl", Node)


def without_seconds(nodes: list[Node]) -> list[dict[str, Any]]:
    def strip(value: Any) -> Any:
        return {k: strip(v) for k, v in value.items() if k != "seconds"} if isinstance(value, dict) else value

    return [strip(node.model_dump()) for node in nodes]


def scripted(monkeypatch: pytest.MonkeyPatch, *programs: str | Callable[[], str]) -> Scripted:
    model = Scripted(*programs)
    monkeypatch.setattr(stage, "model_named", lambda *_: model)
    return model


class Killed(BaseException):
    """What a kill looks like from inside."""
