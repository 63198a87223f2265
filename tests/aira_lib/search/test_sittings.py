"""A search in several sittings: interrupted, killed, replayed, out of time or budget."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import aira_lib.search.stage as stage
from aira_lib.agents import Prompt, Reply
from aira_lib.architecture.pattern import Layers
from aira_lib.errors import UserError
from aira_lib.records import Evaluation
from aira_lib.search.scratch import scratch_folder
from aira_lib.search.stage import search
from aira_lib.study import AgentSection
from aira_lib.study.agent import EvolutionSettings, TreeSettings
from tests.aira_lib.search.cheap_searches import (
    AGENT,
    PROXY,
    TASK,
    Killed,
    Proxy,
    Scripted,
    nodes_of,
    scripted,
    submit,
    without_seconds,
)
from tests.builders import work_in

EVOLUTION = EvolutionSettings(
    islands=2, individuals=1, crossover_after=1, crossover_probability=0.8, migration_probability=0.7
)


@pytest.mark.parametrize(
    ("agent", "operators", "cuts"),
    [
        (AGENT, {"draft", "improve"}, range(9)),
        (AGENT.model_copy(update={"scaffold": "tree", "tree": TreeSettings(num_children=2)}),
         {"draft", "improve"}, (1, 4, 7)),
        (AGENT.model_copy(update={"scaffold": "evolutionary", "steps": 14, "evolution": EVOLUTION}),
         {"draft", "crossover"}, (1, 5, 8, 12)),
        (AGENT.model_copy(update={"scaffold": "one-shot"}), {"draft"}, (0,)),
    ],
    ids=["greedy", "tree", "evolutionary", "one-shot"],
)  # fmt: skip
def test_interrupted_after_any_node_it_ends_as_if_it_had_not_been(
    agent: AgentSection, operators: set[str], cuts: Sequence[int], tmp_path: Path
) -> None:
    whole = work_in(tmp_path / "whole")
    search(TASK, PROXY, agent, 7, whole, Proxy())
    expected = nodes_of(whole.path)
    lines = (whole.path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    assert {node.operator for node in expected} >= operators
    for cut in cuts:
        work = work_in(tmp_path / f"cut{cut}")
        # The node after the cut was being written when the search was killed.
        (work.path / "journal.jsonl").write_bytes(b"".join(lines[:cut]) + lines[cut][: 11 * cut])
        proxy = Proxy()
        search(TASK, PROXY, agent, 7, work, proxy)
        assert without_seconds(nodes_of(work.path)) == without_seconds(expected)
        assert len(proxy.calls) <= len(expected) - cut
        first, second = (json.loads((p / "search.json").read_text()) for p in (whole.path, work.path))
        assert {**first, "seconds": 0} == {**second, "seconds": 0}


def test_a_kill_during_the_evaluation_repeats_only_that_step(tmp_path: Path) -> None:
    work, proxy = work_in(tmp_path), Proxy()

    def killed(layers: Layers, *args: Any, **kwargs: Any) -> Evaluation:
        if len(proxy.calls) == 3:
            raise Killed
        return proxy(layers, *args, **kwargs)

    with pytest.raises(Killed):
        search(TASK, PROXY, AGENT, 7, work, killed)
    assert len(nodes_of(tmp_path)) >= 3
    search(TASK, PROXY, AGENT, 7, work, Proxy())
    whole = work_in(tmp_path / "whole")
    search(TASK, PROXY, AGENT, 7, whole, Proxy())
    assert without_seconds(nodes_of(tmp_path)) == without_seconds(nodes_of(whole.path))


def test_a_recorded_search_repeats_node_for_node_without_its_model(tmp_path: Path) -> None:
    first = work_in(tmp_path / "first")
    search(TASK, PROXY, AGENT.model_copy(update={"record_replies": True}), 7, first, Proxy())
    assert len((first.path / "replies.jsonl").read_text().splitlines()) == AGENT.steps
    again = work_in(tmp_path / "again")
    search(TASK, PROXY, AGENT.model_copy(update={"model": f"replay:{first.path}"}), 7, again, Proxy())
    assert without_seconds(nodes_of(again.path)) == without_seconds(nodes_of(first.path))
    assert again.stand_ins[0].what == "recorded replies"
    with pytest.raises(UserError, match="no reply was recorded"):
        search(TASK, PROXY, AGENT.model_copy(update={"model": f"replay:{first.path}"}), 8, work_in(tmp_path), Proxy())


@pytest.mark.parametrize(
    ("budget", "stopped"), [({"max_tokens_total": 25}, "tokens"), ({"max_dollars": 1.25}, "dollars")]
)
def test_a_budget_stops_a_search_and_counts_earlier_sittings(
    budget: dict[str, Any], stopped: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dear(Scripted):
        def reply(self, prompt: Prompt, seed: int) -> Reply:
            if len(self.prompts) == 2 and not resumed:
                raise Killed
            return Reply(super().reply(prompt, seed).text, {"calls": 1.0, "total_tokens": 10.0, "dollars": 0.5})

    resumed = False
    model = Dear(submit("6A"))
    monkeypatch.setattr(stage, "model_named", lambda *_: model)
    agent = AGENT.model_copy(update=budget)
    with pytest.raises(Killed):
        search(TASK, PROXY, agent, 0, work_in(tmp_path), Proxy())
    resumed = True
    for _ in range(2):
        search(TASK, PROXY, agent, 0, work_in(tmp_path), Proxy())
        summary = json.loads((tmp_path / "search.json").read_text())
        assert (summary["stopped_by"], summary["steps"]) == (stopped, 3)
        assert summary["spent"] == {"tokens": 30, "dollars": 1.5}
    assert len(model.prompts) == 3


def test_a_finished_search_does_nothing_more(tmp_path: Path) -> None:
    work, proxy = work_in(tmp_path), Proxy()
    search(TASK, PROXY, AGENT, 0, work, proxy)
    before, calls = (tmp_path / "journal.jsonl").read_bytes(), len(proxy.calls)
    search(TASK, PROXY, AGENT, 0, work, proxy)
    assert (tmp_path / "journal.jsonl").read_bytes() == before
    assert len(proxy.calls) == calls


def test_hours_are_a_limit_that_counts_earlier_sittings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = scripted(monkeypatch, "while True: pass")
    agent = AGENT.model_copy(update={"hours": 0.5 / 3600})
    search(TASK, PROXY, agent, 0, work_in(tmp_path), Proxy())
    (node,) = nodes_of(tmp_path)
    assert "(timeout)" in node.reason
    assert json.loads((tmp_path / "search.json").read_text())["stopped_by"] == "time"
    search(TASK, PROXY, agent, 0, work_in(tmp_path), Proxy())
    assert len(model.prompts) == 1


def test_a_model_out_of_reach_stops_the_search_and_keeps_its_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable() -> str:
        raise UserError("model 'x': status 401; check the key in X_API_KEY")

    scripted(monkeypatch, submit("6A"), unreachable)
    with pytest.raises(UserError, match="X_API_KEY"):
        search(TASK, PROXY, AGENT, 0, work_in(tmp_path), Proxy())
    assert len(nodes_of(tmp_path)) == 1


def test_what_a_killed_search_left_is_deleted_but_not_what_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "aira-search-left").mkdir()
    (tmp_path / "aira-search-left" / "file").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "aira-search-link").symlink_to(tmp_path / "other")
    with scratch_folder() as first, scratch_folder() as second:
        assert {path.name for path in tmp_path.iterdir()} == {first.name, second.name, "other", "aira-search-link"}
    assert {path.name for path in tmp_path.iterdir()} == {"other", "aira-search-link"}
