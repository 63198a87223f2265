"""What was measured of a proxy as parts of a page: the numbers that matter, sentences, tables and figures."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from aira_lib.proxy.correlation import FEWEST, RankCorrelation
from aira_lib.proxy.fidelity import MEAN, Fidelity, FidelityTogether, StoppingFidelity
from aira_lib.records import StandIn
from aira_lib.report.blocks import Block, FigureBlock, KeyNumber, Section, TableBlock, TextBlock
from aira_lib.report.columns import Column, Row, Table, format_number
from aira_lib.report.tables import stand_ins_table

if TYPE_CHECKING:
    from aira_lib.report.drawing import Figure

_RANKS = "Ranks in the large proxy against ranks in the small one, a dot a design, 1 the best; on the line both agree."
_NO_FIGURE = "There is no figure: it needs matplotlib, in the extra report, and a design that both have scored."


def sections_of(
    found: Mapping[str, Fidelity], figures: "Mapping[str, Figure]", together: FidelityTogether | None
) -> list[Section]:
    """The parts of the page of `aira proxy fidelity`, by data set."""
    stand_ins = dict.fromkeys(entry for each in found.values() for entry in each.stand_ins)
    sections = _stand_ins(list(stand_ins))
    for name, each in found.items():
        on = f" on {name}" if len(found) > 1 else ""
        sections.append(Section(f"ranks-{name}", f"Ranks{on}", _ranks(name, each, figures.get(name))))
        if each.stopping:
            sections.append(Section(f"stopping-{name}", f"Stopping early{on}", _stopping(name, each.stopping)))
    if together:
        sections.append(Section("together", "All data sets together", [TableBlock(_together_table(together))]))
    return sections


def sections_of_stopping(found: StoppingFidelity) -> list[Section]:
    """The parts of the page of `aira proxy stopping`."""
    return [*_stand_ins(found.stand_ins), Section("stopping", "Stopping early", _stopping("", found))]


def sentences_of(found: Mapping[str, Fidelity]) -> list[str]:
    """What was compared, a sentence or two a data set."""
    said = []
    for name, each in found.items():
        on = f" on {name}" if len(found) > 1 else ""
        failed = f", {each.failed} more failed and are left out" if each.failed else ""
        seeds = f"seeds {_listed(each.small_seeds)} against {_listed(each.large_seeds)}"
        said.append(f"`{each.small}` against `{each.large}`{on}: {len(each.designs)} designs{failed}; {seeds}.")
        said.append(f"Designs are ranked by {each.ranked_by}.")
    return said


def sentences_of_stopping(found: StoppingFidelity) -> list[str]:
    """What was trained."""
    failed = f", {found.failed} more failed and are left out" if found.failed else ""
    return [f"{found.designs} designs were trained for {found.epochs} epochs{failed}."]


def key_numbers_of(found: Mapping[str, Fidelity], together: FidelityTogether | None) -> list[KeyNumber]:
    """How well the small proxy ranks, what its choice loses, and what it spares."""
    if together:
        each = [_of_ranks(f"Spearman's rho on {name}", data.correlations[MEAN]) for name, data in found.items()]
        return [_of_ranks("Spearman's rho, all data sets together", together.together), *each]
    (only,) = found.values()
    numbers = [_of_ranks("Spearman's rho of the ranks", only.correlations[MEAN])] if MEAN in only.correlations else []
    if only.regret is not None:
        lost = f"by taking the best design of `{only.small}` in place of that of `{only.large}`"
        numbers.append(KeyNumber("lost in the large proxy", format_number(only.regret, ".4f"), lost))
    spared = f"optimizer steps of `{only.large}` for one of `{only.small}`"
    return [*numbers, KeyNumber("times as many steps", format_number(only.steps_ratio, ".3g"), spared)]


def key_numbers_of_stopping(found: StoppingFidelity) -> list[KeyNumber]:
    """How well the first rung ranks; none where there is no rung."""
    return [
        _of_ranks(f"Spearman's rho, after {each.epoch} of {found.epochs} epochs", each.correlation)
        for each in found.rungs[:1]
    ]


def _of_ranks(title: str, found: RankCorrelation) -> KeyNumber:
    if found.spearman is None:
        return KeyNumber(title, "–", f"all ranks are equal, {found.n} designs")
    interval = f"95 %: {_interval(found.spearman.low, found.spearman.high)}" if found.n >= FEWEST else _too_few()
    return KeyNumber(title, format_number(found.spearman.value, "+.2f"), f"{interval}; {found.n} designs")


def _stand_ins(stand_ins: Sequence[StandIn]) -> list[Section]:
    if not stand_ins:
        return []
    return [Section("stand-ins", "What stood in for what", [TableBlock(stand_ins_table(stand_ins))], boxed=True)]


def _ranks(name: str, found: Fidelity, figure: "Figure | None") -> list[Block]:
    caption = (
        "Rank correlations by task. Intervals are those of a bootstrap over designs; under "
        f"{FEWEST} designs there are none."
    )
    table = _correlations(f"correlations-{name}", caption, found.correlations, "Task")
    blocks: list[Block] = [FigureBlock(figure, _RANKS, _NO_FIGURE), TableBlock(table)]
    if found.regret is not None:
        lost = f"Taking the small one's best design loses {found.regret:.4f} in the large one."
        blocks.append(TextBlock(lost))
    return blocks


def _stopping(name: str, found: StoppingFidelity) -> list[Block]:
    if not found.rungs:
        return [TextBlock(f"{found.epochs} epochs are too few for a rung: nothing can be stopped early.")]
    rungs = {f"after {each.epoch} epochs": each.correlation for each in found.rungs}
    ranked = f"Validation at a rung against that after all {found.epochs} epochs."
    return [
        TableBlock(_correlations(f"rungs-{name}".rstrip("-"), ranked, rungs, "Rung")),
        TableBlock(_rules(f"rules-{name}".rstrip("-"), found)),
    ]


def _rules(name: str, found: StoppingFidelity) -> Table:
    caption = (
        "Rules replayed on these curves, means over 100 orders of the designs. Steps saved include the trainings for a "
        "test score, which a stopped design does not get."
    )
    columns = [
        Column("rule", "Rule", style="name"),
        Column("setting", "Setting", style="name"),
        Column("stopped", "Stopped", "% of designs", spec=".0f", per=0.01),
        Column("saved", "Saved", "% of steps", spec=".0f", per=0.01),
        Column("best_stopped", "Best stopped", "% of orders", spec=".0f", per=0.01),
        Column("regret", "Regret", "fitness", spec=".4f"),
    ]
    rows: list[Row] = [
        {
            "rule": each.rule, "stopped": each.stopped, "saved": each.saved, "best_stopped": each.best_stopped,
            "regret": each.regret,
            "setting": f"eta {each.eta}" if each.rule == "successive-halving" else f"margin {each.margin:g}",
        }
        for each in found.rules
    ]  # fmt: skip
    return Table(name, caption, columns, rows, "No rule was replayed.")


def _together_table(found: FidelityTogether) -> Table:
    caption = "Each data set by its mean over tasks, and together by the mean of a design's ranks."
    rows = {name: each.correlations[MEAN] for name, each in found.data_sets.items()} | {"together": found.together}
    return _correlations("together", caption, rows, "Data set")


def _correlations(name: str, caption: str, found: Mapping[str, RankCorrelation], of: str) -> Table:
    columns = [
        Column("of", of, style="name"),
        Column("designs", "Designs", spec=",d"),
        Column("spearman", "Spearman's rho", spec="+.3f"),
        Column("spearman_interval", "", "95 % interval", style="name"),
        Column("kendall", "Kendall's tau-b", spec="+.3f"),
        Column("kendall_interval", "", "95 % interval", style="name"),
    ]
    rows: list[Row] = []
    for what, each in found.items():
        row: Row = {"of": what, "designs": each.n}
        for measure, estimate in (("spearman", each.spearman), ("kendall", each.kendall)):
            row[measure] = estimate.value if estimate else None
            if estimate is None:
                row[f"{measure}_interval"] = "all are equal"
            else:
                known = each.n >= FEWEST
                row[f"{measure}_interval"] = _interval(estimate.low, estimate.high) if known else _too_few()
        rows.append(row)
    return Table(name, caption, columns, rows, "Nothing was compared.")


def _interval(low: float, high: float) -> str:
    return f"{format_number(low, '+.3f')} to {format_number(high, '+.3f')}"


def _too_few() -> str:
    return f"under {FEWEST} designs"


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))
