"""What is said of the best, of designs and of programs that are none."""

import pytest

from aira_lib.local.search_summary import _over_seeds, _table
from aira_lib.records import Node
from aira_lib.watch.searches import Watched


def search(name: str, *scores: float | None, design: str | None = None) -> Watched:
    nodes = tuple(
        Node(step=step, id=str(step), operator="draft", status="failed" if score is None else "ok",
             validation=score, design=design)
        for step, score in enumerate(scores)
    )  # fmt: skip
    return Watched(name, nodes, steps=len(nodes), finished=True)


@pytest.mark.parametrize(("designs", "said"), [
    (True, "Best over all: 2A  0.7500 (a.s1, step 1)"), (False, "Best over all: 0.7500 (a.s1, step 1)"),
])  # fmt: skip
def test_the_best_of_programs_has_no_design(designs: bool, said: str) -> None:
    design = "2A" if designs else None
    searches = [search("a.s0", 0.5, None, design=design), search("a.s1", 0.25, 0.75, design=design)]
    lines = _over_seeds(searches, lower_is_better=False, designs=designs)
    assert lines[0] == said
    assert not any("None" in line for line in lines)
    table = _table(searches, False, designs)
    assert [column.header for column in table.columns][:2] == ["search", "best design" if designs else "validation"]
    assert [str(cell) for cell in next(c for c in table.columns if c.header == "validation").cells] == [
        "0.5000",
        "0.7500",
    ]


@pytest.mark.parametrize(("designs", "said"), [(True, "No design was scored"), (False, "No program was scored")])
def test_where_nothing_was_scored_it_says_so(designs: bool, said: str) -> None:
    searches = [search("a.s0", None)]
    (line,) = _over_seeds(searches, lower_is_better=False, designs=designs)
    assert line.startswith(said)
    assert len(_table(searches, False, designs).rows) == 1
