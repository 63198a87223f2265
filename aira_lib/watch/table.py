"""Searches as a table, a row each, and in one line. What models and programs wrote is plain text, never markup."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from aira_lib.agents import best_node
from aira_lib.agents.ledger import spent
from aira_lib.console import duration
from aira_lib.records import Node
from aira_lib.watch.searches import TimeLeft, Watched, time_left

_REASON = 60  # characters
_COLUMNS = ("search", "state", "step", "operator", "best", "design", "valid", "cost", "time", "left", "last reason")
_NUMBERS = ("step", "best", "valid", "cost", "time", "left")
_WHOLE = ("search", "state", "step", "best")  # never cut short: a narrow terminal takes the room from the others


def table(title: str, searches: Sequence[Watched], lower_is_better: bool, left: TimeLeft | None = None) -> Table:
    """One row a search, and all of them together below; `left` is by default told by the speed of their nodes."""
    left = left or time_left(searches)
    made = Table(title=f"Searches of {title}", title_justify="left")
    made.caption, made.caption_justify = Text(totals(searches, lower_is_better, left)), "left"
    for column in _COLUMNS:
        made.add_column(column, justify="right" if column in _NUMBERS else "left", no_wrap=column in _WHOLE)
    for each in searches:
        made.add_row(*(Text(cell) for cell in _cells(each, lower_is_better, left.each.get(each.name))))
    return made


def _cells(search: Watched, lower_is_better: bool, left: float | None) -> list[str]:
    nodes = search.nodes
    step = f"{len(nodes)}/{search.steps}"
    at_hand = search.at_hand if search.state != "waiting" else ""
    if not nodes:
        return [search.name, search.state, step, at_hand, *[""] * (len(_COLUMNS) - 4)]
    best = best_node(nodes, lower_is_better)
    return [
        search.name,
        search.state,
        step,
        at_hand or nodes[-1].operator,
        f"{best.validation:.4f}" if best and best.validation is not None else "none",
        (best.design or "") if best else "",
        f"{share_valid(nodes):.0%}",
        cost(nodes),
        duration(search.seconds),
        duration(left) if left else "",
        one_line(next((node.reason for node in reversed(nodes) if node.status == "failed"), "")),
    ]


def totals(searches: Sequence[Watched], lower_is_better: bool, left: TimeLeft | None = None) -> str:
    """All searches together in one line: nodes, the best, share of valid ones, cost, time left."""
    nodes = [node for each in searches for node in each.nodes]
    parts = [f"{len(nodes)}/{sum(each.steps for each in searches)} steps"]
    if nodes:
        best = best_node(nodes, lower_is_better)
        parts += [f"best {best.validation:.4f}"] if best and best.validation is not None else []
        parts += [f"{share_valid(nodes):.0%} valid", cost(nodes)]
    if not all(each.finished or each.said == "failed" for each in searches):
        parts.append((left or time_left(searches)).together)
    return " · ".join(part for part in parts if part != "–")


def share_valid(nodes: Sequence[Node]) -> float:
    """The share of nodes that were scored, 0 to 1."""
    return sum(node.status == "ok" for node in nodes) / len(nodes)


def cost(nodes: Sequence[Node]) -> str:
    """Dollars and tokens as far as they are known, else calls; a dash where no model was asked over a network."""
    total = spent(nodes)
    calls = sum(node.usage.get("calls", 0.0) for node in nodes)
    parts = [f"${total.dollars:,.2f}"] if total.dollars is not None else []
    parts += [f"{_thousands(total.tokens)} tokens"] if total.tokens else []
    return ", ".join(parts) or (f"{calls:g} calls" if calls else "–")


def _thousands(count: int) -> str:
    return f"{count:,}" if count < 10_000 else f"{count / 1e3:,.0f}k" if count < 10_000_000 else f"{count / 1e6:,.1f}M"


def one_line(text: str) -> str:
    """The beginning of a text, printable characters only: no control codes of a program reach the terminal."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain if len(plain) <= _REASON else plain[: _REASON - 1] + "…"
