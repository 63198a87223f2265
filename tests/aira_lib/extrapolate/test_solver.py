"""The solver against brute force, its properties, its words and its refusals."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.architecture import cost
from aira_lib.architecture.pattern import Layers, parse
from aira_lib.architecture.scales import Scale, scale_named
from aira_lib.errors import UserError
from aira_lib.extrapolate.depth import METHODS, blocks, layers_for_scale, nearest_to, stretch
from aira_lib.extrapolate.solver import Method, describe_change, solve
from aira_lib.extrapolate.stage import describe

BASE = parse("3(2Mb-M-A)-2(Mb-M)")
AT = scale_named("350M", 3)

bases = st.lists(st.sampled_from(["A", "M", "Mb"]), min_size=1, max_size=16).map(tuple)
methods = st.sampled_from(["stretch", "stack"])
measures = st.sampled_from(["params", "flops_per_token"])
sizes: dict[str, Callable[[Layers], int]] = {
    "params": lambda layers: cost.params(layers, AT)[0],
    "flops_per_token": lambda layers: cost.flops_per_token(layers, AT),
}
# One layer has 6e6 to 3e7 parameters and 9e7 to 2e8 FLOPs: these are up to some 160 layers, and never fewer than one.
targets = {"params": st.floats(6e7, 1e9), "flops_per_token": st.floats(8e8, 6e9)}


@given(bases, methods, measures, st.data())
def test_no_other_depth_is_nearer(base: Layers, method: Method, measure: str, data: st.DataObject) -> None:
    target = data.draw(targets[measure])
    solution = solve(base, AT, method=method, **{measure: target})  # type: ignore[arg-type]
    reached = {n: sizes[measure](METHODS[method](base, n)) for n in range(1, 301)}
    best = min(reached, key=lambda n: abs(reached[n] - target))  # the first, so the shallower of two
    assert (solution.n_layers, solution.reached) == (best, reached[best])


@given(bases, methods, measures, st.data())
def test_a_larger_target_never_gives_a_smaller_design(
    base: Layers, method: Method, measure: str, data: st.DataObject
) -> None:
    small, large = sorted([data.draw(targets[measure]), data.draw(targets[measure])])
    smaller = solve(base, AT, method=method, **{measure: small})  # type: ignore[arg-type]
    larger = solve(base, AT, method=method, **{measure: large})  # type: ignore[arg-type]
    assert smaller.reached <= larger.reached


@given(bases, methods)
def test_a_base_at_its_own_size_is_itself(base: Layers, method: Method) -> None:
    at_depth = solve(base, AT, n_layers=len(base), method=method)
    assert (at_depth.layers, at_depth.changed, at_depth.off_by) == (base, "the base as it is", 0)
    for measure, size in sizes.items():
        solution = solve(base, AT, method=method, **{measure: size(base)})  # type: ignore[arg-type]
        # Another depth may happen to cost exactly the same; it is then the shallower one.
        assert solution.off_by == 0
        assert solution.layers == base or solution.n_layers < len(base)


@given(bases, methods, st.integers(1, 100))
def test_a_solution_states_what_it_is(base: Layers, method: Method, n: int) -> None:
    solution = solve(base, AT, n_layers=n, method=method)
    assert solution.layers == METHODS[method](base, n)
    assert (solution.n_layers, solution.target, solution.reached) == (n, n, n)
    assert solution.params == sizes["params"](solution.layers)
    assert solution.flops_per_token == sizes["flops_per_token"](solution.layers)


def test_off_by_has_the_sign_and_unit_of_the_target() -> None:
    depth = solve(BASE, AT, n_layers=20, method="stack")
    above = solve(BASE, AT, params=depth.params - 1000, method="stack")
    below = solve(BASE, AT, flops_per_token=depth.flops_per_token + 500.5, method="stack")
    assert (above.layers, above.off_by) == (depth.layers, 1000)
    assert (below.layers, below.off_by) == (depth.layers, -500.5)


def test_a_deeper_design_may_be_smaller_and_is_found() -> None:
    """A search that stops where the size first passes the target, or bisects, misses this one."""
    base = parse("3(A-M)")
    size = sizes["params"]
    depths = [n for n in range(2, 30) if size(stretch(base, n)) < size(stretch(base, n - 1))]
    assert depths == [3, 9, 15, 21, 27]
    for n in depths:
        assert solve(base, AT, params=size(stretch(base, n)), method="stretch").off_by == 0


@pytest.mark.parametrize(
    ("method", "n", "words"),
    [
        ("stretch", 16, "the base as it is"),
        ("stretch", 32, "every block x 2"),
        ("stretch", 33, "every block x 2.06, rounded"),
        ("stretch", 8, "every block x 0.5, rounded (5 of 13 blocks cut)"),
        ("stack", 48, "3 copies"),
        ("stack", 50, "3 copies and the base stretched to 2 layers (11 of 13 blocks cut)"),
        ("stack", 17, "1 copy and the base stretched to 1 layer (12 of 13 blocks cut)"),
        ("stack", 31, "1 copy and the base stretched to 15 layers (1 of 13 blocks cut)"),
        ("stack", 5, "no whole copy: the base stretched to 5 layers (8 of 13 blocks cut)"),
    ],
)
def test_words(method: Method, n: int, words: str) -> None:
    assert solve(BASE, AT, n_layers=n, method=method).changed == words


@given(bases, st.integers(1, 60))
def test_the_words_on_cut_blocks_are_true(base: Layers, n: int) -> None:
    """Told apart by their own number, as many blocks are left as the words say."""
    own = tuple(str(index) for index, (_, size) in enumerate(blocks(base)) for _ in range(size))
    n_cut = len(set(own)) - len(set(stretch(own, n)))
    ending = f"({n_cut} of {len(set(own))} blocks cut)"
    assert describe_change(base, n, "stretch").endswith(ending) == (n_cut > 0)


@given(bases, st.integers(1, 60))
def test_every_block_is_scaled_and_rounded(base: Layers, n: int) -> None:
    own = tuple(str(index) for index, (_, size) in enumerate(blocks(base)) for _ in range(size))
    for index, (_, size) in enumerate(blocks(base)):
        assert abs(stretch(own, n).count(str(index)) - size * n / len(base)) < 1


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({}, "exactly one target: n_layers, params or flops_per_token"),
        ({"n_layers": 20, "params": 1e8}, "exactly one target"),
        ({"n_layers": 20, "params": 1e8, "flops_per_token": 1e9}, "exactly one target"),
        ({"n_layers": 0}, "a design has 1 to 1,024 layers, not 0"),
        ({"n_layers": 1025}, "not 1,025"),
        ({"params": 0}, "a target is a positive number of non-embedding parameters, not 0"),
        ({"params": -1e9}, "positive"),
        ({"flops_per_token": float("nan")}, "positive number of training FLOPs a token, not nan"),
        ({"flops_per_token": float("inf")}, "positive"),
        (
            {"params": 350},
            "'350M': one layer alone has 1.46e.07 non-embedding parameters, too many for 350; aim higher",
        ),
        ({"params": 1e12}, "'350M': 1,024 layers, the most there may be, have .* fewer than 1e.12; aim lower"),
    ],
)
def test_impossible_targets_are_one_line(targets: dict[str, Any], message: str) -> None:
    for method in ("stretch", "stack"):
        with pytest.raises(UserError, match=message) as error:
            solve(BASE, AT, method=method, **targets)  # type: ignore[arg-type]
        assert "\n" not in str(error.value)


def test_other_mistakes() -> None:
    with pytest.raises(UserError, match="unknown method 'strech'; did you mean 'stretch'"):
        solve(BASE, AT, n_layers=20, method="strech")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no base"):
        solve((), AT, n_layers=20, method="stretch")
    with pytest.raises(UserError, match="unknown primitive 'X'"):
        solve(("A", "X"), AT, params=1e8, method="stack")


def test_one_layer_is_taken_up_to_the_point_where_none_would_be_as_near() -> None:
    one = sizes["params"](("M",))
    assert solve(("M",), AT, params=one / 2 + 1, method="stack").n_layers == 1
    with pytest.raises(UserError, match="one layer alone"):
        solve(("M",), AT, params=one / 2, method="stack")


def test_the_deepest_design_is_still_found() -> None:
    most = 1024 * sizes["params"](("M",))
    assert solve(("M",), AT, params=most, method="stack").n_layers == 1024
    with pytest.raises(UserError, match="1,024 layers"):
        solve(("M",), AT, params=most + 1, method="stack")


def scale_with(**targets: Any) -> Scale:
    return AT.model_copy(update={"n_layers": None, "target_params": None, **targets})


@given(bases, methods)
def test_the_depth_of_a_scale_is_the_solvers(base: Layers, method: Method) -> None:
    for scale, target in (
        (scale_with(target_params=2e8), {"params": 2e8}),
        (scale_with(n_layers=21, target_params=2e8), {"n_layers": 21}),
    ):
        chosen = layers_for_scale(lambda n: METHODS[method](base, n), scale)
        assert chosen == solve(base, AT, method=method, **target).layers  # type: ignore[arg-type]


def test_a_scale_without_a_target_is_refused() -> None:
    with pytest.raises(UserError, match="scale '350M' says no depth: give it n_layers or target_params"):
        layers_for_scale(lambda n: ("A",) * n, scale_with())
    with pytest.raises(UserError, match="1 to 1,024 layers"):
        layers_for_scale(lambda n: ("A",) * n, scale_with(n_layers=5000))


def test_the_search_takes_any_build() -> None:
    """Baselines are neither stretched nor stacked; their depth comes from the same search."""
    odd = nearest_to(lambda n: ("M",) * (n - 1) + ("A",), AT, "params", 3e8)
    assert odd[-1] == "A"
    assert abs(sizes["params"](odd) - 3e8) <= sizes["params"](("M",)) / 2


def test_a_described_design_carries_the_words() -> None:
    solution = solve(BASE, AT, n_layers=33, method="stretch")
    at = {"base": "x", "layers": solution.layers, "scale": AT, "trainable": False}
    row = describe("x", kind="find", method="stretch", change=solution.changed, **at)
    assert row.change == "every block x 2.06, rounded"
    assert describe("x", kind="baseline", method="repeat", **at).change == ""
