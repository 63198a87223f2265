"""The contradictions of the paper, found again from its tables.

What the tables carried here can show is recomputed: a listed contradiction that they do not show is a miss, and so is
one that they show and no list has. The rest is quoted.
"""

from collections.abc import Iterator

from aira_lib.architecture.cost import count
from aira_lib.architecture.pattern import parse
from aira_lib.architecture.reference import Design, design, designs
from aira_lib.architecture.tables import read_table
from aira_lib.verify.check import Check, Comparison, check, counts_text
from aira_lib.verify.claims import claims_found
from aira_lib.verify.listed import Contradiction, listed
from aira_lib.verify.ratios import ratio_text
from aira_lib.verify.sizes import sizes_of
from aira_lib.verify.steps import row_counts, row_name

QUOTED = (
    "Section 4, appendix F",
    "Appendix G and Table 19",
    "Appendix G and Table 21",
    "Section 6.1.2 and appendix C",
    "Table 5",
    "Section 5 and appendix D",
    "Table 12",
)
"""Places whose tables are not carried here: their contradictions are quoted, not recomputed."""


def contradictions() -> tuple[Contradiction, ...]:
    """All listed contradictions, those about designs first."""
    return tuple(listed())


def is_recomputed(c: Contradiction) -> bool:
    """Whether the tables carried here can show it."""
    return c.where not in QUOTED


def found() -> Iterator[Contradiction]:
    """Every contradiction that the tables carried here show, in the words of the lists."""
    elsewhere = {row_name(row): row_counts(row) for row in read_table("steps")}
    for d in designs():
        if d.scale:
            for where, printed, against in _about(d, elsewhere.get(d.name)):
                yield Contradiction(where, d.name, printed, against)
    for claim in (*_about_bases(), *claims_found()):
        yield Contradiction(*claim)


def _about(d: Design, elsewhere: dict[str, int] | None) -> Iterator[tuple[str, str, str]]:
    """The contradictions of one row of Table 8 or 9; `elsewhere` are its counts in Table 10 or 11."""
    table, n = ("8", 2) if d.n_primitives == 2 else ("9", 3)
    pattern = count(parse(d.printed))
    depth, has = sum(pattern.values()), f"pattern has {counts_text(pattern)}"
    if depth != d.n_layers:
        yield f"Table {table}, L", f"L={d.n_layers}", f"pattern has {depth} layers ({counts_text(pattern, n)})"
    if d.printed_counts and d.printed_counts != pattern:
        yield "Table 9, layer counts", counts_text(d.printed_counts), has
    if elsewhere and elsewhere != (d.printed_counts or pattern):
        stated = _with_depth(d.printed_counts, 3) if d.printed_counts else f"{_with_depth(pattern, 2)} by pattern"
        also = "" if d.printed_counts else f", L={d.n_layers}"
        yield f"Tables {table} and {int(table) + 2}, layer counts", stated + also, _with_depth(elsewhere, n)
    if d.printed_a_to_m is not None:
        ratios = [ratio_text(counts) for counts in (pattern, elsewhere or pattern)]
        if set(ratios) != {ratio_text(d.printed_a_to_m)}:
            yield "Table 8, A:M", ratio_text(d.printed_a_to_m), f"pattern {ratios[0]}, Table 10 counts {ratios[1]}"
    ours, printed = sizes_of(d)
    if ours != printed:
        yield f"Table {table}, parameters", printed[0], f"{sizes_of(d, 4)[0][0]} B without norms"


def _with_depth(counts: dict[str, int], n_primitives: int) -> str:
    return f"{counts_text(counts, n_primitives)} ({sum(counts.values())})"


def _about_bases() -> Iterator[tuple[str, str, str, str]]:
    """The three about a whole family, in fixed words, each only as long as the tables show it."""
    b, c = design("AIRAhybrid-B"), design("AIRAformer-C")
    if parse(b.printed) * 2 != design("AIRAhybrid-B/stacked@1B").layers == b.layers * 2:
        needs = "Table 9 rows need ...-2(Mb-M)"
        yield "section 3.1.2 and Table 9, base", b.name, "...+2Mb+2M", needs
    if parse(c.printed) * 3 != parse(design("AIRAformer-C/stacked@1B").printed) == parse("2(2A-M)-3(A-M)-4A") * 3:
        unit = "unit 2(2A-M)-3(A-M)-4A; the stretched 1B row follows the text"
        text = c.printed.replace(" ", "")
        yield "section 6.1.1 and Table 8, layer order", "AIRAformer-C/stacked", text, unit
    in_table_11 = {row_name(row): counts_text(row_counts(row)) for row in read_table("steps") if row["table"] == "11"}
    numbers, composer = in_table_11["Composer@1B"], design("Composer@1B")
    if numbers == in_table_11["AIRAhybrid-E/stacked@1B"]:
        named = f"named M-2Mb-2A-M, {numbers} (the AIRAhybrid-E numbers)"
        yield "Table 11", composer.name, named, f"Table 9: 2Mb-M-3A, {counts_text(count(composer.layers))}"


def contradictions_recomputed() -> Check:
    """Every listed contradiction but the quoted ones is found in the tables, and every one found is listed."""
    all_listed, all_found = list(listed()), list(found())
    values = {(c.where, c.what): f"{c.printed}, against {c.against}" for c in all_found}

    def comparisons() -> Iterator[Comparison]:
        for c in all_listed:
            if is_recomputed(c):
                ours = values.get((c.where, c.what), "not found in the tables")
                text = f"{c.printed}, against {c.against}"
                yield Comparison(c.where, f"{c.what}, {c.where}", ours, text, c in all_found)
        for c in all_found:
            if c not in all_listed:
                ours = f"{c.printed}, against {c.against}"
                yield Comparison(c.where, f"{c.what}, {c.where}", ours, "not listed", False)

    how = "both values of each, as texts; every one that the tables show is listed"
    return check("contradictions found again", "Tables 2 to 4, 7 to 11", how, comparisons())
