import pytest

from aira_lib.architecture.cost import count
from aira_lib.architecture.pattern import parse
from aira_lib.architecture.reference import (
    BASELINES,
    Design,
    baseline_layers,
    baseline_unit,
    design,
    designs,
    nearest_design,
    reference,
)
from aira_lib.architecture.tables import read_table
from aira_lib.errors import UserError

ROWS = [d for d in designs() if d.scale]
BASES = [d for d in designs() if not d.scale]
AS_PRINTED = [d for d in ROWS if not d.choice]
CHOSEN = [d for d in ROWS if d.choice]


def table_10_counts(d: Design) -> dict[str, int] | None:
    for row in read_table("steps"):
        if (row["family"], row["variant"], row["scale"]) == (d.family, d.variant, d.scale) and row["table"] == "10":
            return {p: int(row[p]) for p in ("A", "M", "Mb")}
    return None


def test_all_designs_are_there_once() -> None:
    assert (len(ROWS), len(BASES)) == (63, 9)
    assert len({d.name for d in designs()}) == 72
    finds = {(d.family, d.variant) for d in ROWS if d.family.startswith("AIRA")}
    assert len(finds) == 14
    assert all({d.scale for d in ROWS if (d.family, d.variant) == f} == {"350M", "1B", "3B"} for f in finds)


def test_layers_are_the_printed_ones_in_46_rows() -> None:
    assert (len(AS_PRINTED), len(CHOSEN)) == (46, 17)
    assert all(d.layers == parse(d.printed) for d in AS_PRINTED)


@pytest.mark.parametrize("d", ROWS, ids=lambda d: d.name)
def test_depth_and_counts_are_the_stated_ones(d: Design) -> None:
    assert len(d.layers) == d.n_layers
    expected = d.printed_counts or table_10_counts(d)
    if expected and d.name != "Composite/stacked@1B":  # there Table 10 repeats the stretched row
        assert count(d.layers) == expected


@pytest.mark.parametrize("d", CHOSEN, ids=lambda d: d.name)
def test_a_choice_answers_a_contradiction_of_depth(d: Design) -> None:
    assert len(parse(d.printed)) != d.n_layers
    assert any(f"pattern has {len(parse(d.printed))} layers" in text for text in d.contradictions)


@pytest.mark.parametrize("d", [d for d in AS_PRINTED if d.printed_a_to_m], ids=lambda d: d.name)
def test_the_ratio_is_the_printed_one_unless_a_contradiction_says_so(d: Design) -> None:
    counts = count(d.layers)
    agrees = f"{counts['A'] / counts['M']:.1f}" == f"{d.printed_a_to_m:.1f}"
    assert agrees != any(text.startswith("Table 8, A:M") for text in d.contradictions)


@pytest.mark.parametrize("d", BASES, ids=lambda d: d.name)
def test_bases_have_16_layers_and_the_printed_order(d: Design) -> None:
    assert len(d.layers) == len(parse(d.printed)) == 16
    assert (d.layers == parse(d.printed)) == (not d.choice)


def test_the_two_contradictions_of_a_base() -> None:
    assert [d.name for d in BASES if d.choice] == ["AIRAhybrid-B"]
    assert [d.name for d in BASES if d.contradictions] == ["AIRAformer-C", "AIRAhybrid-B"]
    assert any("layer order" in text for text in design("AIRAformer-C/stacked@1B").contradictions)
    assert not any("layer order" in text for text in design("AIRAformer-C/stretched@1B").contradictions)


@pytest.mark.parametrize("family", ["AIRAformer-B", "AIRAformer-D", "AIRAhybrid-B", "AIRAhybrid-D", "AIRAhybrid-E"])
def test_stacked_at_1b_repeats_the_base(family: str) -> None:
    base = reference(family)
    layers = reference(f"{family}/stacked@1B")
    assert layers == base * (len(layers) // 16)


@pytest.mark.parametrize("family", [f"AIRAformer-{x}" for x in "ACD"] + [f"AIRAhybrid-{x}" for x in "ABDE"])
def test_stretched_at_1b_is_the_base_slowed_down(family: str) -> None:
    base = reference(family)
    layers = reference(f"{family}/stretched@1B")
    assert layers == tuple(base[i * 16 // len(layers)] for i in range(len(layers)))


@pytest.mark.parametrize("d", [d for d in ROWS if d.family in BASELINES], ids=lambda d: d.name)
def test_baselines_repeat_to_every_published_depth(d: Design) -> None:
    if d.variant != "stretched":
        assert baseline_layers(d.family, d.n_layers) == d.layers


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_have_any_depth(name: str) -> None:
    unit = baseline_unit(name)
    for n in range(1, 3 * len(unit)):
        layers = baseline_layers(name, n)
        assert len(layers) == n
        assert layers[: n // len(unit) * len(unit)] == unit * (n // len(unit))


def test_units() -> None:
    assert baseline_unit("Composer") == parse("2Mb-M-3A")
    assert baseline_unit("Nemotron-H") == reference("Nemotron-H@1B")
    assert baseline_layers("Llama 3.2", 5) == parse("2(A-M)-A")
    assert baseline_layers("Composite", 10) == parse("2A-4M-A-3M")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("AIRAformer-D@1B", "; valid: AIRAformer-D, AIRAformer-D/stacked@350M, .*, AIRAformer-D/stretched@3B$"),
        ("AIRAformr-D", "no family 'AIRAformr-D'; did you mean 'AIRAformer-D'"),
        ("Llama@1B", "no family 'Llama'; did you mean"),
        ("Llama 3.2@7B", "valid: Llama 3.2@350M, Llama 3.2@1B, Llama 3.2@3B$"),
        ("", "no family ''; valid: AIRA"),
    ],
)
def test_unknown_designs_name_the_nearest(name: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason) as caught:
        reference(name)
    assert "\n" not in str(caught.value)


def test_unknown_baselines_and_depths() -> None:
    with pytest.raises(UserError, match="did you mean 'Nemotron-2'"):
        baseline_unit("Nemotron2")
    with pytest.raises(UserError, match="at least 1 layer"):
        baseline_layers("Mamba", 0)


def test_nearest_design() -> None:
    for d in designs():
        found, distance = nearest_design(d.layers)
        assert distance == 0
        assert found.layers == d.layers
    found, distance = nearest_design((*reference("AIRAformer-D")[:-1], "Mb"))
    assert (found.name, distance) == ("AIRAformer-D", 1)
