"""Show what was verified: a table for each check and the contradictions, or JSON."""

import json
from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from aira_lib.verify.check import Check
from aira_lib.verify.contradictions import contradictions, is_recomputed
from aira_lib.verify.registry import UNCHECKED, run_checks


def verify(console: Console, as_json: bool) -> int:
    """Run all checks and print them; returns the exit code: 0 if every miss is explained, else 1."""
    checks = run_checks()
    if as_json:
        print(json.dumps(as_data(checks), indent=1, ensure_ascii=False))
    else:
        for check in checks:
            _show(console, check)
        console.print(_contradictions())
        console.print(_summary(checks))
        _conclude(console, checks)
    return 0 if all(check.passed for check in checks) else 1


def as_data(checks: Sequence[Check]) -> dict[str, Any]:
    """Everything that is printed, as plain data."""
    return {
        "agrees": all(check.passed for check in checks),
        "checks": [_check_data(check) for check in checks],
        "contradictions": [{**vars(c), "recomputed": is_recomputed(c)} for c in contradictions()],
        "unchecked": list(UNCHECKED),
    }


def _check_data(check: Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "source": check.source,
        "how": check.how,
        "total": check.total,
        "agreed": check.agreed,
        "passed": check.passed,
        "groups": [vars(group) for group in check.groups],
        "misses": [vars(miss) for miss in check.misses],
    }


def _show(console: Console, check: Check) -> None:
    verdict = "" if check.passed else " · [bold red]DISAGREES[/]"
    title = f"[bold]{escape(check.name)}[/] · {escape(check.source)} · {check.agreed}/{check.total}{verdict}"
    console.print(title, soft_wrap=True)
    console.print(f"  [dim]{escape(check.how)}[/]", soft_wrap=True)
    console.print(_groups(check))
    if check.misses:
        console.print(_misses(check))
    console.print()


def _groups(check: Check) -> Table:
    table = Table.grid(padding=(0, 2))
    for group in check.groups:
        table.add_row("", escape(group.name), f"{group.agreed}/{group.total}")
    return table


def _misses(check: Check) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("  miss", "ours", "paper", "why"):
        table.add_column(column, overflow="fold")
    for miss in check.misses:
        why = escape(miss.explanation) if miss.explanation else "[bold red]not explained[/]"
        table.add_row(f"  {escape(miss.where)}", escape(miss.ours), escape(miss.paper), why)
    return table


def _contradictions() -> Table:
    rows = contradictions()
    title = f"[bold]Contradictions of the paper[/] · {len(rows)}, of which {sum(map(is_recomputed, rows))} recomputed"
    table = Table(title=title, title_justify="left", title_style="", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("where", "what", "printed", "against", ""):
        table.add_column(column, overflow="fold")
    for c in rows:
        how = "recomputed" if is_recomputed(c) else "quoted"
        table.add_row(escape(c.where), escape(c.what), escape(c.printed), escape(c.against), how)
    return table


def _summary(checks: Sequence[Check]) -> Table:
    table = Table(title="[bold]Summary[/]", title_justify="left", title_style="", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("check", overflow="fold")
    table.add_column("agree", justify="right")
    table.add_column("explained", justify="right")
    table.add_column("", overflow="fold")
    for check in checks:
        explained = len(check.misses) - len(check.failures)
        verdict = "[green]✓[/]" if check.passed else f"[bold red]✗ {len(check.failures)} not explained[/]"
        table.add_row(escape(check.name), f"{check.agreed}/{check.total}", str(explained or ""), verdict)
    return table


def _conclude(console: Console, checks: Sequence[Check]) -> None:
    for text in UNCHECKED:
        console.print(f"Not checked: {escape(text)}.", soft_wrap=True)
    agreed, total = sum(check.agreed for check in checks), sum(check.total for check in checks)
    for check in checks:
        if not check.total:
            console.print(f"[bold red]✗[/] {escape(check.name)}: nothing was compared", soft_wrap=True)
        for miss in check.failures:
            line = f"{check.name}: {miss.where}: ours {miss.ours}, the paper's {miss.paper}"
            console.print(f"[bold red]✗[/] {escape(line)}", soft_wrap=True)
    failures = sum(len(check.failures) for check in checks)
    if failures or not all(check.passed for check in checks):
        console.print(f"{failures} of {total} numbers disagree without a contradiction of the paper that explains it.")
    else:
        console.print(
            f"{agreed} of {total} numbers agree; the {total - agreed} others are explained above: our computation "
            "agrees with the paper wherever the paper agrees with itself.",
            soft_wrap=True,
        )
