"""The rules by which the paper's bases become its designs: what Tables 8 to 11 print, from bases and printed depths.

The paper states its extrapolation in words only; these rules are recovered from its tables. Names such as "R2" count
them. In all, L is the number of layers that the tables print; a block is a run of equal layers; `pad` adds one layer a
block from the first block on; rounding is to nearest, halves to even, and exact.

    R1   finds at 1B                    stretch or repeat the 16-layer base
    R2   AIRAhybrid at 350M and 3B      scale the blocks of the 1B design, cut or pad
    R3   AIRAformer stretched           times floor(L / 16), pad
    R4   AIRAformer stacked             copies, then the last primitive
    R5   Composite stacked              copies, then the unit in proportion
    R6   Composite stretched            scale the blocks of a base to the target size; gives L too
    R7   other baselines                repeat the unit, cut
    R8   counts of Table 11             the 1B counts in proportion
    R9   L at 350M and 3B, Table 9      nearest to the target size by R8
    R10  L of AIRAformer-B              whole copies, then as many MLPs as fit

`published` applies the rule that belongs to a design. Open in the paper: the order of layers of AIRAformer-A, C and D
under R3, and of C and D at 3B under R4, where only counts are known; L of C and D at 3B, which no rule here gives.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import cycle, islice
from math import ceil

from aira_lib.architecture.cost import count, layer_params, params
from aira_lib.architecture.pattern import Layers, parse
from aira_lib.architecture.reference import BASELINES, Design, baseline_layers, design, designs, reference
from aira_lib.architecture.scales import Scale, scale_named
from aira_lib.errors import UserError, nearest
from aira_lib.extrapolate.depth import MAX_DEPTH, blocks, stack, stretch

COMPOSITE_STRETCHED_BASE = parse("2A-5M-2A-3M-A-3M")
"""The base of R6: not printed, inferred from the three stretched rows of Table 8."""

STACKED_UNIT = {"AIRAformer-C": parse("2(2A-M)-3(A-M)-4A")}
"""Table 8 stacks another order of AIRAformer-C than section 6.1 prints; all others stack their base."""


@dataclass(frozen=True)
class RuleResult:
    """What a rule, one of R1 to R7, makes of a published design; `counts` and `n_layers` are those of `layers`."""

    rule: str
    layers: Layers
    counts: dict[str, int]
    n_layers: int


def published(name: str) -> RuleResult:
    """Build a published design from its base by the rule that belongs to it; no printed pattern is read.

    Args:
        name: such as ``AIRAhybrid-A/stretched@350M`` or ``Llama 3.2@1B``. The printed L is input, except to R6.

    Raises:
        UserError: no such design, or one without a rule (a base).
    """
    wanted = design(name)
    if wanted.scale is None:
        raise UserError(f"{name!r} is a base: rules build designs at a scale, such as {_at_scales(wanted.family)}")
    rule, layers = _build(wanted, wanted.scale)
    return RuleResult(rule, layers, count(layers), len(layers))


def _build(wanted: Design, scale: str) -> tuple[str, Layers]:
    family, variant, n_layers = wanted.family, wanted.variant, wanted.n_layers
    if family == "Composite" and variant == "stretched":
        return "R6", composite_stretched(scale_named(scale, wanted.n_primitives))
    if family == "Composite":
        return "R5", composite_stacked(n_layers)
    if family in BASELINES:
        return "R7", baseline_repeated(family, n_layers)
    if scale == "1B":
        return "R1", find_at_1b(family, variant, n_layers)
    if family.startswith("AIRAhybrid"):
        return "R2", hybrid_from_1b(published(f"{family}/{variant}@1B").layers, n_layers)
    if variant == "stretched":
        return "R3", former_stretched(reference(family), n_layers)
    return "R4", former_stacked(stacked_unit(family), n_layers)


def depth_by_r1(family: str) -> int:
    """R1: the number of layers of a find at 1B, 16 round(1e9 / P(base)) with P at 1B; right for eight of nine.

    AIRAhybrid-C has 40 layers, where this gives 48.

    Raises:
        UserError: a family without a base.
    """
    base = _base(family)
    scale = scale_named("1B", base.n_primitives)
    return len(base.layers) * round(_target(scale) / params(base.layers, scale)[0])


def find_at_1b(family: str, variant: str, n_layers: int) -> Layers:
    """R1: a find at 1B is its base stretched (layer i is layer floor(16 i / L)), or its base repeated."""
    return stretch(reference(family), n_layers) if variant == "stretched" else stack(stacked_unit(family), n_layers)


def stacked_unit(family: str) -> Layers:
    """What the stacked variant of a find repeats: its base, but for AIRAformer-C (`STACKED_UNIT`)."""
    return STACKED_UNIT.get(family) or reference(family)


def hybrid_from_1b(design_1b: Layers, n_layers: int) -> Layers:
    """R2: AIRAhybrid at 350M and 3B: each block n of the 1B design becomes max(1, round(n L / L_1B)); cut or pad.

    Stacked and stretched differ only in the 1B design.
    """
    scaled = [(p, max(1, round(Fraction(n * n_layers, len(design_1b))))) for p, n in blocks(design_1b)]
    return pad(scaled, n_layers)[:n_layers]


def former_stretched(base: Layers, n_layers: int) -> Layers:
    """R3: AIRAformer stretched at 350M and 3B: every block times floor(L / 16), then pad.

    For A, C and D the paper fixes the counts only.
    """
    times = n_layers // len(base)
    return pad([(p, n * times) for p, n in blocks(base)], n_layers)


def former_stacked(unit: Layers, n_layers: int) -> Layers:
    """R4: AIRAformer stacked at 350M and 3B: floor(L / 16) copies, then the last primitive up to L."""
    copies, rest = divmod(n_layers, len(unit))
    return unit * copies + unit[-1:] * rest


def composite_stacked(n_layers: int) -> Layers:
    """R5: floor(L / 6) copies of 2A-4M, then 2A-4M with its blocks times (L mod 6) / 6."""
    return baseline_layers("Composite", n_layers)


def composite_stretched(scale: Scale) -> Layers:
    """R6: every block n of the base becomes ceil(n target / P(base)); the depth comes out of it (26, 29, 54)."""
    ratio = _target(scale) / params(COMPOSITE_STRETCHED_BASE, scale)[0]
    return expand((p, ceil(n * ratio)) for p, n in blocks(COMPOSITE_STRETCHED_BASE))


def baseline_repeated(family: str, n_layers: int) -> Layers:
    """R7: every other baseline repeats its unit and is cut at L.

    Nemotron's unit is its repaired 1B design: there the rule proves something at 350M and 3B only.
    """
    return baseline_layers(family, n_layers)


def counts_by_r8(family: str, variant: str, scale: str) -> dict[str, int]:
    """R8: counts of Table 11 at 350M and 3B, M and Mb in proportion to the 1B design, A the rest; right for 21 of 22.

    Composer at 350M is printed with 4 MLPs, not 5. Table 9 prints other counts in 12 of the rows.

    Args:
        family: of three primitives, such as ``AIRAhybrid-A`` or ``Mamba``.
        variant: ``stretched``, ``stacked``, or empty for baselines.
        scale: ``350M`` or ``3B``; at 1B the counts are the design's own.

    Raises:
        UserError: no such design.
    """
    found = design(_name(family, variant, scale))
    return counts_in_proportion(published(_name(family, variant, "1B")), found.n_layers)


def counts_in_proportion(at_1b: RuleResult, n_layers: int) -> dict[str, int]:
    """R8 at any L: M = round(M_1B L / L_1B), Mb likewise, A = L - M - Mb.

    Rounding can leave Mamba-2 with MLPs an A of -1 or 1: these are counts, not yet a design.
    """
    m, mb = (round(Fraction(at_1b.counts[p] * n_layers, at_1b.n_layers)) for p in ("M", "Mb"))
    return {"A": n_layers - m - mb, "M": m, "Mb": mb}


def depth_by_r9(name: str) -> int:
    """R9: L of a Table 9 design at 350M and 3B: the one whose R8 counts come nearest to the target; right for 24 of 24.

    Raises:
        UserError: no such design, or none of Table 9 at 350M or 3B.
    """
    wanted = design(name)
    if wanted.n_primitives != 3 or wanted.scale not in ("350M", "3B"):
        raise UserError(f"R9 gives depths of Table 9 at 350M and 3B, not of {name!r}")
    scale = scale_named(wanted.scale, 3)
    per_layer, target = layer_params(scale), _target(scale)
    at_1b = published(_name(wanted.family, wanted.variant, "1B"))

    def size(n_layers: int) -> int:
        return sum(n * per_layer[p] for p, n in counts_in_proportion(at_1b, n_layers).items())

    # Rounding puts a size off its proportion by less than a layer of each kind, so no depth out of reach comes nearer.
    mean = Fraction(size(at_1b.n_layers), at_1b.n_layers)
    near, reach = min(round(target / mean), MAX_DEPTH), ceil(1 + 2 * sum(per_layer.values()) / mean)
    depths = range(max(1, near - reach), min(MAX_DEPTH, near + reach) + 1)
    return min(depths, key=lambda n_layers: abs(size(n_layers) - target))


def depth_by_r10(scale: str) -> int:
    """R10: L of AIRAformer-B: floor(target / P(base)) copies, then as many MLPs as fit; at 1B the nearest copies.

    Raises:
        UserError: no such scale.
    """
    base, at = reference("AIRAformer-B"), scale_named(scale, 2)
    size, target = params(base, at)[0], _target(at)
    if scale == "1B":
        return len(base) * round(target / size)
    copies, rest = divmod(target, size)
    return len(base) * int(copies) + int(rest // layer_params(at)["M"])


def expand(parts: Iterable[tuple[str, int]]) -> Layers:
    """The layers of blocks."""
    return tuple(primitive for primitive, n in parts for _ in range(n))


def pad(parts: list[tuple[str, int]], n_layers: int) -> Layers:
    """The layers of blocks; while there are fewer than L, one layer more at the end for each block from the first."""
    layers = expand(parts)
    return layers + tuple(islice(cycle(p for p, _ in parts), max(0, n_layers - len(layers))))


def _base(family: str) -> Design:
    found = {d.family: d for d in designs() if d.scale is None}
    if family not in found:
        raise UserError(f"no base {family!r}{nearest(family, found)}")
    return found[family]


def _target(scale: Scale) -> Fraction:
    if scale.target_params is None:
        raise UserError(f"scale {scale.name!r} has no target size; the paper's are 350M, 1B and 3B")
    return Fraction(scale.target_params)


def _name(family: str, variant: str, scale: str) -> str:
    return f"{family}{'/' if variant else ''}{variant}@{scale}"


def _at_scales(family: str) -> str:
    return ", ".join(d.name for d in designs() if d.family == family and d.scale)
