"""How a search came to its best program: each step that beat all before it, by how much, and what it changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aira_lib.agents import best_node
from aira_lib.agents.step import tried
from aira_lib.records import Node
from aira_lib.report.columns import Column, Row, Table
from aira_lib.report.inputs import SearchRun
from aira_lib.report.noise import noise_floor
from aira_lib.report.searches import by_agent

CHANGE = 140  # characters


@dataclass(frozen=True)
class Improvement:
    """A step whose validation score beat the baseline, where one ran, and all steps before.

    `gain` is positive for the better, whichever way the metric points, over the best before; None of the first valid
    step of a search without a baseline. `within_noise` is None where the noise is not known. `kept` says that the
    search took it for its best; with a noise floor it takes none within the noise.
    """

    number: int
    node: Node
    score: float
    gain: float | None
    within_noise: bool | None
    kept: bool = True


def improvements(search: SearchRun) -> list[Improvement]:
    """Those of one search, in order."""
    floor, sign = noise_floor(search.told), -1.0 if search.lower_is_better else 1.0
    best, found = floor.mean if floor else None, list[Improvement]()
    for node in tried(search.nodes):
        if node.validation is None or not node.good:
            continue
        gain = None if best is None else sign * (node.validation - best)
        if gain is None or gain > 0:
            noise = floor.covers(gain) if floor and gain is not None else None
            found.append(Improvement(len(found) + 1, node, node.validation, gain, noise, kept=node.ranks))
            best = node.validation if node.ranks else best
    return found


def best_seeds(searches: Sequence[SearchRun]) -> dict[str, SearchRun]:
    """The search of each agent that found its best program; of equals that of the first seed, none without any."""
    return {agent: best for agent, runs in by_agent(searches).items() if (best := best_search(runs))}


def best_search(searches: Sequence[SearchRun]) -> SearchRun | None:
    """The search of one task that found the best program; of equals the first, None without any program."""
    bests = [(best.validation, run) for run in searches if (best := best_node(run.nodes, run.lower_is_better))]
    sign = -1.0 if any(run.lower_is_better for run in searches) else 1.0
    return max(bests, key=lambda each: sign * (each[0] or 0.0), default=(None, None))[1]


def improvements_table(searches: Mapping[str, SearchRun] | Sequence[SearchRun], metric: str, name: str) -> Table:
    """A row an improvement.

    Args:
        searches: Of which; those of the best seeds by agent, or all.
        metric: What scores are called.
        name: Of the table.
    """
    chosen = list(searches.values()) if isinstance(searches, Mapping) else searches
    columns = [
        Column("agent", "Agent", style="name"),
        Column("seed", "Seed", spec="d"),
        Column("number", "No.", spec="d"),
        Column("step", "Step", spec="d"),
        Column("id", "Node", style="code"),
        Column("operator", "Operator", style="name"),
        Column("validation", metric, "validation", spec=".4f"),
        Column("test", metric, "test", spec=".4f"),
        Column("gain", "Gain", "over the best before", spec=".4f"),
        Column("within_noise", "Within noise", style="name"),
        Column("change", "What it changed", style="text"),
    ]
    caption = (
        "Each step that beat the baseline, where one ran, and all steps before it; a gain is positive for the better. "
        "A search with a noise floor keeps none as its best that is within the noise of the baseline's seeds. What "
        "changed is the agent's own word."
    )
    rows = [_row(search, each) for search in chosen for each in improvements(search)]
    return Table(name, caption, columns, rows, "No step beat what was there before it.", group="agent")


def _row(search: SearchRun, each: Improvement) -> Row:
    node = each.node
    return {
        "agent": search.agent, "seed": search.seed, "number": each.number, "step": node.step, "id": node.id,
        "operator": node.operator, "validation": each.score, "test": node.test, "gain": each.gain,
        "within_noise": each.within_noise, "change": changed(node),
    }  # fmt: skip


def changed(node: Node) -> str:
    """What a node changed, in a line: as its patch says it, else as its plan begins."""
    said = (node.change or node.plan).strip()
    line = next(iter(said.splitlines()), "")
    return line if len(line) <= CHANGE else f"{line[: CHANGE - 1]}…"
