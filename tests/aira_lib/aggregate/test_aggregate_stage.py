"""Base patterns carry who voted, and rank on what the study says."""

from pathlib import Path

import pytest

from aira_lib.aggregate.stage import aggregate, base_pattern
from aira_lib.architecture.pattern import parse
from aira_lib.errors import UserError
from aira_lib.records import ArchiveRow, BasePattern, read_rows
from aira_lib.spec import AggregateSection
from tests.builders import work_in


def _row(design: str, validation: float, test: float | None = 0.5) -> ArchiveRow:
    return ArchiveRow(
        design=design, layers=parse(design), validation=validation, test=test, evaluations=1,
        agents=("a.s0",), first_seen="a.s0/0", params=1, seconds=1.0,
    )  # fmt: skip


ROWS = [_row("2(A-M)", 0.9), _row("2A-2M", 0.88), _row("A-2M-A", 0.87), _row("4M", 0.2), _row("4A", 0.1, None)]


def test_only_the_top_cluster_votes() -> None:
    pattern = base_pattern(AggregateSection(name="x", clusters=2), ROWS)
    assert [m.design for m in pattern.members] == ["2(A-M)", "2A-2M", "A-2M-A"]
    assert sum(m.weight for m in pattern.members) == pytest.approx(1)
    assert pattern.layers == ("A", "M", "M", "M")
    assert not pattern.in_archive
    assert pattern.candidates == 5


def test_top_k_halves_the_weight_every_quarter_of_the_list() -> None:
    pattern = base_pattern(AggregateSection(name="x", method="top-k", top_k=4), ROWS)
    weights = [m.weight for m in pattern.members]
    assert [w / weights[0] for w in weights] == pytest.approx([1, 0.5, 0.25, 0.125])


def test_ranking_on_test_is_an_explicit_choice_that_needs_test_fitness() -> None:
    with pytest.raises(UserError, match="ranks by test, but 4A has no test fitness"):
        base_pattern(AggregateSection(name="x", rank_by="test"), ROWS)
    assert base_pattern(AggregateSection(name="x", rank_by="test"), ROWS[:4]).rank_by == "test"


def test_order_of_the_archive_does_not_matter(tmp_path: Path) -> None:
    sections = [AggregateSection(name="x", clusters=2), AggregateSection(name="y", method="top-k")]
    aggregate(sections, ROWS, work_in(tmp_path))
    patterns = read_rows(tmp_path / "patterns.jsonl", BasePattern)
    assert patterns == [base_pattern(s, ROWS[::-1]) for s in sections]
