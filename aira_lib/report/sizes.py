"""How large this study is beside the paper's, quantity by quantity."""

from collections.abc import Sequence

from aira_lib.report.columns import Column, Row, Table, scientific
from aira_lib.report.inputs import ReportInputs
from aira_lib.spec import Study

# The paper's values: sections 3 and 6.1 and Appendix D.3. Equal tokens: 71,565 steps of 524,288 tokens.
PAPER = {
    "layers of a design": "16",
    "MAD tasks in the proxy": "6",
    "proxy samples, training": "800",
    "proxy samples, test": "1,280",
    "steps of a search": "500, or 24 h",
    "distinct designs found": "2,307 (2 primitives), 2,248 (3 primitives)",
    "equal tokens, tokens a run": "37,520,670,720",
    "equal tokens, scale": "1B",
    "equal tokens, seeds": "3",
    "equal FLOPs, budgets": "2×10¹⁹ to 4×10²⁰, five",
    "equal FLOPs, scales": "350M, 1B, 3B",
    "held-out samples": "1,000",
}


def sizes_table(study: Study, inputs: ReportInputs) -> Table:
    """One row a quantity: here, and in the paper."""
    here = _here(study, inputs)
    rows: list[Row] = [{"quantity": name, "here": here[name], "paper": PAPER[name]} for name in PAPER]
    columns = [
        Column("quantity", "Quantity", style="name"),
        Column("here", "This study", style="text"),
        Column("paper", "The paper", style="text"),
    ]
    return Table("sizes", "Sizes of this study and of the paper's.", columns, rows)


def _here(study: Study, inputs: ReportInputs) -> dict[str, str]:
    proxy, isotoken, isoflop = study.proxy, study.pretrain.isotoken, study.pretrain.isoflop
    absent = "not part of this study"
    return {
        "layers of a design": str(study.task.layers),
        "MAD tasks in the proxy": f"{len(proxy.tasks)} ({', '.join(proxy.tasks)}); width {proxy.d_model}",
        "proxy samples, training": f"{proxy.train_examples:,}",
        "proxy samples, test": f"{proxy.test_examples:,}",
        "steps of a search": _distinct([f"{agent.steps:,}" for agent in study.agents]),
        "distinct designs found": f"{len(inputs.archive):,}",
        "equal tokens, tokens a run": f"{isotoken.tokens:,}" if isotoken else absent,
        "equal tokens, scale": isotoken.scale if isotoken else absent,
        "equal tokens, seeds": str(len(isotoken.seeds)) if isotoken else absent,
        "equal FLOPs, budgets": ", ".join(map(scientific, isoflop.budgets)) if isoflop else absent,
        "equal FLOPs, scales": ", ".join(isoflop.scales) if isoflop else absent,
        "held-out samples": f"at most {study.evaluate.samples:,}",
    }


def _distinct(values: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(values))
