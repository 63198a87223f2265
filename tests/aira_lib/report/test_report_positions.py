"""Loss by position in the report: means over seeds, differences to the baseline, nothing for records without it."""

import math

import pytest

from aira_lib.records import Score
from aira_lib.records.training import PositionLoss
from aira_lib.report.blocks import FigureBlock, TableBlock
from aira_lib.report.comparison import compare
from aira_lib.report.positions import position_blocks
from tests.aira_lib.report.made_up import score
from tests.aira_lib.report.made_up_downstream import design_point

EDGES = ((0, 0), (1, 1), (2, 3), (4, 7), (8, 255))


def scored(name: str, seed: int, lift: float, edges: tuple[tuple[int, int], ...] = EDGES) -> Score:
    bins = tuple(
        PositionLoss(first=a, last=b, tokens=100 * (b - a + 1), loss=3 - 0.2 * i + lift, stderr=0.01 * (seed + 1))
        for i, (a, b) in enumerate(edges)
    )
    return score(design_point(name, seed), 2.5 + lift).model_copy(update={"by_position": bins})


def test_bins_are_means_over_seeds_against_the_baseline() -> None:
    scores = [scored("Llama 3.2", s, 0.1 * s) for s in (0, 1)] + [scored("AIRA-vote/stacked", s, -0.2) for s in (0, 1)]
    figure, table = position_blocks(compare(scores, [], ["Llama 3.2"]))
    assert isinstance(figure, FigureBlock)
    assert figure.figure is not None
    assert isinstance(table, TableBlock)
    rows = [row for row in table.table.rows if row["design"] == "AIRA-vote/stacked"]
    assert [(row["first"], row["last"]) for row in rows] == list(EDGES)
    assert [row["loss"] for row in rows] == pytest.approx([2.8, 2.6, 2.4, 2.2, 2.0])
    assert [row["difference"] for row in rows] == pytest.approx([-0.25] * 5)
    assert [row["stderr"] for row in rows] == pytest.approx([0.015] * 5)
    assert all(row["difference"] is None for row in table.table.rows if row["design"] == "Llama 3.2")


def test_records_without_positions_have_no_figure() -> None:
    plain = [score(design_point(name), 2.5) for name in ("Llama 3.2", "AIRA-vote/stacked")]
    assert position_blocks(compare(plain, [], ["Llama 3.2"])) == []
    # Seeds with other bins cannot be averaged; the design is left out, the other is drawn alone.
    odd = [scored("Llama 3.2", 0, 0.0), scored("Llama 3.2", 1, 0.0, EDGES[:3]), scored("AIRA-vote/stacked", 0, 0.0)]
    _, table = position_blocks(compare(odd, [], ["Llama 3.2"]))
    assert isinstance(table, TableBlock)
    assert {row["design"] for row in table.table.rows} == {"AIRA-vote/stacked"}
    assert math.isclose(float(str(table.table.rows[0]["loss"])), 3.0)
