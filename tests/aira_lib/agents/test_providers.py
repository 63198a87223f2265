"""Providers of models: each name has one owner, and one from outside needs no change of the package."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from aira_lib.agents.providers import provider_of
from aira_lib.agents.providers.baselines import Baselines
from aira_lib.agents.providers.litellm import LiteLLM
from aira_lib.agents.providers.offline import Offline
from aira_lib.agents.providers.replay import Replay
from aira_lib.agents.providers.smollm2 import Smollm2
from aira_lib.errors import UserError
from aira_lib.local.search_study import SearchOptions, study_for
from aira_lib.tasks.airs import new_task_folder
from tests.aira_lib.cli.in_process import Ended, aira_elsewhere
from tests.builders import TINY_STUDY

pytestmark = pytest.mark.usefixtures("plain_kernels")

ROOT = Path(__file__).parents[3]
TASK = "NeuralArchitectureSearchMAD3PrimitivesMbAccuracy"

TOY = '''
"""A provider from outside: its models submit the same layer everywhere."""

from aira_lib.agents import Reply
from aira_lib.agents.prompt import read_memory
from aira_lib.agents.providers import PROVIDERS, Provider
from aira_lib.errors import UserError
from aira_lib.study.model_traits import ModelTraits
from aira_lib.records import StandIn


class Toy:
    def __init__(self, name):
        self.name = name

    def reply(self, prompt, seed):
        layers = [self.name.partition(":")[2]] * read_memory(prompt.text)["layers"]
        rows = "\\n".join(["layer", *layers])
        program = f"open('submission.csv', 'w').write({rows!r})"
        return Reply(f"One layer only.\\n\\n```python\\n{program}\\n```\\n", {"calls": 1.0})


class Toys(Provider):
    traits = ModelTraits(prefixes=("toy",), memory_tokens=123, spoken="plaything")
    over_network = False
    designs_only = True

    def make(self, model, temperature, reasoning_effort):
        if model == "toy:":
            raise UserError("model 'toy:': which layer?")
        return Toy(model)

    def stand_in(self, agent):
        return StandIn(what="a toy", instead_of="a large language model", detail=agent.name)


PROVIDERS.add("toys", Toys())
'''


@pytest.mark.parametrize(
    ("model", "owner"),
    [
        ("offline", Offline),
        ("offline:x", LiteLLM),
        ("replay:/a:b", Replay),
        ("replay", LiteLLM),
        ("smollm2", Smollm2),
        ("openai/smollm2", LiteLLM),
        ("random", Baselines),
        ("bo-end-layer:3", Baselines),
        ("ollama/llama3:8b", LiteLLM),
    ],
)
def test_a_name_has_one_owner(model: str, owner: type) -> None:
    assert type(provider_of(model)) is owner


def test_a_task_folder_refuses_every_model_that_writes_designs_only(tmp_path: Path) -> None:
    folder = str(new_task_folder(tmp_path / "MyTask"))
    for model in ("offline", "random", "bo-end-layer:2"):
        with pytest.raises(UserError, match=f"--model {model}: it writes designs only; MyTask needs a language model"):
            study_for(folder, SearchOptions(model=model))


def toy_searches(tmp_path: Path, *searches: Sequence[str]) -> list[Ended]:
    """Each `aira search`, in one process to which nothing is new but a module on its path."""
    (tmp_path / "toy_models.py").write_text(TOY)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("AIRA_", "MLFLOW_"))}
    env |= {"AIRA_PLUGINS": "toy_models", "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    env |= {"AIRA_KERNELS": "plain", "NO_COLOR": "1"}
    store = ("--store", str(tmp_path / "runs"))
    return aira_elsewhere(env, ROOT, *(("search", *each, *store) for each in searches))


def test_a_provider_from_outside_searches(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY_STUDY))
    options = ["--model", "toy:M", "--seeds", "1", "--steps", "2", "--profile", str(tmp_path / "tiny.yaml")]
    toy = [TASK, *options, "--tracking", "none"]
    nameless = [TASK, "--model", "toy:", "--profile", "laptop"]
    programs = [str(new_task_folder(tmp_path / "MyTask")), "--model", "toy:M"]
    planned, done, *refused = toy_searches(tmp_path, [*toy, "--dry-run"], toy, nameless, programs)
    assert "Cost: nothing (toy:M asks no provider)" in planned.out, planned.err
    assert done.code == 0, done.out + done.err
    (record,) = (tmp_path / "runs").glob("*/search/greedy-plaything.s0-*")
    (journal,) = record.glob("*/journal.jsonl")
    nodes = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [node["status"] for node in nodes][:1] == ["ok"]
    assert set(nodes[0]["design"]) <= set("M-0123456789x()")
    manifest = json.loads((record / "manifest.json").read_text())
    assert manifest["section"]["agent"]["memory_tokens"] == 123
    assert {"what": "a toy", "instead_of": "a large language model", "detail": "greedy-plaything"} in manifest[
        "stand_ins"
    ]
    # Its refusals are one line before anything runs.
    assert (refused[0].code, refused[0].err) == (2, "aira: model 'toy:': which layer?\n")
    assert (refused[1].code, refused[1].err.count("\n")) == (2, 1)
    assert "--model toy:M: it writes designs only" in refused[1].err
