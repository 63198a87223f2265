"""Change the depth of a design: stretch its blocks, or stack copies of it; and find the depth for a size."""

from collections.abc import Callable

from aira_lib.architecture.cost import params
from aira_lib.architecture.pattern import Layers
from aira_lib.architecture.scales import Scale

MAX_DEPTH = 512


def stretch(base: Layers, n_layers: int) -> Layers:
    """Expand or shrink every block in proportion: layer i of the result is layer floor(i * len(base) / n_layers)."""
    return tuple(base[i * len(base) // n_layers] for i in range(n_layers))


def stack(base: Layers, n_layers: int) -> Layers:
    """Repeat the whole base; what is left over is filled by the base stretched down to it (Composer's remainder)."""
    copies, remainder = divmod(n_layers, len(base))
    return base * copies + (stretch(base, remainder) if remainder else ())


METHODS: dict[str, Callable[[Layers, int], Layers]] = {"stretch": stretch, "stack": stack}
VARIANT = {"stretch": "stretched", "stack": "stacked"}


def layers_for_scale(build: Callable[[int], Layers], scale: Scale) -> Layers:
    """The depth at which a design meets its scale: the scale's layer count, or the nearest to its target parameters.

    Args:
        build: gives the design at a number of layers.
        scale: has `n_layers`, or `target_params` (non-embedding parameters).
    """
    if scale.n_layers is not None:
        return build(scale.n_layers)
    target = scale.target_params or 0.0
    best, best_distance = build(1), float("inf")
    for n_layers in range(1, MAX_DEPTH + 1):
        design = build(n_layers)
        size = params(design, scale)[0]
        if abs(size - target) < best_distance:
            best, best_distance = design, abs(size - target)
        # Every layer adds parameters on average; twice the target cannot be nearer again.
        if size > 2 * target:
            break
    return best
