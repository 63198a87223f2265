"""The published designs by name, with the contradictions of the paper and the choice made in each.

A name is a family, a variant where the family has any, and a scale: ``AIRAformer-D/stretched@1B``, ``Llama 3.2@1B``.
A family alone, ``AIRAhybrid-D``, is its 16-layer base. Baselines are patterns that repeat; `baseline_layers` builds
them at any depth.

In 17 of the 63 rows of Tables 8 and 9 the printed pattern does not have the printed number of layers; there the layers
used are those of the extrapolation rule that gives the printed counts, and `Design.choice` says which. The others are
as printed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from aira_lib.architecture.pattern import Layers, edit_distance, parse
from aira_lib.architecture.primitives import PAPER_PRIMITIVES
from aira_lib.architecture.tables import read_table
from aira_lib.errors import UserError, nearest


@dataclass(frozen=True)
class Design:
    """A published design. `None` and empty texts stand for what the paper does not print."""

    name: str
    family: str
    variant: str
    """``stretched``, ``stacked``, or empty for baselines and bases."""
    scale: str | None
    """None for a 16-layer base."""
    n_primitives: int
    n_layers: int
    """The number of layers the paper states; always that of `layers`."""
    layers: Layers
    printed: str
    choice: str
    """Why `layers` are not those of the printed pattern."""
    contradictions: tuple[str, ...]
    source: str
    printed_counts: dict[str, int] | None = None
    printed_params: tuple[float, float] | None = None
    """Billions of parameters without and with embedding, to two decimals."""
    printed_a_to_m: float | None = None


def designs() -> tuple[Design, ...]:
    """All published designs: the bases, then the rows of Tables 8 and 9 in their order."""
    return tuple(_by_name().values())


def design(name: str) -> Design:
    """The published design of a name.

    Raises:
        UserError: no such design; the message names the nearest family, or those of the family.
    """
    if found := _by_name().get(name):
        return found
    family = name.split("@")[0].split("/")[0]
    families = {d.family for d in designs()}
    if family not in families:
        raise UserError(f"unknown design {name!r}: no family {family!r}{nearest(family, families)}")
    own = [d.name for d in designs() if d.family == family]
    if family == name:
        raise UserError(f"{name} is a family of designs; name one of {', '.join(own)}")
    raise UserError(f"unknown design {name!r}; valid: {', '.join(own)}")


def reference(name: str) -> Layers:
    """The layers of a published design.

    Raises:
        UserError: no such design.
    """
    return design(name).layers


def nearest_design(layers: Sequence[str]) -> tuple[Design, int]:
    """The published design with the fewest layers to change, and their number; of several, the first."""
    return min(((d, edit_distance(layers, d.layers)) for d in designs()), key=lambda found: found[1])


def baseline_unit(name: str) -> Layers:
    """What a baseline repeats: A-M for Llama 3.2; for Nemotron its (repaired) 1B design.

    Raises:
        UserError: no such baseline.
    """
    return parse(_baseline(name)["unit"])


def baseline_layers(name: str, n_layers: int) -> Layers:
    """A baseline at any depth: its unit repeated and cut.

    Composite alone fills what is left with its unit's blocks in proportion (2A-4M leaves A-2M for three layers).
    Every baseline of Tables 8 and 9 comes out so, but for the stretched Composite, which does not repeat.

    Raises:
        UserError: no such baseline, or no layers.
    """
    if n_layers < 1:
        raise UserError(f"baseline {name!r}: a design has at least 1 layer, not {n_layers}")
    unit, scaled = baseline_unit(name), _baseline(name)["remainder"] == "scaled"
    copies, rest = divmod(n_layers, len(unit))
    return unit * copies + (_in_proportion(unit, rest) if scaled else unit[:rest])


BASELINES = ("Llama 3.2", "Composite", "Nemotron-H", "Nemotron-2", "Mamba", "Composer")


def _baseline(name: str) -> dict[str, str]:
    for row in read_table("baselines"):
        if row["family"] == name:
            return row
    raise UserError(f"unknown baseline {name!r}{nearest(name, BASELINES)}")


def _in_proportion(unit: Layers, n_layers: int) -> Layers:
    """Blocks of the unit, each times n_layers / len(unit), rounded (halves to even)."""
    counts = {p: round(unit.count(p) * n_layers / len(unit)) for p in dict.fromkeys(unit)}
    return tuple(p for p, n in counts.items() for _ in range(n))


@cache
def _by_name() -> dict[str, Design]:
    found = [_base(row) for row in read_table("bases")] + [_published(row) for row in read_table("designs")]
    return {d.name: d for d in found}


def _base(row: dict[str, str]) -> Design:
    layers = parse(row["pattern"])
    return Design(
        name=row["family"],
        family=row["family"],
        variant="",
        scale=None,
        n_primitives=int(row["primitives"]),
        n_layers=len(layers),
        layers=layers,
        printed=row["printed"],
        choice=row["choice"],
        contradictions=_contradictions(row["family"], "", ""),
        source=f"sections 3.1.2 and 6.1, appendix D: {row['aggregation']}",
    )


def _published(row: dict[str, str]) -> Design:
    family, variant, scale = row["family"], row["variant"], row["scale"]
    counts = {p: int(row[p]) for p in PAPER_PRIMITIVES} if row["A"] else None
    return Design(
        name=f"{family}{'/' if variant else ''}{variant}@{scale}",
        family=family,
        variant=variant,
        scale=scale,
        n_primitives=2 if row["table"] == "8" else 3,
        n_layers=int(row["n_layers"]),
        layers=parse(row["pattern"]),
        printed=row["printed"],
        choice=row["choice"],
        contradictions=_contradictions(family, variant, scale),
        source=f"Table {row['table']}",
        printed_counts=counts,
        printed_params=(float(row["params_b"]), float(row["params_with_embedding_b"])),
        printed_a_to_m=float(row["a_to_m"]) if row["a_to_m"] else None,
    )


def _contradictions(family: str, variant: str, scale: str) -> tuple[str, ...]:
    """The contradictions of one row; those of a family or a variant as a whole belong to its rows and its base."""
    return tuple(
        f"{row['where']}: {row['printed']}, against {row['against']}"
        for row in read_table("contradictions")
        if row["family"] == family
        and (row["scale"] == scale or not row["scale"])
        and (row["variant"] == variant or not row["variant"] or (not scale and not row["scale"]))
    )
