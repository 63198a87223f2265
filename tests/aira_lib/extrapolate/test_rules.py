"""The rules against Tables 8 to 11: what they make of bases and printed depths is what the paper prints."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.architecture.cost import count, layer_params, params
from aira_lib.architecture.pattern import parse, render
from aira_lib.architecture.reference import Design, design, designs
from aira_lib.architecture.scales import scale_named
from aira_lib.architecture.tables import read_table
from aira_lib.errors import UserError
from aira_lib.extrapolate import rules
from aira_lib.extrapolate.depth import blocks
from aira_lib.extrapolate.rules import (
    counts_by_r8,
    depth_by_r1,
    depth_by_r9,
    depth_by_r10,
    former_stacked,
    former_stretched,
    hybrid_from_1b,
    pad,
    published,
)

ROWS = [d for d in designs() if d.scale]
TABLE_9 = [d for d in ROWS if d.printed_counts]
CONSISTENT = [d for d in ROWS if len(parse(d.printed)) == d.n_layers]


def rows_of(table: str) -> list[tuple[Design, dict[str, int]]]:
    return [
        (design(f"{row['family']}{'/' * bool(row['variant'])}{row['variant']}@{row['scale']}"), counts_of(row))
        for row in read_table("steps")
        if row["table"] == table
    ]


def counts_of(row: dict[str, str]) -> dict[str, int]:
    return {p: int(row[p]) for p in ("A", "M", "Mb")}


def test_all_36_counts_of_table_9() -> None:
    assert [published(d.name).counts for d in TABLE_9] == [d.printed_counts for d in TABLE_9]
    assert len(TABLE_9) == 36


def test_23_of_24_counts_of_table_10() -> None:
    missed = [d.name for d, printed in rows_of("10") if published(d.name).counts != printed]
    # Table 10 repeats the stretched row here; the rule gives what Table 8 prints.
    assert missed == ["Composite/stacked@1B"]
    assert len(rows_of("10")) == 24


@pytest.mark.parametrize("d", CONSISTENT, ids=lambda d: d.name)
def test_printed_patterns_layer_for_layer(d: Design) -> None:
    assert render(published(d.name).layers) == render(parse(d.printed))


def test_46_printed_patterns_are_consistent() -> None:
    assert (len(ROWS), len(CONSISTENT)) == (63, 46)


@pytest.mark.parametrize("d", [d for d in ROWS if d not in CONSISTENT], ids=lambda d: d.name)
def test_the_rules_make_what_the_reference_designs_chose(d: Design) -> None:
    assert d.choice
    assert published(d.name).layers == d.layers


@pytest.mark.parametrize("d", ROWS, ids=lambda d: d.name)
def test_a_result_is_of_one_piece_and_as_deep_as_printed(d: Design) -> None:
    result = published(d.name)
    assert result.n_layers == len(result.layers) == sum(result.counts.values()) == d.n_layers
    assert result.counts == count(result.layers)


def test_which_rule_belongs_to_what() -> None:
    used: dict[str, list[str]] = {}
    for d in ROWS:
        used.setdefault(published(d.name).rule, []).append(d.name)
    assert {rule: len(names) for rule, names in used.items()} == {
        "R1": 14,
        "R2": 16,
        "R3": 6,
        "R4": 6,
        "R5": 3,
        "R6": 3,
        "R7": 15,
    }
    assert published("Llama 3.2@1B").rule == "R7"
    assert published("AIRAhybrid-B/stacked@3B").rule == "R2"


def test_a_base_has_no_rule() -> None:
    with pytest.raises(
        UserError, match="is a base: rules build designs at a scale, such as AIRAhybrid-C/stretched@350M"
    ):
        published("AIRAhybrid-C")
    with pytest.raises(UserError, match="unknown design 'Lama@1B'"):
        published("Lama@1B")


def test_the_rules_do_not_read_the_chosen_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {d.name: published(d.name) for d in ROWS}

    class Depth:
        """All of a design that a rule may know."""

        def __init__(self, d: Design) -> None:
            self.family, self.variant, self.scale = d.family, d.variant, d.scale
            self.n_layers, self.n_primitives = d.n_layers, d.n_primitives

    monkeypatch.setattr(rules, "design", lambda name: Depth(design(name)))
    assert {name: published(name) for name in wanted} == wanted


def test_r8_gives_21_of_22_counts_of_table_11() -> None:
    rows = [(d, printed) for d, printed in rows_of("11") if d.scale != "1B"]
    missed = [d.name for d, printed in rows if counts_by_r8(d.family, d.variant, d.scale or "") != printed]
    assert (len(rows), missed) == (22, ["Composer@350M"])
    assert counts_by_r8("Composer", "", "350M") == {"A": 12, "M": 5, "Mb": 9}


@pytest.mark.parametrize("family", sorted({d.family for d in TABLE_9}))
def test_r8_at_1b_is_the_design_itself(family: str) -> None:
    at_1b = next(d for d in TABLE_9 if d.family == family and d.scale == "1B")
    assert counts_by_r8(family, at_1b.variant, "1B") == at_1b.printed_counts


def test_r9_gives_all_24_depths_of_table_9() -> None:
    rows = [d for d in TABLE_9 if d.scale != "1B"]
    assert [depth_by_r9(d.name) for d in rows] == [d.n_layers for d in rows]
    assert len(rows) == 24


@pytest.mark.parametrize("name", ["Mamba@1B", "Llama 3.2@350M", "AIRAhybrid-A"])
def test_r9_is_for_table_9_away_from_1b(name: str) -> None:
    with pytest.raises(UserError, match="R9 gives depths of Table 9 at 350M and 3B"):
        depth_by_r9(name)


def test_r10_gives_the_depths_of_airaformer_b() -> None:
    assert [depth_by_r10(scale) for scale in ("350M", "1B", "3B")] == [23, 32, 53]
    with pytest.raises(UserError, match="unknown scale '7B'"):
        depth_by_r10("7B")


def test_r10_fills_the_target_and_no_more() -> None:
    for name in ("350M", "3B"):
        scale = scale_named(name, 2)
        size = params(published(f"AIRAformer-B/stacked@{name}").layers, scale)[0]
        assert scale.target_params is not None
        assert size <= scale.target_params < size + layer_params(scale)["M"]


def test_r1_gives_eight_of_nine_depths() -> None:
    printed = {d.family: d.n_layers for d in ROWS if d.family.startswith("AIRA") and d.scale == "1B"}
    assert {f: (depth_by_r1(f), n) for f, n in printed.items() if depth_by_r1(f) != n} == {"AIRAhybrid-C": (48, 40)}
    assert len(printed) == 9
    with pytest.raises(UserError, match="no base 'AIRAhybrid-F'; did you mean 'AIRAhybrid-"):
        depth_by_r1("AIRAhybrid-F")


def test_r4_takes_the_unit_of_table_8_for_c_alone() -> None:
    finds = sorted({d.family for d in ROWS if d.family.startswith("AIRA")})
    own = {f: rules.stacked_unit(f) for f in finds if rules.stacked_unit(f) != design(f).layers}
    assert own == {"AIRAformer-C": parse("2(2A-M)-3(A-M)-4A")}
    assert count(own["AIRAformer-C"]) == count(design("AIRAformer-C").layers)


bases = st.lists(st.sampled_from(["A", "M", "Mb"]), min_size=16, max_size=16).map(tuple)


@given(bases, st.integers(1, 90))
def test_every_rule_gives_the_depth_asked_for(base: tuple[str, ...], n: int) -> None:
    assert len(hybrid_from_1b(base, n)) == len(former_stacked(base, n)) == n
    if n >= 16:
        assert len(former_stretched(base, n)) == n


@given(bases)
def test_the_base_at_its_own_depth_stays(base: tuple[str, ...]) -> None:
    assert hybrid_from_1b(base, 16) == former_stacked(base, 16) == former_stretched(base, 16) == base


@given(bases, st.integers(0, 40))
def test_padding_walks_the_blocks_from_the_start(base: tuple[str, ...], extra: int) -> None:
    runs = blocks(base)
    padded = pad(runs, 16 + extra)
    assert padded[:16] == base
    assert list(padded[16:]) == [runs[i % len(runs)][0] for i in range(extra)]


def test_rounding_is_half_to_even_and_leaves_no_block_empty() -> None:
    # 2.5 becomes 2, 1.5 becomes 2; 12 x 10/14 = 8.57 becomes 9, 1 x 10/14 stays 1, and one layer is cut.
    assert hybrid_from_1b(parse("5A-3M-2A"), 5) == parse("2A-2M-A")
    assert hybrid_from_1b(parse("A-12M-A"), 10) == parse("A-9M")
    assert hybrid_from_1b(parse("A-M-A-M"), 2) == parse("A-M")
