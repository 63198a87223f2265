"""Searches of a third party's task folder by a model whose programs are given."""

import json
from pathlib import Path
from typing import Any

import pytest

import aira_lib.search.stage as stage
from aira_lib.agents import Prompt, Reply
from aira_lib.records import Node, read_rows
from aira_lib.search.stage import search
from aira_lib.study import AgentSection, CandidateLimits, ProxySection, Study, TaskSection
from aira_lib.study.reading import parse_study
from tests.aira_lib.search.third_party_folder import NAME, third_party_folder
from tests.builders import work_in

LIMITS = CandidateLimits(seconds=30, memory_mb=512)
AGENT = AgentSection(name="greedy-recorded", model="scripted", steps=5, n_drafts=2, limits=LIMITS, record_replies=True)

PROGRAM = """\
import csv
FACTOR = {factor}
def column(split, name):
    with open(f"data/{{split}}/rows.csv", newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file)]
for split, name in (("held_out", "held_out_submission.csv"), ("test", "submission.csv")):
    areas = column(split, "area"){cut}
    with open(name, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["{header}"])
        writer.writerows([FACTOR * area] for area in areas)
print(len(column("train", "price")), "rows to learn from")
"""


def program(factor: float, header: str = "price", cut: str = "") -> str:
    return PROGRAM.format(factor=factor, header=header, cut=cut)


GOOD, BUGGY, INVALID, MENDED, BETTER = (
    program(1.0), program(1.0).replace("FACTOR = 1.0", "FACTOR = 1 / 0"), program(2.0, cut="[1:]"), program(2.0),
    program(3.0),
)  # fmt: skip


class Scripted:
    name = "scripted"

    def __init__(self, *programs: str) -> None:
        self.programs, self.prompts = list(programs), list[str]()

    def reply(self, prompt: Prompt, seed: int) -> Reply:
        self.prompts.append(prompt.text)
        return Reply(f"A plan.\n```python\n{self.programs[len(self.prompts) - 1]}\n```\n")


class Searched:
    """A finished search and what it was made of."""

    def __init__(self, where: Path, task: TaskSection, agent: AgentSection, *programs: str, **scripts: str) -> None:
        self.folder, self.shared = third_party_folder(where, **scripts)
        self.task = task.model_copy(update={"folder": str(self.folder), "name": NAME})
        self.agent, self.model, self.work = agent, Scripted(*programs), work_in(where / "work")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stage, "model_named", lambda *_: self.model)
            patch.setenv("AIRA_TASK_DATA", str(self.shared))
            search(self.task, ProxySection(), agent, 0, self.work)
        self.nodes = read_rows(self.work.path / "journal.jsonl", Node)
        self.summary = json.loads((self.work.path / "search.json").read_text())


def without_seconds(nodes: list[Node]) -> list[dict[str, Any]]:
    return [node.model_dump(exclude={"seconds"}) for node in nodes]


def folder_study(recorded: Searched, **task: Any) -> Study:
    agent = {"name": AGENT.name, "model": f"replay:{recorded.work.path}", "steps": 1, "n_drafts": 2,
             "limits": LIMITS.model_dump()}  # fmt: skip
    return parse_study({"name": "folder", "task": {"folder": str(recorded.folder), **task}, "agents": [agent]}, "test")
