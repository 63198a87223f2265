"""The nearest design to a target: a base stretched or stacked to a number of layers, parameters, or FLOPs a token."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from aira_lib.architecture import cost
from aira_lib.architecture.pattern import Layers
from aira_lib.architecture.scales import Scale
from aira_lib.errors import UserError, nearest
from aira_lib.extrapolate.depth import METHODS, Measure, at_depth, blocks, nearest_to

Method = Literal["stretch", "stack"]


@dataclass(frozen=True)
class Solution:
    """A design and how near it comes. `target`, `reached` and `off_by` are in the unit of the target that was given."""

    layers: Layers
    n_layers: int
    params: int
    """Non-embedding parameters in the paper's convention."""
    flops_per_token: int
    """Training FLOPs a token in the paper's convention."""
    target: float
    reached: float
    off_by: float
    """reached - target: above zero, the design is larger than asked for."""
    changed: str
    """What became of the base, in words: `describe_change`."""


def solve(
    base: Layers,
    scale: Scale,
    *,
    n_layers: int | None = None,
    params: float | None = None,
    flops_per_token: float | None = None,
    method: Method,
) -> Solution:
    """Stretch or stack a base to the depth that comes nearest to a target; of two as near, the shallower.

    Args:
        base: layers of any number.
        scale: the dimensions of a layer; its own targets are not read.
        n_layers: target, met exactly.
        params: target in non-embedding parameters.
        flops_per_token: target in training FLOPs a token, forward and backward.
        method: "stretch" (every block in proportion) or "stack" (copies, the remainder stretched).

    Raises:
        UserError: not exactly one target, an impossible one, an unknown method, or no base.
    """
    if not base:
        raise UserError("there is no base to extrapolate: it has no layers")
    if method not in METHODS:
        raise UserError(f"unknown method {method!r}{nearest(method, METHODS)}")
    build = partial(METHODS[method], base)
    measure, target = _only(n_layers, params, flops_per_token)
    layers = at_depth(build, int(target)) if measure == "n_layers" else nearest_to(build, scale, measure, target)
    sizes = {
        "n_layers": len(layers),
        "params": cost.params(layers, scale)[0],
        "flops_per_token": cost.flops_per_token(layers, scale),
    }
    return Solution(
        layers,
        **sizes,
        target=target,
        reached=sizes[measure],
        off_by=sizes[measure] - target,
        changed=describe_change(base, len(layers), method),
    )


def _only(
    n_layers: int | None, params: float | None, flops_per_token: float | None
) -> tuple[Literal["n_layers"] | Measure, float]:
    match (n_layers, params, flops_per_token):
        case (depth, None, None) if depth is not None:
            return "n_layers", depth
        case (None, size, None) if size is not None:
            return "params", size
        case (None, None, flops) if flops is not None:
            return "flops_per_token", flops
    raise UserError("a design is solved for exactly one target: n_layers, params or flops_per_token")


def describe_change(base: Layers, n_layers: int, method: str) -> str:
    """What `stretch` or `stack` does to a base for a depth, in words.

    Such as "every block x 2.06, rounded", "3 copies and the base stretched to 2 layers (9 of 11 blocks cut)".
    """
    if n_layers == len(base):
        return "the base as it is"
    if method == "stretch":
        rounded = ", rounded" if n_layers % len(base) else ""
        return f"every block x {n_layers / len(base):.3g}{rounded}{_cut(base, n_layers)}"
    copies, rest = divmod(n_layers, len(base))
    whole = f"{copies} {'copies' if copies > 1 else 'copy'}"
    if not rest:
        return whole
    filled = f"the base stretched to {rest} {'layers' if rest > 1 else 'layer'}{_cut(base, rest)}"
    return f"{whole} and {filled}" if copies else f"no whole copy: {filled}"


def _cut(base: Layers, n_layers: int) -> str:
    """How many blocks of the base `stretch` leaves no layer of."""
    of_layer = [index for index, (_, n) in enumerate(blocks(base)) for _ in range(n)]
    n_blocks = of_layer[-1] + 1
    n_cut = n_blocks - len({of_layer[i * len(base) // n_layers] for i in range(n_layers)})
    return f" ({n_cut} of {n_blocks} blocks cut)" if n_cut else ""
