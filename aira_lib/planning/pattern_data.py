"""Patterns and published designs as data: what a terminal shows of them, and ``--json`` prints."""

from collections.abc import Sequence
from dataclasses import dataclass

from aira_lib.architecture.cost import count, flops_per_token, kv_cache_bytes, params, ssm_state_bytes
from aira_lib.architecture.pattern import Layers, parse, render
from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.architecture.reference import Design, nearest_design
from aira_lib.architecture.scales import PAPER_SCALES, scale_named
from aira_lib.errors import UserError

CONTEXT = 8192
"""Tokens of one sequence for the memory at inference; the paper's training length."""


@dataclass(frozen=True)
class ScaleCost:
    """What layers cost at a scale: parameters, training FLOPs a token, bytes of inference at `context` tokens."""

    scale: str
    params: int
    params_with_embedding: int
    flops_per_token: int
    kv_cache_bytes: int
    ssm_state_bytes: int
    context: int


@dataclass(frozen=True)
class Nearest:
    """The published design that fewest changes of a layer lead to."""

    name: str
    edit_distance: int
    pattern: str


@dataclass(frozen=True)
class PatternData:
    """Everything about a pattern; `a_to_m` is None where there is no MLP."""

    pattern: str
    canonical: str
    layers: Layers
    n_layers: int
    counts: dict[str, int]
    a_to_m: float | None
    n_primitives: int
    costs: tuple[ScaleCost, ...]
    nearest: Nearest


@dataclass(frozen=True)
class DesignData:
    """Everything about a published design; what starts with `printed` is the paper's."""

    name: str
    family: str
    variant: str
    scale: str | None
    source: str
    n_primitives: int
    n_layers: int
    counts: dict[str, int]
    layers: Layers
    pattern: str
    printed: str
    choice: str
    contradictions: tuple[str, ...]
    printed_params_b: tuple[float, float] | None
    printed_a_to_m: float | None
    costs: tuple[ScaleCost, ...]


def costs(layers: Layers, n_primitives: int, scales: Sequence[str] = PAPER_SCALES) -> tuple[ScaleCost, ...]:
    """What the layers cost at each scale."""
    rows = []
    for name in scales:
        scale = scale_named(name, n_primitives)
        non_embedding, embedding = params(layers, scale)
        rows.append(
            ScaleCost(
                scale=name,
                params=non_embedding,
                params_with_embedding=non_embedding + embedding,
                flops_per_token=flops_per_token(layers, scale),
                kv_cache_bytes=kv_cache_bytes(layers, scale, CONTEXT),
                ssm_state_bytes=ssm_state_bytes(layers, scale),
                context=CONTEXT,
            )
        )
    return tuple(rows)


def primitives_of(layers: Layers) -> int:
    """The size of the search space whose widths layers take: 2 for A and M alone, else 3, or as many as they are of."""
    return 2 if set(layers) <= {"A", "M"} else max(3, len(set(layers)))


def pattern_data(text: str, n_primitives: int | None = None) -> PatternData:
    """Everything about a pattern.

    Args:
        text: the pattern.
        n_primitives: of the search space whose widths the costs take; None: 2 for designs of A and M alone, else 3, or
            as many as the pattern has.

    Raises:
        PatternError: the text is no pattern.
        UserError: more primitives than there are.
    """
    if n_primitives is not None and n_primitives > len(PRIMITIVES.names()):
        raise UserError(f"--primitives {n_primitives}: there are {len(PRIMITIVES.names())}, {', '.join(PRIMITIVES)}")
    layers = parse(text)
    counts = count(layers)
    n_primitives = n_primitives or primitives_of(layers)
    found, distance = nearest_design(layers)
    return PatternData(
        pattern=text,
        canonical=render(layers),
        layers=layers,
        n_layers=len(layers),
        counts=counts,
        a_to_m=counts["A"] / counts["M"] if counts["M"] else None,
        n_primitives=n_primitives,
        costs=costs(layers, n_primitives),
        nearest=Nearest(name=found.name, edit_distance=distance, pattern=render(found.layers)),
    )


def design_data(found: Design) -> DesignData:
    """Everything about a published design; a base's cost at every scale, another's at its own."""
    scales = [found.scale] if found.scale else list(PAPER_SCALES)
    return DesignData(
        name=found.name,
        family=found.family,
        variant=found.variant,
        scale=found.scale,
        source=found.source,
        n_primitives=found.n_primitives,
        n_layers=found.n_layers,
        counts=count(found.layers),
        layers=found.layers,
        pattern=render(found.layers),
        printed=found.printed,
        choice=found.choice,
        contradictions=found.contradictions,
        printed_params_b=found.printed_params,
        printed_a_to_m=found.printed_a_to_m,
        costs=costs(found.layers, found.n_primitives, scales),
    )
