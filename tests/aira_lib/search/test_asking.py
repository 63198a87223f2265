"""How a step asks its model: again for a program, within time and budgets, and no call that was paid for is lost."""

import json
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import aira_lib.search.stage as stage
from aira_lib.agents import Prompt, Reply
from aira_lib.agents.call_log import CALLS
from aira_lib.agents.llm import LiteLLMModel
from aira_lib.agents.prompt import read_memory
from aira_lib.agents.replay import REPLIES, RecordedReply
from aira_lib.agents.transcript import TRANSCRIPT, Exchange
from aira_lib.errors import UserError
from aira_lib.records import PAGE, Evaluation, Node, read_rows
from aira_lib.search.stage import search
from aira_lib.study import AgentSection, CandidateLimits, ProxySection, TaskSection
from aira_lib.study.agent import OperatorsSection
from aira_lib.study.reading import parse_study
from tests.aira_lib.agents.faulty_server import KEY, WITH_LITELLM, faulty_server
from tests.aira_lib.search_page.test_page import Elements
from tests.builders import TINY_STUDY, node, work_in

TASK, PROXY = TaskSection(layers=6), ProxySection(tasks=("memorization",), train_examples=10, test_examples=4)
AGENT = AgentSection(
    model="openai/local", steps=2, n_drafts=2, limits=CandidateLimits(seconds=30, memory_mb=256)
)  # fmt: skip
PROGRAM = "A plan.\n```python\nopen('submission.csv', 'w').write('architecture\\n5A-M\\n')\n```\n"
USED = {"calls": 1.0, "total_tokens": 10.0}


def share(layers: tuple[str, ...], *_: object, **__: object) -> Evaluation:
    return Evaluation(status="ok", validation=layers.count("A") / len(layers))


class Killed(BaseException):
    """What a kill looks like from inside."""


class Scripted:
    """Says one text after the other, the last for ever; `Killed` is raised in the place of a text."""

    name = "openai/local"

    def __init__(self, *texts: str | type[Killed]) -> None:
        self.texts, self.asked = list(texts), list[tuple[str, int]]()

    def reply(self, prompt: Prompt, seed: int) -> Reply:
        self.asked.append((prompt.digest, seed))
        text = self.texts[min(len(self.asked), len(self.texts)) - 1]
        if not isinstance(text, str):
            raise text
        return Reply(text, dict(USED))


def searched(
    path: Path, model: Any, monkeypatch: pytest.MonkeyPatch, **agent: Any
) -> tuple[list[Node], dict[str, Any]]:
    monkeypatch.setattr(stage, "model_named", lambda *_: model)
    search(TASK, PROXY, AGENT.model_copy(update=agent), 0, work_in(path), share)
    summary: dict[str, Any] = json.loads((path / "search.json").read_text())
    return read_rows(path / "journal.jsonl", Node), summary


def test_a_step_asks_again_until_there_is_a_program_and_all_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Scripted("I would rather talk.", "```python\nx = (\n```", PROGRAM)
    nodes, summary = searched(tmp_path, model, monkeypatch)
    assert [node.status for node in nodes] == ["ok", "ok"]
    assert [node.usage["calls"] for node in nodes] == [3, 1]
    assert summary["spent"]["tokens"] == 40
    assert len({prompt for prompt, _ in model.asked}) == 2, "it is the same prompt again"
    assert len({seed for _, seed in model.asked}) == 4, "but another draw"


@pytest.mark.parametrize(("tries", "told"), [(1, "block of code$"), (3, r"block of code \(the last of 3 replies\)$")])
def test_it_gives_up_after_its_tries(tries: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Scripted(*["Well."] * tries, PROGRAM)
    nodes, _ = searched(tmp_path, model, monkeypatch, tries=tries)
    assert [node.status for node in nodes] == ["failed", "ok"]
    assert nodes[0].code == "Well."
    assert nodes[0].reason.endswith(told.replace("\\", "").rstrip("$"))
    assert nodes[0].usage["calls"] == tries


def test_no_more_is_bought_than_the_budget_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes, summary = searched(tmp_path, Scripted("Well."), monkeypatch, max_tokens_total=20)
    assert [node.usage["calls"] for node in nodes] == [2]
    assert (summary["stopped_by"], summary["spent"]["tokens"]) == ("tokens", 20)


def test_an_agent_that_always_sends_a_program_searches_as_before(tmp_path: Path) -> None:
    found = []
    for tries in (1, 3):
        agent = AgentSection(steps=5, n_drafts=2, tries=tries, limits=AGENT.limits)
        search(TASK, PROXY, agent, 0, work_in(tmp_path / str(tries)), share)
        nodes = read_rows(tmp_path / str(tries) / "journal.jsonl", Node)
        found.append([node.model_dump(exclude={"seconds"}) for node in nodes])
    assert found[0] == found[1]


def test_a_recording_of_fewer_tries_is_repeated_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = searched(tmp_path / "a", Scripted("Well.", PROGRAM), monkeypatch, tries=1, record_replies=True)
    monkeypatch.undo()
    agent = AGENT.model_copy(update={"model": f"replay:{tmp_path / 'a' / REPLIES}"})
    search(TASK, PROXY, agent, 0, work_in(tmp_path / "b"), share)
    again = read_rows(tmp_path / "b" / "journal.jsonl", Node)
    assert [node.model_dump(exclude={"seconds"}) for node in again] == [
        node.model_dump(exclude={"seconds"}) for node in first
    ]


@pytest.mark.parametrize("record", [False, True])
def test_a_call_that_a_kill_cut_off_is_counted(record: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Scripted(PROGRAM, "Well.", Killed, PROGRAM)
    with pytest.raises(Killed):
        searched(tmp_path, model, monkeypatch, record_replies=record)
    nodes, summary = searched(tmp_path, model, monkeypatch, record_replies=record)
    usage = nodes[1].usage
    assert nodes[0].usage == USED
    # Of the killed sitting one call ended without a program, the next was cut off; then two more, or the one recorded.
    assert (usage["calls"], usage["useless"], usage["estimated"]) == ((3, 1, 1) if record else (3, 2, 1))
    assert summary["spent"]["tokens"] > 40, "the prompt of the call that was cut off is long"
    assert [node.status for node in nodes] == ["ok", "ok"]


@WITH_LITELLM
@pytest.mark.parametrize("made_before", [0, 1])
def test_a_budget_in_dollars_without_a_price_is_refused_before_a_call(
    made_before: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each sitting paid a call first, and left no node of it."""
    (tmp_path / "journal.jsonl").write_text("".join(node(step, "A", 0.5).json_line() for step in range(made_before)))
    model = Scripted(PROGRAM)
    with pytest.raises(UserError, match=r"no price is known of model 'openai/local', .* set max_tokens_total"):
        searched(tmp_path, model, monkeypatch, max_dollars=2.0)
    assert not model.asked


def test_what_a_kill_cut_off_counts_before_the_next_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Scripted("Well.", "Well.", Killed, PROGRAM)
    with pytest.raises(Killed):
        searched(tmp_path, model, monkeypatch, max_tokens_total=21)
    nodes, summary = searched(tmp_path, model, monkeypatch, max_tokens_total=21)
    assert (len(model.asked), nodes) == (3, []), "two calls that ended and the one that was cut off"
    assert summary["stopped_by"] == "tokens"
    assert summary["spent"]["tokens"] > 21


@WITH_LITELLM
@pytest.mark.parametrize("fault", ["slow", "503"])
def test_a_silent_provider_does_not_outlast_the_hours(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with faulty_server(lambda *_: fault) as server:
        monkeypatch.setenv("OPENAI_API_BASE", server.url)
        started = time.monotonic()
        nodes, summary = searched(tmp_path, LiteLLMModel("openai/local", 1.0), monkeypatch, hours=1.0 / 3600)
        assert time.monotonic() - started < 60, "one call alone may take 600 s"
    assert summary["stopped_by"] == "time"
    (node,) = nodes
    assert node.reason == "the reply is empty; the time of the search was over before there was an answer"
    assert node.usage["calls"] >= 1


def test_the_look_back_has_what_is_left_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[float] = []

    class Slow(Scripted):
        def reply(self, prompt: Prompt, seed: int) -> Reply:
            left.append(prompt.seconds)
            time.sleep(0.05)
            return super().reply(prompt, seed)

    searched(tmp_path, Slow(PROGRAM), monkeypatch, analyse="all", hours=0.5)
    assert len(left) == 4
    assert all(later < earlier - 0.04 for earlier, later in pairwise(left))
    assert 1_000 < left[0] <= 1_800


@WITH_LITELLM
def test_a_model_that_refuses_stops_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with faulty_server(lambda *_: (400, {"message": "the moon is not full"})) as server:
        monkeypatch.setenv("OPENAI_API_BASE", server.url)
        with pytest.raises(UserError, match="the moon is not full"):
            searched(tmp_path, LiteLLMModel("openai/local", 1.0), monkeypatch)


def test_a_setting_that_the_provider_does_not_take_is_said_in_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Scripted(PROGRAM)
    model.left_out = {"temperature"}  # type: ignore[attr-defined]
    monkeypatch.setattr(stage, "model_named", lambda *_: model)
    work = work_in(tmp_path)
    search(TASK, PROXY, AGENT, 0, work, share)
    (said,) = (each for each in work.stand_ins if "temperature" in each.what)
    assert said.instead_of == "the agent's temperature"


@pytest.mark.parametrize("record", [False, True])
def test_prompts_and_replies_are_kept_without_keys(
    record: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", "the-planted-one")
    printing = PROGRAM.replace("open(", "print('sk-' + 'x', 'the-planted-' + 'one'); open(", 1)
    model = Scripted("No, the-planted-one.", printing, Killed, PROGRAM)
    for _ in range(2):
        with suppress(Killed):
            searched(tmp_path, model, monkeypatch, keep_prompts=True, record_replies=record, n_drafts=1)
    kept = read_rows(tmp_path / TRANSCRIPT, Exchange)
    assert [each.step for each in kept] == [0, 0, 1]
    assert [each.reply for each in kept] == ["No, [redacted].", printing, PROGRAM]
    assert all("# Resources" in each.prompt for each in kept)
    assert "the-planted-one" not in (tmp_path / TRANSCRIPT).read_text()
    assert "[redacted]" in kept[2].prompt, "the output of the first program stands in the second prompt"
    assert [each.operator for each in kept] == ["draft", "draft", "improve"]
    shown = [each["asked"] for each in json.loads(Elements((tmp_path / PAGE).read_text()).data)]
    assert [[call["what"] for call in calls] for calls in shown] == [
        ["draft, try 1 of 2", "draft, try 2 of 2"], ["improve"],
    ]  # fmt: skip
    assert [call["reply"][0] for calls in shown for call in calls] == [each.reply for each in kept]


def test_nothing_is_kept_that_is_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    searched(tmp_path, Scripted(PROGRAM), monkeypatch)
    assert not (tmp_path / TRANSCRIPT).exists()
    assert {path.name for path in tmp_path.iterdir()} == {"journal.jsonl", "search.json", "page.html", CALLS}


def test_operators_ask_models_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[tuple[Any, ...], Scripted] = {}

    def make(*asking: Any) -> Scripted:
        # The draft fails and is repaired; what is repaired is looked back at, too.
        made[asking] = Scripted(PROGRAM.replace("5A", "9A") if asking[0] == "openai/local" else PROGRAM)
        made[asking].name = asking[0]
        return made[asking]

    monkeypatch.setattr(stage, "model_named", make)
    own = {"debug": {"model": "openai/small", "temperature": 0.2}, "analyse": {"reasoning_effort": "low"}}
    settings = {"model": "openai/local", "steps": 2, "n_drafts": 1, "analyse": "failed", "temperature": 0.9}
    agent = AgentSection.model_validate({**settings, "operators": own, "limits": AGENT.limits})
    search(TASK, PROXY, agent, 0, work_in(tmp_path), share)
    nodes = read_rows(tmp_path / "journal.jsonl", Node)
    assert [(node.operator, node.status) for node in nodes] == [("draft", "failed"), ("debug", "ok")]
    assert {asking: len(model.asked) for asking, model in made.items()} == {
        ("openai/local", 0.9, "none"): 1, ("openai/small", 0.2, "none"): 1, ("openai/local", 0.9, "low"): 1,
    }  # fmt: skip
    assert nodes[0].usage["calls"] == 2


def test_an_operator_is_told_of_the_steps_that_its_own_memory_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = PROGRAM.replace("5A-M", "4A-2M")
    model = Scripted(PROGRAM, other, PROGRAM.replace("5A", "9A"), PROGRAM)
    operators = OperatorsSection.model_validate({"debug": {"memory": "ancestors"}, "improve": {"memory": "none"}})
    nodes, _ = searched(
        tmp_path, model, monkeypatch, operators=operators, n_drafts=3, steps=5, memory="all", keep_prompts=True
    )
    assert [node.operator for node in nodes] == ["draft", "draft", "draft", "debug", "improve"]
    told = [read_memory(each.prompt) for each in read_rows(tmp_path / TRANSCRIPT, Exchange)]
    assert [each["step"] for each in told[2]["good"]] == [0, 1]
    assert (told[3]["good"], [each["step"] for each in told[3]["failed"]], told[3]["tried"]) == ([], [2], [])
    assert told[4]["good"] == told[4]["failed"] == told[4]["tried"] == []


def test_an_operator_is_asked_by_its_own_template_and_a_replay_finds_what_it_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = tmp_path / "mend.jinja"
    template.write_text(
        '{% import "_common.jinja" as common with context %}MINE: {{ parent_reason }}{{ common.answer() }}'
    )
    own = OperatorsSection.model_validate({"debug": {"prompt": str(template)}})
    agent = {"operators": own, "n_drafts": 1, "keep_prompts": True, "record_replies": True}
    model = Scripted(PROGRAM.replace("5A", "9A"), PROGRAM)
    first, _ = searched(tmp_path / "a", model, monkeypatch, **agent)
    draft, debug = read_rows(tmp_path / "a" / TRANSCRIPT, Exchange)
    assert "MINE" not in draft.prompt
    assert debug.prompt.startswith(f"MINE: {first[0].reason}")
    assert "complete\nprogram" in debug.prompt
    digests = [entry.prompt for entry in read_rows(tmp_path / "a" / REPLIES, RecordedReply)]
    assert digests == [prompt for prompt, _ in model.asked]

    monkeypatch.undo()
    moved = template.rename(tmp_path / "moved.jinja")
    own = OperatorsSection.model_validate({"debug": {"prompt": str(moved)}})
    replay = f"replay:{tmp_path / 'a' / REPLIES}"
    search(TASK, PROXY, AGENT.model_copy(update=agent | {"operators": own, "model": replay}), 0,
           work_in(tmp_path / "b"), share)  # fmt: skip
    assert read_rows(tmp_path / "b" / TRANSCRIPT, Exchange) == [draft, debug]
    moved.write_text("{{ nowhere }}")
    with pytest.raises(UserError, match=r"operators.debug.prompt: .*moved.jinja:1: unknown variable 'nowhere'"):
        search(TASK, PROXY, AGENT.model_copy(update={"operators": own}), 0, work_in(tmp_path / "c"), share)
    assert list((tmp_path / "c").iterdir()) == []


def test_a_look_back_has_no_memory_to_set() -> None:
    study = {**TINY_STUDY, "agents": [{"operators": {"analyse": {"memory": "none"}}}]}
    with pytest.raises(UserError, match=r"agents\.0\.operators\.analyse: memory: .* the one step"):
        parse_study(study, "s.yaml")


@pytest.mark.parametrize("name", ["offline", "replay:x.jsonl", "random", "bo-one-shot:3"])
def test_an_operators_own_model_is_a_language_model(name: str) -> None:
    with pytest.raises(ValidationError, match="is a language model, which"):
        AgentSection.model_validate({"operators": {"debug": {"model": name}}})
