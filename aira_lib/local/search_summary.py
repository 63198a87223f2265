"""What searches came to: the best of each, over all, and where their pages are."""

from collections.abc import Sequence
from statistics import mean, stdev

from rich.console import Console
from rich.table import Table
from rich.text import Text

from aira_lib.agents import best_node
from aira_lib.console import duration
from aira_lib.flow.stage import Unit
from aira_lib.flow.units import search_units
from aira_lib.local.run import LocalRun
from aira_lib.local.search_outlook import page_place
from aira_lib.records import PAGE
from aira_lib.store import open_store
from aira_lib.tasks.section import family_of, task_of
from aira_lib.watch.nodes import page_of, read_nodes
from aira_lib.watch.searches import Watched
from aira_lib.watch.table import cost, share_valid

_NUMBERS = ("validation", "test", "at step", "nodes", "valid", "cost", "time")


def show_summary(console: Console, run: LocalRun, searches: Sequence[Watched], wall_seconds: float | None) -> None:
    """Print the best designs, mean and spread over seeds, the share of valid nodes, time, cost and pages.

    Of a task whose candidates are no designs, scores stand alone.

    Args:
        console: Where to.
        run: What was run, and where.
        searches: Its searches as they ended.
        wall_seconds: How long this command took; None where it made nothing.
    """
    lower_is_better = task_of(run.study.task).lower_is_better
    designs = family_of(run.study.task).has_designs
    console.print(_table(searches, lower_is_better, designs))
    validation = dict.fromkeys(each.validation for each in searches if each.validation)
    lines = [f"{said[0].upper()}{said[1:]}." for said in validation]
    for line in [*_over_seeds(searches, lower_is_better, designs), *lines, _spent(searches, wall_seconds)]:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    for unit in search_units(run.study):
        if any(each.name == unit.name and each.nodes for each in searches):
            console.print(f"Page: {_page(run, unit)}", highlight=False, markup=False, soft_wrap=True)


def _table(searches: Sequence[Watched], lower_is_better: bool, designs: bool) -> Table:
    columns = ("search", *(("best design",) if designs else ()), *_NUMBERS)
    made = Table(title="Best of each search, by validation", title_justify="left")
    for column in columns:
        made.add_column(column, justify="right" if column in _NUMBERS else "left")
    for each in searches:
        best = best_node(each.nodes, lower_is_better)
        row = [each.name, *((best.design or "" if best else "none",) if designs else ())]
        row += [_number(best.validation), _number(best.test), str(best.step)] if best else [""] * 3
        if each.nodes:
            row += [str(len(each.nodes)), f"{share_valid(each.nodes):.0%}", cost(each.nodes), duration(each.seconds)]
        made.add_row(*(Text(cell) for cell in row))
    return made


def _over_seeds(searches: Sequence[Watched], lower_is_better: bool, designs: bool) -> list[str]:
    """The best over all searches, and of each agent the mean and the standard deviation (n - 1) of its seeds' bests."""
    bests = {each.name: best for each in searches if (best := best_node(each.nodes, lower_is_better))}
    if not bests:
        return [f"No {'design' if designs else 'program'} was scored: the pages say why."]
    overall = best_node(list(bests.values()), lower_is_better)
    winner = next(name for name, node in bests.items() if node is overall)
    assert overall is not None
    design = f"{overall.design}  " if designs else ""
    lines = [f"Best over all: {design}{_number(overall.validation)} ({winner}, step {overall.step})"]
    for agent in dict.fromkeys(name.rpartition(".s")[0] for name in bests):
        values = [node.validation or 0.0 for name, node in bests.items() if name.rpartition(".s")[0] == agent]
        if len(values) > 1:
            lines.append(f"{agent}: {mean(values):.4f} ± {stdev(values):.4f} over {len(values)} seeds (mean ± sd)")
    return lines


def _spent(searches: Sequence[Watched], wall_seconds: float | None) -> str:
    nodes = [node for each in searches for node in each.nodes]
    valid = f"{share_valid(nodes):.0%} of {len(nodes)} nodes valid" if nodes else "no nodes"
    parts = [valid, f"{duration(sum(node.seconds for node in nodes))} of search"]
    parts += [f"{duration(wall_seconds)} wall time of this run"] if wall_seconds is not None else []
    spent = cost(nodes)
    return " · ".join([*parts, "no cost" if spent == "–" else spent])


def _page(run: LocalRun, unit: Unit) -> str:
    """Where the page is; it is drawn from the journal where an earlier version left none."""
    store = open_store(run.settings.store)
    name = f"{unit.folder(run.study)}/{PAGE}"
    if not store.exists(name):
        nodes = read_nodes(store, run.study, unit)
        page = page_of(f"{task_of(run.study.task).name}: {unit.name}", store, run.study, unit, nodes)
        store.write(name, page.encode())
    return page_place(run, unit)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
