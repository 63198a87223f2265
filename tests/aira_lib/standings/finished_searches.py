"""Studies of task folders with finished searches that nobody ran: journals made of given scores."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

import aira_lib.tasks
from aira_lib.flow.units import search_units
from aira_lib.records import Manifest, Node, StandIn
from aira_lib.store import open_store
from aira_lib.study.reading import load_study
from aira_lib.watch.nodes import JOURNAL
from tests.builders import node

TEMPLATE = Path(aira_lib.tasks.__file__).parent / "task-template"
Nodes = Sequence[tuple[float | None, float | None]]
"""Validation and test score of each step; None: a failed one."""


def task_folder(root: Path, name: str, **changes: object) -> Path:
    """A task folder by the template, under another name; `changes` are of its logging_info."""
    folder = root / "tasks" / name
    if not folder.exists():
        shutil.copytree(TEMPLATE, folder)
    path = folder / "metadata.yaml"
    metadata = yaml.safe_load(path.read_text())
    metadata["metric_lower_is_better"] = bool(changes.pop("lower_is_better", False))
    metadata["logging_info"] |= {"name": name, **changes}
    path.write_text(yaml.safe_dump(metadata))
    return folder


def study_of(
    root: Path, name: str, folder: Path, agents: Mapping[str, Mapping[int, Nodes]], one_shot: Sequence[str] = (),
    codes: Mapping[tuple[str, int], Sequence[tuple[str, float | None]]] | None = None,
) -> str:  # fmt: skip
    """A study with its searches, finished in the store `root`/runs; gives its file.

    Args:
        root: Of everything.
        name: Of the study.
        folder: Of its task.
        agents: By name and seed what each step scored; seeds without an entry are not finished.
        one_shot: Agents of that scaffold; the others are greedy.
        codes: Of an agent's seed the submitted code of each step with its validation, in the place of made-up steps.
    """
    path = root / f"{name}.yaml"
    said = [
        {
            "name": agent, "scaffold": "one-shot" if agent in one_shot else "greedy", "model": "openai/x",
            "seeds": max(seeds, default=0) + 1, "steps": 1 if agent in one_shot else 20,
        }
        for agent, seeds in agents.items()
    ]  # fmt: skip
    path.write_text(yaml.safe_dump({"name": name, "task": {"folder": str(folder)}, "agents": said}))
    study, store = load_study(path), open_store(str(root / "runs"))
    for unit in search_units(study):
        assert unit.agent is not None
        nodes = agents[unit.agent.name].get(unit.seed)
        if nodes is None:
            continue
        made = Manifest(
            stage="search", unit=unit.name, key=unit.key, study=name, spec_digest="", section={},
            stand_ins=(StandIn(what="made-up scores", instead_of="a search", detail=""),),
        )  # fmt: skip
        made_up = [_node(step, *scores) for step, scores in enumerate(nodes)]
        given = (codes or {}).get((unit.agent.name, unit.seed), ())
        own = [_node(step, score, score, code=code) for step, (code, score) in enumerate(given)]
        lines = "".join(each.json_line() for each in own or made_up)
        store.write(f"{unit.folder(study)}/{JOURNAL}", lines.encode())
        store.write(f"{unit.folder(study)}/manifest.json", made.json_line().encode())
    return str(path)


def _node(step: int, validation: float | None, test: float | None, **other: str) -> Node:
    code = f'NUM_LAYERS = {step + 1}\nLR = 0.001\nNAME = "x"\nlower = 3\n'
    status = "failed" if validation is None else "ok"
    made = {"status": status, "evaluation": None, "code": code, "plan": f"attention no. {step}\nin chunks"}
    return node(step, None, validation, test, **made | other)
