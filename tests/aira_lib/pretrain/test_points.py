"""Training runs have exact and distinct names, and what would give two of them one name is refused when it is read."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.architecture.scales import scale_named
from aira_lib.errors import SpecError
from aira_lib.extrapolate.stage import describe
from aira_lib.flow import estimates
from aira_lib.naming import exact, slug
from aira_lib.pretrain.points import pretraining_points
from aira_lib.study import IsoFlopSection, PretrainSection
from tests.builders import TINY_STUDY, tiny_study


def points(*budgets: float) -> list[str]:
    section = PretrainSection(isoflop=IsoFlopSection(scales=("nano",), budgets=budgets, seeds=(0, 1)))
    scale = scale_named("nano", 3)
    design = describe(
        "d@nano", base="d", kind="baseline", method="repeat", layers=("A", "M"), scale=scale, trainable=True
    )
    return [point.id for point in pretraining_points(section, [design])]


def test_budgets_that_differ_in_their_second_digit_have_names_of_their_own() -> None:
    """Rounded to one digit both were called 1e09: one never trained, the other trained twice at once."""
    assert points(1.2e9, 1.4e9, 2e10) == [
        f"d@nano.isoflop.{label}.s{seed}" for label in ("1.2e9", "1.4e9", "2e10") for seed in (0, 1)
    ]


def test_replicates_are_further_seeds_of_their_cells_alone() -> None:
    """Three seeds on four cells: two designs, each at one size under one budget and another under another."""
    isoflop = {
        "scales": ["nano", "micro"], "budgets": [2e10, 4e10], "seeds": [0],
        "replicates": [
            {"scale": "nano", "budget": 2e10, "seeds": [1, 2]}, {"scale": "micro", "budget": "4e10", "seeds": [7, 5]},
        ],
    }  # fmt: skip
    study = tiny_study(pretrain={"methods": ["stretch"], "isoflop": isoflop})
    designs = [
        describe(f"{name}@{scale}", base=name, kind="baseline", method="repeat", layers=layers,
                 scale=scale_named(scale, 3), trainable=True)
        for scale in ("nano", "micro") for name, layers in (("d", ("A", "M")), ("e", ("M", "M")))
    ]  # fmt: skip
    seeds: dict[tuple[str, float | None], list[int]] = {}
    for point in pretraining_points(study.pretrain, designs):
        seeds.setdefault((point.design.name, point.budget_flops), []).append(point.seed)
    more = {(f"{name}@nano", 2e10): [0, 1, 2] for name in "de"} | {(f"{name}@micro", 4e10): [0, 7, 5] for name in "de"}
    assert seeds == {(f"{n}@{s}", b): [0] for n in "de" for s in ("nano", "micro") for b in (2e10, 4e10)} | more
    without = tiny_study(pretrain={"isoflop": {**isoflop, "replicates": []}})
    kept = {point.id: point for point in pretraining_points(without.pretrain, designs)}
    assert kept.items() <= {point.id: point for point in pretraining_points(study.pretrain, designs)}.items()
    cells = [(scale.name, runs) for _, scale, runs, *_ in estimates._trainings(study)]
    trained = len(study.aggregate) + len(study.extrapolate.baselines)
    assert cells == [("nano", 2 * trained), ("micro", 2 * trained), ("nano", 2 * trained), ("micro", 2 * trained)]


@given(st.floats(min_value=1e-300, max_value=1e300), st.floats(min_value=1e-300, max_value=1e300))
def test_the_text_of_a_number_is_its_own(one: float, other: float) -> None:
    assert float(exact(one)) == one
    assert (exact(one) == exact(other)) == (one == other)
    assert Decimal(exact(one)) == Decimal(repr(one))
    assert slug(exact(one).replace("-", "").replace(".", "")) == exact(one).replace("-", "").replace(".", "")


def with_pretrain(**sections: Any) -> dict[str, Any]:
    return {"pretrain": {**TINY_STUDY["pretrain"], **sections}}


FLOP = {"scales": ["nano"], "budgets": [1e9]}
TOKENS = {"scale": "nano", "tokens": 8192}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (with_pretrain(isoflop={**FLOP, "budgets": [2e9, 2e9]}), r"isoflop.budgets: .*2000000000.0 stands twice"),
        (with_pretrain(isoflop={**FLOP, "scales": ["nano", "nano"]}), "pretrain.isoflop.scales: .*'nano' stands twice"),
        (with_pretrain(isoflop={**FLOP, "seeds": [3, 3]}), "pretrain.isoflop.seeds: .*3 stands twice"),
        (with_pretrain(isoflop={**FLOP, "replicates": [{"scale": "micro", "budget": 1e9, "seeds": [1]}]}),
         "replicates: scale 'micro' under 1e\\+09 FLOPs is not trained; name one of scales"),
        (with_pretrain(isoflop={**FLOP, "replicates": [{"scale": "nano", "budget": 2e9, "seeds": [1]}]}),
         "replicates: scale 'nano' under 2e\\+09 FLOPs is not trained"),
        (with_pretrain(isoflop={**FLOP, "replicates": [{"scale": "nano", "budget": 1e9, "seeds": [1, 0]}]}),
         "under 1e\\+09 FLOPs has a seed twice; they are further seeds"),
        (with_pretrain(isoflop={**FLOP, "replicates": [
            {"scale": "nano", "budget": 1e9, "seeds": [1]}, {"scale": "nano", "budget": 1e9, "seeds": [2, 1]}]}),
         "has a seed twice"),
        (with_pretrain(isotoken={**TOKENS, "seeds": [1, 0, 1]}), "isotoken.seeds: .*1 stands twice"),
        (with_pretrain(methods=["stretch", "stretch"]), "pretrain.methods: .*'stretch' stands twice"),
        ({"extrapolate": {"scales": ["1B", "1B"]}}, "extrapolate.scales: .*'1B' stands twice"),
        ({"extrapolate": {"baselines": ["Composer", "Composer"]}}, "baselines: .*'Composer' stands twice"),
        ({"proxy": {"tasks": ["memorization", "memorization"]}}, "proxy.tasks: .*'memorization' stands twice"),
        ({"agents": [{"seeds": [0, 0]}]}, "agents.0.seeds: .*0 stands twice"),
        ({"agents": [{"name": "a"}, {"name": "a"}]}, "agents: names must be distinct, and 'a' stands twice"),
        ({"aggregate": [{"name": "v"}, {"name": "v"}]}, "aggregate: names must be distinct, and 'v' stands twice"),
        ({"aggregate": [{"name": "a b"}, {"name": "a.b"}]}, "'a b' and 'a.b' differ in signs only"),
        ({"aggregate": [{"name": "v", "datasets": ["mad", "mad"]}]}, "datasets: .*'mad' stands twice"),
    ],
)  # fmt: skip
def test_what_stands_twice_in_a_list_is_refused_when_the_study_is_read(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(SpecError, match=line) as error:
        tiny_study(**changes)
    assert "\n" not in str(error.value)
