"""What the extrapolation rules build, against Tables 8 to 11: layers, counts and depths."""

from collections.abc import Iterator

from aira_lib.architecture.pattern import parse, render
from aira_lib.architecture.reference import BASELINES, Design, designs
from aira_lib.architecture.tables import read_table
from aira_lib.extrapolate.rules import counts_by_r8, depth_by_r1, depth_by_r9, depth_by_r10, published
from aira_lib.verify.check import Check, Comparison, check, counts_text, exception, same
from aira_lib.verify.listed import explanation
from aira_lib.verify.steps import row_counts, row_name


def _rows() -> list[Design]:
    return [d for d in designs() if d.scale]


def printed_patterns() -> Check:
    """The rules give the printed pattern in every row whose pattern has L layers; the others are contradictions."""

    def comparisons() -> Iterator[Comparison]:
        for d in _rows():
            printed, built = parse(d.printed), published(d.name)
            if len(printed) == d.n_layers:
                yield same(f"{d.source}, layer for layer", d.name, render(built.layers), render(printed))

    how = "every layer equal, in the rows whose printed pattern has L layers"
    return check("rules: printed patterns", "Tables 8 and 9", how, comparisons())


def chosen_layers() -> Check:
    """Where the printed pattern does not have L layers, it is listed so, and the layers used are the rules'."""

    def comparisons() -> Iterator[Comparison]:
        for d in _rows():
            if len(parse(d.printed)) != d.n_layers:
                listed = explanation(f"{d.source}, L", d.name, f"L={d.n_layers}") is not None
                used, built = render(d.layers), render(published(d.name).layers)
                yield same(f"{d.source}, by rule", d.name, used, built)
                yield same(f"{d.source}, listed", d.name, "listed" if listed else "not listed", "listed")

    how = "the layers used equal the rule's, in the rows whose printed pattern does not have L layers"
    return check("rules: repaired patterns", "Tables 8 and 9", how, comparisons())


def counts_of_tables_9_and_10() -> Check:
    """Counts of Table 9 (36 rows) and Table 10 (24 rows) by rules R1 to R7, with the printed L as input."""
    table_10 = {row_name(row): row_counts(row) for row in read_table("steps") if row["table"] == "10"}

    def comparisons() -> Iterator[Comparison]:
        for d in _rows():
            built = published(d.name)
            ours = counts_text(built.counts, d.n_primitives)
            if d.printed_counts:
                yield same("Table 9", f"{d.name} ({built.rule})", ours, counts_text(d.printed_counts))
            elif d.name in table_10:
                by_pattern = f"{ours} ({built.n_layers}) by pattern, L={d.n_layers}"
                why = explanation("Tables 8 and 10, layer counts", d.name, by_pattern)
                yield same("Table 10", f"{d.name} ({built.rule})", ours, counts_text(table_10[d.name], 2), why)

    how = "whole numbers, equal; the printed L is the rules' input"
    return check("rules: counts of Tables 9 and 10", "Tables 9 and 10", how, comparisons())


def counts_of_table_11() -> Check:
    """Counts of Table 11 at 350M and 3B by rule R8."""
    name = "rules: counts of Table 11"

    def comparisons() -> Iterator[Comparison]:
        for row in read_table("steps"):
            if row["table"] == "11" and row["scale"] != "1B":
                ours = counts_text(counts_by_r8(row["family"], row["variant"], row["scale"]))
                paper = counts_text(row_counts(row))
                why = exception(name, row_name(row), ours, paper)
                yield same(f"Table 11, {row['scale']}", row_name(row), ours, paper, why)

    return check(name, "Table 11", "whole numbers, equal; rule R8", comparisons())


def depths() -> Check:
    """Numbers of layers by R1 (1B), R9 (Table 9 at 350M and 3B), R10 (AIRAformer-B) and R6 (Composite stretched)."""
    name = "rules: depths"

    def comparisons() -> Iterator[Comparison]:
        stated = {d.name: d.n_layers for d in _rows()}
        for family in (d.family for d in designs() if not d.scale):
            paper = next(str(d.n_layers) for d in _rows() if (d.family, d.scale) == (family, "1B"))
            ours = str(depth_by_r1(family))
            yield same("R1", f"{family}@1B", ours, paper, exception(name, f"{family}@1B", ours, paper))
        for d in _rows():
            if d.n_primitives == 3 and d.scale != "1B":
                yield same("R9", d.name, str(depth_by_r9(d.name)), str(d.n_layers))
            if d.family == "AIRAformer-B":
                yield same("R10", d.name, str(depth_by_r10(d.scale or "")), str(d.n_layers))
            if (d.family, d.variant) == ("Composite", "stretched"):
                yield same("R6", d.name, str(published(d.name).n_layers), str(stated[d.name]))

    return check(name, "Tables 8 and 9", "whole numbers, equal", comparisons())


def bases() -> Check:
    """The 16-layer bases: the printed order, but for the one whose choice a contradiction answers."""

    def comparisons() -> Iterator[Comparison]:
        for d in (d for d in designs() if not d.scale and d.family not in BASELINES):
            why = d.choice if d.choice and d.contradictions else None
            yield same("layers", d.name, str(len(d.layers)), "16")
            yield same("layer for layer", d.name, render(d.layers), render(parse(d.printed)), why)

    return check("bases", "sections 3.1.2 and 6.1", "every layer equal; 16 layers", comparisons())
