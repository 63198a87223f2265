from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.architecture import cost
from aira_lib.architecture.pattern import Layers, parse
from aira_lib.architecture.primitives import PAPER_PRIMITIVES, PRIMITIVES
from aira_lib.architecture.reference import designs
from aira_lib.architecture.scales import Scale, scale_named
from aira_lib.architecture.tables import read_table
from aira_lib.errors import UserError

CONVENTION: dict[str, cost.StepConvention] = {"nearest": "nearest", "floor": "floor"}
BUDGETS = ("2e19", "4e19", "8e19", "2e20", "4e20")


def published_steps() -> Iterator[tuple[dict[str, str], Layers, Scale, str]]:
    for row in read_table("steps"):
        layers = tuple(p for p in PAPER_PRIMITIVES for _ in range(int(row[p])))
        for budget in BUDGETS:
            yield row, layers, scale_named(row["scale"], 2 if row["table"] == "10" else 3), budget


def test_all_285_published_step_counts() -> None:
    agree = [
        cost.steps_for_budget(float(budget), layers, scale, CONVENTION[row["rounding"]]) == int(row[budget])
        for row, layers, scale, budget in published_steps()
    ]
    assert (sum(agree), len(agree)) == (285, 285)


@pytest.mark.parametrize(("table", "convention", "misses"), [("10", "floor", 48), ("11", "nearest", 84)])
def test_the_other_convention_would_not_do(table: str, convention: cost.StepConvention, misses: int) -> None:
    wrong = [
        cost.steps_for_budget(float(budget), layers, scale, convention) != int(row[budget])
        for row, layers, scale, budget in published_steps()
        if row["table"] == table
    ]
    assert sum(wrong) == misses


def test_published_parameters() -> None:
    """Table 9 rounds the sum; Table 8 adds the rounded embedding to the rounded rest, and misses one row."""
    misses, rows = [], 0
    for design in designs():
        if not design.scale:
            continue
        layers, embedding = cost.params(design.layers, scale_named(design.scale, design.n_primitives))
        total = layers + embedding if design.n_primitives == 3 else round(layers, -7) + round(embedding, -7)
        rows += 1
        if (round(layers / 1e9, 2), round(total / 1e9, 2)) != design.printed_params:
            misses.append(design.name)
    assert rows == 27 + 36
    assert misses == ["Composite/stacked@3B"]
    assert cost.params(parse("8(2A-4M)-A-2M"), scale_named("3B", 2))[0] == pytest.approx(2.9947e9, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "n", "flops", "params"),
    [
        ("350M", 2, (188_743_680, 113_246_208, 92_534_784), (6_291_456, 18_874_368, 14_642_576)),
        ("350M", 3, (188_743_680, 169_869_312, 92_534_784), (6_291_456, 28_311_552, 14_642_576)),
        ("1B", 3, (264_241_152, 301_989_888, 161_323_008), (10_485_760, 50_331_648, 25_847_232)),
        ("3B", 2, (452_984_832, 452_984_832, 369_979_392), (25_165_824, 75_497_472, 58_530_592)),
        ("3B", 3, (452_984_832, 679_477_248, 369_979_392), (25_165_824, 113_246_208, 58_530_592)),
    ],
)
def test_recovered_costs_of_a_layer(name: str, n: int, flops: tuple[int, ...], params: tuple[int, ...]) -> None:
    scale = scale_named(name, n)
    assert tuple(cost.layer_flops(scale)[p] for p in PAPER_PRIMITIVES) == flops
    assert tuple(cost.layer_params(scale)[p] for p in PAPER_PRIMITIVES) == params


def shapes(layers: Layers, s: Scale) -> Iterator[tuple[int, ...]]:
    """Every weight of the model, one by one."""
    yield s.vocab_size, s.d_model
    if not s.tie_embeddings:
        yield s.vocab_size, s.d_model
    d, heads, states = s.d_model, s.d_ssm // s.ssm_head_dim, s.n_groups * s.d_state
    for layer in layers:
        yield (d,)
        match layer:
            case "A" | "W":
                q, kv = s.n_heads * s.head_dim, s.n_kv_heads * s.head_dim
                yield from [(d, q), (d, kv), (d, kv), (q, d)]
            case "M":
                yield from [(d, s.d_ff)] * (1 if s.mlp == "relu" else 2)
                yield s.d_ff, d
            case "Mb":
                conv = s.d_ssm + 2 * states
                yield from [(d, 2 * s.d_ssm + 2 * states + heads), (conv, s.d_conv), (conv,)]
                yield from [(heads,), (heads,), (heads,), (s.d_ssm,), (s.d_ssm, d)]
    yield (d,)


scales = st.builds(
    lambda d, kv, group, head, ff, mlp, p, h, g, n, k, tie: Scale(
        name="any", d_model=d, n_heads=kv * group, n_kv_heads=kv, head_dim=head, d_ff=ff, mlp=mlp, d_ssm=p * h * g,
        d_state=n, ssm_head_dim=p, n_groups=g, d_conv=k, seq_len=7, vocab_size=11, tie_embeddings=tie,
        tokens_per_step=14,
    ),
    *[st.integers(1, 9)] * 5, st.sampled_from(["swiglu", "relu"]), *[st.integers(1, 9)] * 5, st.booleans(),
)  # fmt: skip


@given(st.lists(st.sampled_from(PRIMITIVES.names()), max_size=9).map(tuple), scales)
def test_exact_params_are_the_sum_of_all_weights(layers: Layers, scale: Scale) -> None:
    total = 0
    for shape in shapes(layers, scale):
        product = 1
        for n in shape:
            product *= n
        total += product
    assert cost.exact_params(layers, scale) == total


def test_exact_params_add_only_norms_to_the_papers() -> None:
    layers, scale = parse("16(A-M)"), scale_named("1B", 2)
    assert cost.exact_params(layers, scale) == sum(cost.params(layers, scale)) + 33 * 2048


def test_flops_of_a_step_and_their_order() -> None:
    scale = scale_named("1B", 3)
    layers = parse("A-2M-3Mb")
    per_token = 264_241_152 + 2 * 301_989_888 + 3 * 161_323_008
    assert cost.flops_per_token(layers, scale) == cost.flops_per_token(layers[::-1], scale) == per_token
    assert cost.flops_per_step(iter(layers), scale) == per_token * 524_288


@given(st.integers(1, 10**22))
def test_steps_neither_lose_nor_gain_more_than_their_convention(budget: int) -> None:
    scale, layers = scale_named("nano", 3), parse("A-M")
    step = cost.flops_per_step(layers, scale)
    floor, nearest = (cost.steps_for_budget(budget, layers, scale, c) for c in ("floor", "nearest"))
    assert floor * step <= budget < (floor + 1) * step
    assert abs(2 * (nearest * step - budget)) <= step


@pytest.mark.parametrize("budget", [0.0, -1.0, float("nan"), float("inf")])
def test_budgets_are_positive_numbers(budget: float) -> None:
    with pytest.raises(UserError, match="positive number of FLOPs"):
        cost.steps_for_budget(budget, ("A",), scale_named("nano", 3), "floor")


def test_conventions_have_names() -> None:
    with pytest.raises(UserError, match="valid: floor, nearest"):
        cost.steps_for_budget(1e15, ("A",), scale_named("nano", 3), "up")  # type: ignore[arg-type]


def test_inference_memory() -> None:
    scale = scale_named("1B", 3)
    layers = parse("3A-M-2Mb")
    assert cost.kv_cache_bytes(layers, scale, context=8192) == 3 * 8192 * 2 * 512 * 2
    assert cost.kv_cache_bytes(layers, scale, context=10, batch=4, bytes_per_value=1) == 3 * 4 * 10 * 2 * 512
    # 64 heads of 64 x 128, and three columns of 4096 + 2 * 128 channels.
    assert cost.ssm_state_bytes(layers, scale, batch=2) == 2 * 2 * 2 * (64 * 64 * 128 + 3 * 4352)
    assert cost.kv_cache_bytes(("Mb",), scale, 8192) == cost.ssm_state_bytes(("A",), scale) == 0


def test_count_names_what_is_no_primitive() -> None:
    assert cost.count(parse("2A-Mb")) == {"A": 2, "M": 0, "Mb": 1}
    with pytest.raises(UserError, match="unknown primitive 'X'"):
        cost.count(("A", "X"))
