"""What a design costs: parameters, training FLOPs, steps for a budget, memory at inference.

What one layer of a kind costs stands with the kind, in `aira_lib.architecture.primitives`; here it is added up. The
formulas are recovered from the paper's tables, which lost theirs: (4) to (7) give all 285 step counts of Tables
10 and 11, and the parameter columns of Tables 8 and 9 but for one row. Symbols: d is d_model, h d_ff, S the training
length, G, N, K and H the groups, state, kernel and heads of Mamba-2.

The paper's convention counts no embedding and no norms in a model's size (two norms a layer would give the one
missed row of Table 8 but miss one of Table 9), and no embedding, output head, norms or causal halving in its FLOPs.
`exact_params` counts what a built model has. A FLOP counter over a built model differs from `flops_per_token` by the
output head (6 * vocab * d), by half of the attention scores where the kernel skips what causality hides, by Mamba-2's
chunks, whose products within a chunk the recurrence of formula (6) does not have, and by everything elementwise.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Literal

from aira_lib.architecture.primitives import PRIMITIVES, Primitive
from aira_lib.architecture.scales import Scale
from aira_lib.errors import UserError

StepConvention = Literal["nearest", "floor"]
"""How a budget becomes whole steps: Table 10 (two primitives) rounds to nearest, Table 11 (three) rounds down."""


def count(layers: Iterable[str]) -> dict[str, int]:
    """How many layers of each primitive: the paper's three even where absent, others where the design has them.

    Raises:
        UserError: a layer that is no primitive.
    """
    found = Counter(layers)
    if unknown := found.keys() - set(PRIMITIVES):
        raise UserError(f"unknown primitive {min(unknown)!r}; primitives are {', '.join(PRIMITIVES)}")
    return {symbol: found[symbol] for symbol in PRIMITIVES.known(found)}


def layer_params(scale: Scale) -> dict[str, int]:
    """Parameters of one layer of each primitive, without its RMSNorm.

    Attention has no biases; Mamba-2 has its convolution's bias, A, D and dt bias a head, and its gated norm. The
    paper prints two decimals, so its counting of these small terms is assumed.
    """
    return {primitive.symbol: primitive.params(scale) for primitive in PRIMITIVES.entries()}


def params(layers: Iterable[str], scale: Scale) -> tuple[int, int]:
    """Parameters in the paper's convention: (of the layers without norms, of the embedding).

    The embedding is counted once where it is tied to the output head, as in the paper, else twice.
    """
    embedding = scale.vocab_size * scale.d_model * (1 if scale.tie_embeddings else 2)
    return _total(layers, lambda primitive: primitive.params(scale)), embedding


def exact_params(layers: Iterable[str], scale: Scale) -> int:
    """All parameters of the built language model: `params` and an RMSNorm before every layer and at the end."""
    layers = tuple(layers)
    return sum(params(layers, scale)) + (len(layers) + 1) * scale.d_model


def layer_flops(scale: Scale) -> dict[str, int]:
    """Training FLOPs (forward and backward, 3 x 2 a multiplication) a token of one layer of each primitive.

    The paper's (4) A = 6 (2d² + 2d kv) + 12 S d, (5) M = 18 d h, and
    (6) Mb = 6d (2 d_ssm + 2GN + H) + 6K (d_ssm + 2GN) + 12 d_ssm N + 6 d_ssm d; others in the paper's convention.
    """
    return {primitive.symbol: primitive.flops(scale) for primitive in PRIMITIVES.entries()}


def flops_per_token(layers: Iterable[str], scale: Scale) -> int:
    """Training FLOPs a token, in the paper's convention."""
    return _total(layers, lambda primitive: primitive.flops(scale))


def true_flops_per_token(layers: Iterable[str], scale: Scale) -> int:
    """Training FLOPs a token that a device must do: of the layers without what causality hides, and of the head.

    What the share of a device's peak (MFU) is counted by. Elementwise work and what is computed twice are no part of
    it; of Mamba-2 the recurrence counts, whatever its chunks compute.
    """
    return _total(layers, lambda primitive: primitive.true_flops(scale)) + 6 * scale.vocab_size * scale.d_model


def flops_per_step(layers: Iterable[str], scale: Scale) -> int:
    """Training FLOPs a step: the paper's (7), tokens a step times FLOPs a token."""
    return scale.tokens_per_step * flops_per_token(layers, scale)


def steps_for_budget(budget: float, layers: Iterable[str], scale: Scale, convention: StepConvention) -> int:
    """Whole training steps that a budget of FLOPs pays for, by a named convention.

    Exact: no rounding but the last. "nearest" takes the even number of two that are as near.

    Raises:
        UserError: no layers, a budget that is no positive number, or an unknown convention.
    """
    step = flops_per_step(layers, scale)
    if not step:
        raise UserError("a design without layers costs nothing; no number of steps spends a budget")
    if not 0 < budget < float("inf"):
        raise UserError(f"a budget is a positive number of FLOPs such as 2e19, not {budget}")
    steps = Fraction(budget) / step
    match convention:
        case "nearest":
            return round(steps)
        case "floor":
            return int(steps)
        case _:
            raise UserError(f"unknown step convention {convention!r}; valid: floor, nearest")


def kv_cache_bytes(layers: Iterable[str], scale: Scale, context: int, batch: int = 1, bytes_per_value: int = 2) -> int:
    """Memory for the keys and values of `context` tokens of every sequence at inference (default: 16-bit values).

    A layer that sees a window holds no more than that.
    """
    return _total(layers, lambda primitive: primitive.cache_values(scale, context)) * batch * bytes_per_value


def ssm_state_bytes(layers: Iterable[str], scale: Scale, batch: int = 1, bytes_per_value: int = 2) -> int:
    """Memory of every sequence for recurrent states at inference, whatever the context (default: 16-bit values)."""
    return _total(layers, lambda primitive: primitive.state_values(scale)) * batch * bytes_per_value


def _total(layers: Iterable[str], of_layer: Callable[[Primitive], int]) -> int:
    return sum(n * of_layer(PRIMITIVES.named(symbol)) for symbol, n in count(layers).items() if n)
