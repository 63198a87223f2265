"""Base patterns carry who voted, how sure the vote is, and rank on what the study says."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from aira_lib.aggregate import stage
from aira_lib.aggregate.stage import aggregate, base_patterns
from aira_lib.aggregate.table import DesignTable
from aira_lib.architecture.pattern import parse, render
from aira_lib.architecture.primitives import PAPER_PRIMITIVES
from aira_lib.errors import UserError
from aira_lib.records import ArchiveRow, BasePattern, read_rows
from aira_lib.study import AggregateSection
from tests.aira_lib.aggregate import plain_aggregate as plain
from tests.builders import work_in


def _row(design: str, validation: float, test: float | None = 0.5, **other: object) -> ArchiveRow:
    values = dict(
        design=design, layers=parse(design), validation=validation, test=test, evaluations=1,
        agents=("a.s0",), first_seen="a.s0/0", params=1, seconds=1.0,
    )  # fmt: skip
    return ArchiveRow.model_validate({**values, **other})


def _pattern(section: AggregateSection, rows: Sequence[ArchiveRow]) -> BasePattern:
    return base_patterns([section], DesignTable.from_rows(rows))[0]


ROWS = [_row("2(A-M)", 0.9), _row("2A-2M", 0.88), _row("A-2M-A", 0.87), _row("4M", 0.2), _row("4A", 0.1, None)]
SECTIONS = [
    AggregateSection(name="N0", resamples=20),
    AggregateSection(name="top", method="top-k", top_k=9, half_life=2),
    AggregateSection(name="N2", context=2, rank_by="test"),
    AggregateSection(name="Nall", context="all", clusters=2),
    AggregateSection(name="even", method="top-k-uniform", top_k=30, context=1, datasets=("mad",)),
    AggregateSection(name="b-only", method="top-k", context=1, agents=("b",), resamples=0),
    AggregateSection(name="bayes", method="bayes"),
]


def _archive(seed: int, n: int = 150) -> list[ArchiveRow]:
    """Rows on two data sets, one of losses, with many equal fitnesses."""
    random = np.random.default_rng(seed)
    made = {}
    for _ in range(n):
        layers = tuple(PAPER_PRIMITIVES[i] for i in random.integers(0, 3, 6))
        fitness, dataset = float(random.integers(0, 30)) / 10, str(random.choice(["mad", "text"]))
        made[layers, dataset] = _row(
            render(layers), fitness, fitness / 2, dataset=dataset, lower_is_better=dataset == "text",
            agents=(f"{random.choice(['a', 'b'])}.s{random.integers(2)}",),
        )  # fmt: skip
    return list(made.values())


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.name)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_equals_the_plain_form(section: AggregateSection, seed: int) -> None:
    rows = _archive(seed)
    pattern = _pattern(section, rows)
    members = plain.electorate(section, rows)
    layers, shares = plain.vote([r.layers for r, _ in members], [w for _, w in members], section.context)
    assert pattern.layers == layers
    assert [(m.design, m.dataset) for m in pattern.members] == [(r.design, r.dataset) for r, _ in members]
    assert [m.weight for m in pattern.members] == pytest.approx([w for _, w in members])
    if section.method != "bayes":
        assert list(pattern.votes) == [pytest.approx(share) for share in shares]
    wanted = {m.dataset for m in pattern.members}
    candidates = [r for r in rows if r.dataset in wanted and (not section.agents or r.agents[0][0] == "b")]
    row, distance = plain.representative(section, candidates, layers)
    assert pattern.representative is not None
    found = (pattern.representative.design, pattern.representative.dataset, pattern.representative.distance)
    assert found == (row.design, row.dataset, distance)
    assert pattern.candidates == len(candidates)


@pytest.mark.parametrize("section", [s for s in SECTIONS if s.resamples], ids=lambda section: section.name)
def test_resampling_estimates_what_the_plain_bootstrap_estimates(section: AggregateSection) -> None:
    rows = _archive(4, 60)
    pattern = _pattern(section.model_copy(update={"resamples": 1000}), rows)
    layers, whole = plain.resampled(plain.electorate(section, rows), section.context, pattern.layers, 1000, 1)
    assert pattern.resampling is not None
    assert pattern.resampling.layers == pytest.approx(layers, abs=0.08)  # five standard errors of the difference
    assert pattern.resampling.pattern == pytest.approx(whole, abs=0.08)


def test_resampling_is_sure_of_one_member_and_depends_on_the_seed_alone() -> None:
    one = _pattern(AggregateSection(name="x", method="top-k", top_k=1), ROWS).resampling
    assert one is not None
    assert (one.pattern, set(one.layers), one.resamples) == (1.0, {1.0}, 200)
    rows = _archive(5, 40)
    first, again, other = (
        _pattern(AggregateSection(name="x", method="top-k", seed=s), rows).resampling for s in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_resampling_in_pieces_draws_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = _archive(6)
    whole = base_patterns(SECTIONS, DesignTable.from_rows(rows))
    monkeypatch.setattr("aira_lib.aggregate.resample._HELD", 1)
    assert base_patterns(SECTIONS, DesignTable.from_rows(rows)) == whole


def test_sections_together_give_what_each_gives_alone() -> None:
    rows = _archive(7)
    assert base_patterns(SECTIONS, DesignTable.from_rows(rows)) == [_pattern(section, rows) for section in SECTIONS]


def test_only_the_top_cluster_votes() -> None:
    pattern = _pattern(AggregateSection(name="x", clusters=2), ROWS)
    assert [m.design for m in pattern.members] == ["2(A-M)", "2A-2M", "A-2M-A"]
    assert sum(m.weight for m in pattern.members) == pytest.approx(1)
    assert pattern.layers == ("A", "M", "M", "M")
    assert not pattern.in_archive
    assert (pattern.candidates, pattern.voters, pattern.listed_weight) == (5, 3, pytest.approx(1))
    assert pattern.representative is not None
    # 2(A-M), 2A-2M, A-2M-A and 4M all differ in one layer; the fittest stands for them.
    assert (pattern.representative.design, pattern.representative.distance) == ("2(A-M)", 1)


def test_top_k_halves_the_weight_every_quarter_of_the_list() -> None:
    weights = [m.weight for m in _pattern(AggregateSection(name="x", method="top-k", top_k=4), ROWS).members]
    assert [w / weights[0] for w in weights] == pytest.approx([1, 0.5, 0.25, 0.125])


def test_every_data_set_has_the_same_weight_and_its_own_direction() -> None:
    loss = {"dataset": "text", "lower_is_better": True}
    rows = [*ROWS[:4], _row("4Mb", 1.5, **loss), _row("4A", 9.0, **loss)]
    pattern = _pattern(AggregateSection(name="x", method="top-k-uniform", top_k=1), rows)
    assert [(m.design, m.dataset, m.weight) for m in pattern.members] == [("2(A-M)", "mad", 0.5), ("4Mb", "text", 0.5)]
    assert pattern.datasets == ("mad", "text")
    assert pattern.layers == ("A", "M", "A", "M")  # all tie: of equal rank, the first data set by name


def test_bayes_gives_an_interval_around_the_winners_share() -> None:
    plain_vote, bayes = base_patterns(
        [AggregateSection(name="n", clusters=2), AggregateSection(name="b", method="bayes", clusters=2)],
        DesignTable.from_rows(ROWS),
    )
    assert bayes.layers == plain_vote.layers
    assert bayes.agreement[0] == pytest.approx((1 + 1) / (1 + 2))  # no Mamba in this archive: two primitives
    assert bayes.independent_votes == (1.0,) * 4  # one search found all three
    assert all(low < share < high for (low, high), share in zip(bayes.intervals, bayes.agreement, strict=True))
    assert plain_vote.intervals == ()


def test_bayes_counts_searches() -> None:
    """Three designs of three searches are three votes; of a table that does not say who found them, too."""
    section = AggregateSection(name="b", method="bayes", clusters=2)
    rows = [row.model_copy(update={"agents": (f"a.s{at}",)}) for at, row in enumerate(ROWS)]
    nameless = [row.model_copy(update={"agents": ()}) for row in ROWS]
    for each in (rows, nameless):
        pattern = _pattern(section, each)
        assert pattern.independent_votes == pytest.approx([3.0] * 4)
        assert pattern.agreement[0] == pytest.approx((3 + 1) / (3 + 2))


def test_a_record_lists_few_of_many_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "MEMBERS_LISTED", 2)
    pattern = _pattern(AggregateSection(name="x", method="top-k", top_k=4), ROWS)
    assert [m.design for m in pattern.members] == ["2(A-M)", "2A-2M"]
    assert (pattern.voters, pattern.listed_weight) == (4, pytest.approx(1.5 / 1.875))


def test_ranking_on_test_is_an_explicit_choice_that_needs_test_fitness() -> None:
    with pytest.raises(UserError, match="ranks by test, but 4A has no test fitness"):
        _pattern(AggregateSection(name="x", rank_by="test"), ROWS)
    assert _pattern(AggregateSection(name="x", rank_by="test"), ROWS[:4]).rank_by == "test"
    assert AggregateSection(name="x").rank_by == "validation"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"datasets": ("made",)}, "the archive has nothing of data set 'made'; did you mean 'mad'"),
        ({"agents": ("c",)}, "the archive has nothing of agent 'c'"),
    ],
)
def test_a_choice_that_leaves_nothing_is_one_line(changes: dict[str, object], line: str) -> None:
    with pytest.raises(UserError, match=line) as caught:
        _pattern(AggregateSection.model_validate({"name": "x", **changes}), ROWS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("changes", [{"context": -1}, {"method": "bayes", "context": 1}])
def test_settings_without_sense_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="context"):
        AggregateSection.model_validate({"name": "x", **changes})


def test_order_of_the_archive_does_not_matter(tmp_path: Path) -> None:
    rows = _archive(8)
    aggregate(SECTIONS, DesignTable.from_rows(rows), work_in(tmp_path))
    patterns = read_rows(tmp_path / "patterns.jsonl", BasePattern)
    assert patterns == base_patterns(SECTIONS, DesignTable.from_rows(rows[::-1]))
    assert [p.name for p in patterns] == [s.name for s in SECTIONS]
