"""Training lengths: the 285 step counts of Tables 10 and 11, and the tokens of the equal-token runs."""

from collections.abc import Iterator
from typing import get_args

from aira_lib.architecture.cost import StepConvention, steps_for_budget
from aira_lib.architecture.pattern import Layers
from aira_lib.architecture.primitives import PAPER_PRIMITIVES
from aira_lib.architecture.scales import PAPER_SCALES, scale_named
from aira_lib.architecture.tables import read_table
from aira_lib.verify.check import Check, Comparison, check, same

BUDGETS = ("2e19", "4e19", "8e19", "2e20", "4e20")
CONVENTIONS: dict[str, StepConvention] = {name: name for name in get_args(StepConvention)}


def row_name(row: dict[str, str]) -> str:
    """The name of the design in a row with family, variant and scale."""
    return f"{row['family']}{'/' if row['variant'] else ''}{row['variant']}@{row['scale']}"


def row_counts(row: dict[str, str]) -> dict[str, int]:
    """The layer counts in a row."""
    return {primitive: int(row[primitive]) for primitive in PAPER_PRIMITIVES}


def step_comparisons(table: str, convention: StepConvention) -> Iterator[Comparison]:
    """Every step count of Table 10 or 11 against formula (7) with a convention of rounding."""
    for row in (r for r in read_table("steps") if r["table"] == table):
        layers: Layers = tuple(p for p, n in row_counts(row).items() for _ in range(n))
        scale = scale_named(row["scale"], 2 if table == "10" else 3)
        for budget in BUDGETS:
            steps = steps_for_budget(float(budget), layers, scale, convention)
            yield same(f"Table {table}, {row['scale']}", f"{row_name(row)}, {budget}", str(steps), row[budget])


def step_counts() -> Check:
    """Steps for every budget, from the layer counts that the same row prints."""
    conventions = {row["table"]: CONVENTIONS[row["rounding"]] for row in read_table("steps")}
    return check(
        "training steps",
        "Tables 10 and 11",
        "whole numbers, equal; " + ", ".join(f"Table {t} by {c}" for t, c in conventions.items()),
        (c for table, convention in conventions.items() for c in step_comparisons(table, convention)),
    )


def isotoken_tokens() -> Check:
    """Tokens a step at every scale, and of a whole run at equal tokens."""
    stated = {row["name"]: row["value"] for row in read_table("training")}
    batch = int(stated["batch_sequences"]) * int(stated["sequence_length"]) * int(stated["data_parallel"])
    tokens = int(stated["isotoken_steps"]) * scale_named("1B", 2).tokens_per_step / 1e9
    return check(
        "tokens",
        "section 6.1.1, appendix D",
        "tokens a step exactly; tokens of a run in billions to the printed decimal",
        [
            *(
                same("tokens a step", f"{name}, {n} primitives", str(scale_named(name, n).tokens_per_step), str(batch))
                for name in PAPER_SCALES
                for n in (2, 3)
            ),
            same("tokens of a run", "1B at equal tokens", f"{tokens:.1f}", stated["isotoken_tokens_billion"]),
        ],
    )
