"""The comparison of agents: what counts as an evaluation, and every number against one worked out by hand."""

import numpy as np
import pytest

from aira_lib.records import Evaluation, Node
from aira_lib.report.agents import Agents, agents_compared, agents_figure, agents_table, curves_table
from aira_lib.report.inputs import SearchRun
from tests.builders import node


def nodes(*values: float | None, test: float = 0.0) -> list[Node]:
    """One node a value, each of its own design; None is a design that failed to be scored."""
    failed = Evaluation(status="failed", reason="diverged")
    designs = [f"{i + 1}A" for i in range(len(values))]
    return [
        node(i, design, value, test if value is None else value + test, **({} if value else {"evaluation": failed}))
        for i, (design, value) in enumerate(zip(designs, values, strict=True))
    ]


def two_agents(lower: bool = False) -> Agents:
    return agents_compared(
        [
            SearchRun("evolution", 0, nodes(0.2, 0.5, None, 0.9, test=-0.1), 4, lower),
            SearchRun("evolution", 1, nodes(0.4, 0.3), 4, lower),
            SearchRun("draws", 0, nodes(None, 0.1, 0.6, 0.2), 4, lower),
        ],
        random=("draws",),
    )


def test_only_distinct_designs_that_reached_the_proxy_are_evaluations() -> None:
    again = node(1, "1A", 0.2)
    invalid = node(2, None, None)
    miscounted = node(3, "7A", None)
    other = node(4, "2A", 0.3)
    found = agents_compared([SearchRun("a", 0, [*nodes(0.2), again, invalid, miscounted, other], 5)], ())
    np.testing.assert_array_equal(found.curves["a"][0].best, [0.2, 0.3])
    assert found.random == ()


def test_a_design_counts_where_it_was_evaluated_first() -> None:
    first, second = nodes(0.5, 0.2)
    again = first.model_copy(update={"step": 2, "id": "again"})
    found = agents_compared([SearchRun("a", 0, [first, second, again], 3)], ())
    assert found.curves["a"][0].best.tolist() == [0.5, 0.5]


def test_best_so_far_is_carried_on_and_unknown_before_the_first_valid_design() -> None:
    agents = two_agents()
    np.testing.assert_array_equal(
        agents.best_by_seed("evolution"), [[0.2, 0.5, 0.5, 0.9], [0.4, 0.4, 0.4, 0.4]]
    )  # fmt: skip
    np.testing.assert_array_equal(agents.best_by_seed("draws"), [[np.nan, 0.1, 0.6, 0.6]])
    np.testing.assert_array_equal(two_agents(lower=True).best_by_seed("draws"), [[np.nan, 0.1, 0.1, 0.1]])


def test_the_table_says_what_the_curves_say() -> None:
    evolution, draws = agents_table(two_agents()).rows
    assert evolution["seeds"] == 2
    assert evolution["evaluations"] == 3.0
    assert evolution["area"] == pytest.approx((2.1 + 1.6) / 8)
    assert (evolution["best_validation"], evolution["best_test"]) == (pytest.approx(0.65), pytest.approx(0.6))
    # Random's best is 0.6: evolution's first seed passes it with its fourth evaluation, the second never.
    assert (evolution["to_random"], evolution["reached"]) == (4.0, 0.5)
    assert (draws["to_random"], draws["reached"]) == (3.0, 1.0)
    assert draws["area"] == pytest.approx((0.1 + 0.1 + 0.6 + 0.6) / 4)


def test_after_so_many_evaluations() -> None:
    runs = [SearchRun(name, 0, nodes(*(0.1 + i / 100 for i in range(30))), 30) for name in ("a", "b")]
    row = agents_table(agents_compared(runs, ())).rows[0]
    assert [row[f"after_{n}"] for n in (10, 25)] == [pytest.approx(0.19), pytest.approx(0.34)]
    assert "after_50" not in row
    assert "to_random" not in [column.key for column in agents_table(agents_compared(runs, ())).columns]


def test_quartiles_are_those_over_seeds() -> None:
    runs = [SearchRun("a", seed, nodes(0.1 * (seed + 1), 0.9), 2) for seed in range(5)]
    agents = agents_compared([*runs, SearchRun("b", 0, nodes(0.1, 0.2), 2)], ())
    first = curves_table(agents).rows[0]
    assert [first[key] for key in ("quartile_1", "median", "quartile_3")] == pytest.approx([0.2, 0.3, 0.4])


def test_there_is_a_figure_only_where_there_is_something_to_compare() -> None:
    one = [SearchRun("a", 0, nodes(0.1, 0.2), 2), SearchRun("one-shot", 0, nodes(0.3), 1), SearchRun("c", 0, [], 1)]
    assert agents_figure(agents_compared(one, ())) is None
    assert agents_figure(agents_compared([], ())) is None
    figure = agents_figure(two_agents())
    assert figure is not None
    assert "evolution (2 seeds)" in figure.svg
