"""Parameters: the two columns of Tables 8 and 9, and the depths and counts of the designs that have them."""

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal

from aira_lib.architecture.cost import count, params
from aira_lib.architecture.reference import Design, designs
from aira_lib.architecture.scales import scale_named
from aira_lib.architecture.tables import read_table
from aira_lib.verify.check import Check, Comparison, check, counts_text, same
from aira_lib.verify.listed import explanation
from aira_lib.verify.steps import row_counts, row_name

Texts = tuple[str, str]


def sizes_of(d: Design, decimals: int = 2) -> tuple[Texts, Texts]:
    """Billions of parameters without and with embedding: ours as the paper rounds them, and the paper's.

    Table 9 rounds the sum once; Table 8 adds the rounded embedding to the rounded rest.
    """
    assert d.scale is not None
    assert d.printed_params is not None
    layers, embedding = params(d.layers, scale_named(d.scale, d.n_primitives))
    rest = _billions(layers, decimals)
    total = _billions(layers + embedding, decimals) if d.n_primitives == 3 else rest + _billions(embedding, decimals)
    return (str(rest), str(total)), (f"{d.printed_params[0]:.2f}", f"{d.printed_params[1]:.2f}")


def _billions(n: int, decimals: int) -> Decimal:
    return (Decimal(n) / 10**9).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)


def parameters() -> Check:
    """Both parameter columns of each of the 63 rows; a row agrees if both do."""

    def comparisons() -> Iterator[Comparison]:
        for d in designs():
            if d.scale:
                ours, paper = sizes_of(d)
                table = d.source
                why = explanation(f"{table}, parameters", d.name, paper[0])
                yield same(f"{table}, {d.scale}", d.name, " / ".join(ours), " / ".join(paper), why)

    how = "billions to two decimals, without / with embedding; Table 9 rounds the sum, Table 8 adds rounded parts"
    return check("parameters", "Tables 8 and 9", how, comparisons())


def depths_and_counts() -> Check:
    """The layers of every design used here: as many as the paper states, and as many of each primitive.

    Counts of two primitives are those of Table 10.
    """
    table_10 = {row_name(row): row_counts(row) for row in read_table("steps") if row["table"] == "10"}

    def comparisons() -> Iterator[Comparison]:
        for d in designs():
            if not d.scale:
                continue
            yield same(f"{d.source}, L", d.name, str(len(d.layers)), str(d.n_layers))
            ours = counts_text(count(d.layers))
            if d.printed_counts:
                yield same("Table 9, counts", d.name, ours, counts_text(d.printed_counts))
            elif d.name in table_10:
                paper = counts_text(table_10[d.name])
                yield same("Table 10, counts", d.name, ours, paper, _counts_against(d, ours))

    return check("layers of the designs used", "Tables 8, 9 and 10", "whole numbers, equal", comparisons())


def _counts_against(d: Design, ours: str) -> str | None:
    """The listed contradiction with Table 10, if the layers used are those of the printed pattern."""
    printed = f"{ours.removesuffix(' Mb0')} ({d.n_layers}) by pattern, L={d.n_layers}"
    return explanation("Tables 8 and 10, layer counts", d.name, printed)
