import pytest

from aira_lib.agents.ledger import spent, used_up
from aira_lib.errors import UserError
from aira_lib.records import Node
from aira_lib.study.agent import AgentSection
from tests.builders import node


def nodes(*usages: dict[str, float]) -> list[Node]:
    return [node(i, "A", 0.5, usage={"calls": 1.0, **usage}) for i, usage in enumerate(usages)]


def test_it_adds_up_what_is_known() -> None:
    total = spent(nodes({"total_tokens": 10.0, "dollars": 0.5}, {"prompt_tokens": 3.0, "completion_tokens": 4.0}, {}))
    assert (total.tokens, total.dollars) == (17, 0.5)
    assert spent(nodes({})).dollars is None


@pytest.mark.parametrize(("budget", "stopped"), [(19, "tokens"), (20, "tokens"), (21, None)])
def test_tokens(budget: int, stopped: str | None) -> None:
    agent = AgentSection(max_tokens_total=budget)
    assert used_up(agent, nodes({"total_tokens": 10.0}, {"total_tokens": 10.0})) == stopped


@pytest.mark.parametrize(("budget", "stopped"), [(0.5, "dollars"), (0.75, "dollars"), (0.8, None)])
def test_dollars(budget: float, stopped: str | None) -> None:
    agent = AgentSection(max_dollars=budget)
    assert used_up(agent, nodes({"dollars": 0.25}, {"dollars": 0.5})) == stopped


def test_no_budget_never_stops_and_a_free_model_neither() -> None:
    assert used_up(AgentSection(), nodes({"total_tokens": 1e12, "dollars": 1e9})) is None
    assert used_up(AgentSection(max_tokens_total=1, max_dollars=0.01), nodes({}, {})) is None


def test_a_price_that_nobody_knows_is_no_budget() -> None:
    with pytest.raises(UserError, match="set max_tokens_total "):
        used_up(AgentSection(model="openai/x", max_dollars=1.0), nodes({"total_tokens": 5.0}))
