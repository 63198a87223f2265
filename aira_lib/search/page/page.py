"""The HTML page of a search: one file that opens offline, whatever models wrote into the nodes.

What agents and programs wrote never becomes markup: it lies in the page as JSON with every angle bracket escaped, and
the page's script shows it as text only. The same nodes give the same bytes.
"""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from aira_lib.agents.step import baseline_of
from aira_lib.records import Node
from aira_lib.records.node import DESCRIBED
from aira_lib.search.changes import since_best, since_parent
from aira_lib.search.page.drawing import CURVE_HEIGHT, CURVE_WIDTH, best_so_far, colour, draw_curve, draw_tree, fitness
from aira_lib.search.page.exchanges import Exchanges
from aira_lib.search.page.layout import parents_of
from aira_lib.study import AgentSection, flat
from aira_lib.tasks.programs.costs import costs_of, described_in

Settings = Sequence[tuple[str, str]]
"""Names and values, in words; the first value says who searched."""


def agent_settings(agent: AgentSection) -> Settings:
    """Who searches, what it may spend, and whatever else a study chose for it."""
    budget = [("steps", f"{agent.steps:,} at most"), ("time", f"{agent.hours:g} h at most")]
    budget += [("tokens", f"{agent.max_tokens_total:,} at most")] if agent.max_tokens_total else []
    budget += [("dollars", f"{agent.max_dollars:g} at most")] if agent.max_dollars else []
    said = {"name", "scaffold", "model", "steps", "hours", "seeds", "max_tokens_total", "max_dollars"}
    others = [(name, value) for name, value in flat(agent).items() if name not in said]
    who = f"{agent.name} ({agent.scaffold}, {agent.model})"
    return [("agent", who), *budget, *((name.replace("_", " "), value) for name, value in others)]


def render_run(
    nodes: Sequence[Node], title: str, lower_is_better: bool = False, running: bool = False,
    facts: Sequence[tuple[str, str]] = (), settings: Settings = (), asked: Exchanges | None = None,
) -> str:  # fmt: skip
    """Render the page of one search.

    Args:
        nodes: All its nodes, in the order of their steps.
        title: What it is called, as text.
        lower_is_better: The direction of the validation fitness.
        running: Whether more nodes will come; the page then says so.
        facts: Further names and values for its head.
        settings: The agent's, see `agent_settings`.
        asked: What was asked and answered; None where that is not kept, and the page then says how to keep it.

    Returns:
        A whole HTML document, without references to anything outside it.
    """
    bests = best_so_far(nodes, lower_is_better)
    details = [_details(nodes, index, parents, lower_is_better) for index, parents in enumerate(parents_of(nodes))]
    if asked is not None:
        most = asked.most()
        details = [found | {"asked": asked.of_step(found["step"], most)} for found in details]
    return _template().render(
        title=title,
        running=running,
        settings=settings,
        facts=[*_facts(nodes, bests[-1] if bests else None), *facts],
        tree=draw_tree(nodes, lower_is_better),
        curve=draw_curve(nodes, lower_is_better),
        curve_size=(CURVE_WIDTH, CURVE_HEIGHT),
        scale=[colour(step / 8) for step in range(9)],
        best=bests[-1] if bests else None,
        data=_as_json(details),
    )


def with_report(page: str, place: str) -> str:
    """A page with a link to the report that its search became a part of; a page of an earlier version stays as it is.

    Args:
        page: of a search, with a link or without.
        place: of the report, as a link from the page.
    """
    begin, between, end = (
        "<!-- report -->",
        '<p class="hint"><a href="{}">The report of the study</a></p>',
        "<!-- /report -->",
    )
    head, found, rest = page.partition(begin)
    return f"{head}{begin}{Markup(between).format(place)}{end}{rest.partition(end)[2]}" if found else page


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("aira_lib.search.page"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("run.html.jinja")


def _facts(nodes: Sequence[Node], best: int | None) -> list[tuple[str, str]]:
    """Names and values for the head of the page."""
    good = sum(fitness(node) is not None for node in nodes)
    facts = [("nodes", str(len(nodes))), ("valid", f"{good} ({good / max(len(nodes), 1):.0%})")]
    if best is not None:
        facts += [
            ("best", f"{fitness(nodes[best]):.4f} at step {nodes[best].step}"),
            ("design", nodes[best].design or ""),
        ]
    facts.append(("time", f"{sum(node.seconds for node in nodes) / 60:.1f} min"))
    usage: dict[str, float] = {}
    for node in nodes:
        for name, value in node.usage.items():
            usage[name] = usage.get(name, 0.0) + value
    return facts + [(name.replace("_", " "), f"{value:,.6g}") for name, value in sorted(usage.items())]


def _details(nodes: Sequence[Node], index: int, parents: Sequence[int], lower_is_better: bool) -> dict[str, Any]:
    """What the page shows of one node when it is chosen."""
    node = nodes[index]
    found = node.model_dump(mode="json", exclude={"parents", "evaluation", "usage", "measures"})
    parent = since_parent(nodes, index)
    best = since_best(nodes, index, lower_is_better) if baseline_of(nodes) else None
    return found | {
        "parents": list(parents),
        "analysis": getattr(node, "analysis", "") or "",  # journals of other versions have no such field
        "diff": parent,
        "diff_best": None if best == parent else best,  # most are the change of the best itself
        "scores": _scores(node),
        "usage": sorted(node.usage.items()),
        "measured": sorted(node.measured.items()),
        "said": sorted((name, value) for name, value in node.said.items() if not name.startswith(DESCRIBED)),
        "described": _described(node),
    }


def _described(node: Node) -> list[tuple[str, float | str]]:
    """What was told beside the program's own code, and what follows from it."""
    costs = costs_of(node.measures)
    rows: list[tuple[str, float | str]] = [
        (name.replace("_", " "), value) for name, value in sorted(described_in(node.measures).items())
    ]
    rows += [("growth with length", costs.growth)] if costs.growth else []
    return rows + ([("steps per second of train seconds", costs.steps_per_second)] if costs.steps_per_second else [])


def _scores(node: Node) -> list[tuple[str, float | None, float | None]]:
    """Rows of (task, validation, test); the mean first."""
    rows = [("mean", node.validation, node.test)]
    if node.evaluation:
        validation, test = node.evaluation.validation_by_task, node.evaluation.test_by_task
        rows += [(task, validation.get(task), test.get(task)) for task in sorted({*validation, *test})]
    return rows if any(value is not None for row in rows for value in row[1:]) else []


def _as_json(value: object) -> Markup:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
