"""Change the depth of a design: stretch its blocks, or stack copies of it; and find the depth for a size.

A block is a run of equal layers. `nearest_to` is the one search for a depth; `solver.solve` adds the words around it.
"""

from collections.abc import Callable
from itertools import groupby
from typing import Literal

from aira_lib.architecture.cost import count, layer_flops, layer_params
from aira_lib.architecture.pattern import Layers
from aira_lib.architecture.scales import Scale
from aira_lib.errors import UserError

MAX_DEPTH = 1024
"""No design is made deeper; the paper's deepest has 76 layers."""

Build = Callable[[int], Layers]
"""Gives a design at a number of layers."""

Measure = Literal["params", "flops_per_token"]
MEASURES: dict[Measure, tuple[str, Callable[[Scale], dict[str, int]]]] = {
    "params": ("non-embedding parameters", layer_params),
    "flops_per_token": ("training FLOPs a token", layer_flops),
}
"""In words, and what one layer of each primitive has of it at a scale (the paper's convention, `architecture.cost`)."""


def stretch(base: Layers, n_layers: int) -> Layers:
    """Expand or shrink every block in proportion: layer i of the result is layer floor(i * len(base) / n_layers)."""
    return tuple(base[i * len(base) // n_layers] for i in range(n_layers))


def stack(base: Layers, n_layers: int) -> Layers:
    """Repeat the whole base; what is left over is filled by the base stretched down to it (Composer's remainder)."""
    copies, remainder = divmod(n_layers, len(base))
    return base * copies + (stretch(base, remainder) if remainder else ())


METHODS: dict[str, Callable[[Layers, int], Layers]] = {"stretch": stretch, "stack": stack}
VARIANT = {"stretch": "stretched", "stack": "stacked"}


def blocks(layers: Layers) -> list[tuple[str, int]]:
    """The runs of equal layers: 2A-M gives [("A", 2), ("M", 1)]."""
    return [(primitive, len(list(run))) for primitive, run in groupby(layers)]


def at_depth(build: Build, n_layers: int) -> Layers:
    """The design at a number of layers.

    Raises:
        UserError: fewer than 1 layer, or more than `MAX_DEPTH`.
    """
    if not 1 <= n_layers <= MAX_DEPTH:
        raise UserError(f"a design has 1 to {MAX_DEPTH:,} layers, not {n_layers:,}")
    return build(n_layers)


def nearest_to(build: Build, scale: Scale, measure: Measure, target: float) -> Layers:
    """The design nearest to a target size, among all depths up to `MAX_DEPTH`; of two as near, the shallower.

    A deeper design may be smaller, since a block may lose a layer where another gains two; so every depth is tried.

    Raises:
        UserError: a target that is not positive, that no layers at all would meet as well, or above `MAX_DEPTH` layers.
    """
    what, layer_costs = MEASURES[measure]
    if not 0 < target < float("inf"):
        raise UserError(f"a target is a positive number of {what}, not {target}")
    per_layer = layer_costs(scale)
    least = min(per_layer.values())
    best, distance = Layers(), target
    for n_layers in range(1, MAX_DEPTH + 1):
        # From here on every design is larger than the target, by more than the best is off.
        if n_layers * least - target >= distance:
            break
        layers = build(n_layers)
        size = _total(layers, per_layer)
        if abs(size - target) < distance:
            best, distance = layers, abs(size - target)
    else:
        if size < target:
            reach = f"{MAX_DEPTH:,} layers, the most there may be, have {size:.3g} {what}"
            raise UserError(f"scale {scale.name!r}: {reach}, fewer than {target:.3g}; aim lower or take a wider scale")
    if not best:
        smallest = _total(build(1), per_layer)
        raise UserError(
            f"scale {scale.name!r}: one layer alone has {smallest:.3g} {what}, too many for {target:.3g}; "
            "aim higher or take a narrower scale"
        )
    return best


def layers_for_scale(build: Build, scale: Scale) -> Layers:
    """The design that meets its scale: of the scale's number of layers, or the nearest to its target parameters.

    Args:
        build: gives the design at a number of layers.
        scale: has `n_layers`, or `target_params` (non-embedding parameters).

    Raises:
        UserError: a scale without either, or one that no depth meets.
    """
    if scale.n_layers is not None:
        return at_depth(build, scale.n_layers)
    if scale.target_params is None:
        raise UserError(f"scale {scale.name!r} says no depth: give it n_layers or target_params")
    return nearest_to(build, scale, "params", scale.target_params)


def _total(layers: Layers, per_layer: dict[str, int]) -> int:
    return sum(n * per_layer[primitive] for primitive, n in count(layers).items())
