"""Figures of how far searches for programs came: the best so far by step, and the best of each seed."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from aira_lib.agents import best_node
from aira_lib.report.drawing import DASHES, INK_COLOUR, MUTED, PALETTE, WIDTH, Figure, render, safe_label
from aira_lib.report.improvements import improvements
from aira_lib.report.inputs import SearchRun
from aira_lib.report.noise import NoiseFloor, noise_floor
from aira_lib.report.searches import by_agent

_SPREAD = 0.3  # of a row's height, over which seeds are spread


def trajectories_figure(
    searches: Mapping[str, SearchRun],
    agents: Sequence[str],
    label: str,
    floor: NoiseFloor | None,
    references: Mapping[str, float],
) -> Figure | None:
    """The best so far by step of one search an agent, dots at improvements; None where nothing was valid.

    Args:
        searches: By agent.
        agents: All of the study, each of which has a colour.
        label: Of the vertical axis.
        floor: The baseline, drawn as a dashed line with its band.
        references: Further scores by name, as dotted lines.
    """
    if not any(improvements(search) for search in searches.values()):
        return None

    def draw(canvas: Canvas) -> None:
        axes = canvas.subplots()
        _reference(axes.axhline, axes.axhspan, floor, references)
        for agent, search in searches.items():
            _trajectory(axes, search, safe_label(f"{agent} (seed {search.seed})"), agents.index(agent))
        axes.set_xlabel("step")
        axes.set_ylabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        canvas.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3)

    return render("trajectories", WIDTH, 3.9, draw)


def _trajectory(axes: Axes, search: SearchRun, label: str, place: int) -> None:
    found = improvements(search)
    if not found:
        return
    style: dict[str, Any] = {
        "color": PALETTE[place % len(PALETTE)],
        "linestyle": DASHES[place // len(PALETTE) % len(DASHES)],
    }
    kept = [each for each in found if each.kept]
    steps, scores = [each.node.step for each in kept], [each.score for each in kept]
    if floor := noise_floor(search.told):  # the baseline is the first best
        steps, scores = [0, *steps], [floor.mean, *scores]
    last = max(node.step for node in search.nodes) + 1  # a best holds after its step, the last one too
    if steps:
        axes.step([*steps, last], [*scores, scores[-1]], where="post", label=label, **style)
    sure = [each for each in found if not each.within_noise]
    doubtful = [each for each in found if each.within_noise]
    for group, face in ((sure, style["color"]), (doubtful, "white")):
        axes.plot(
            [each.node.step for each in group], [each.score for each in group], "o", color=style["color"],
            markerfacecolor=face, markersize=5,
        )  # fmt: skip


def seeds_figure(
    searches: Sequence[SearchRun], label: str, floor: NoiseFloor | None, references: Mapping[str, float]
) -> Figure | None:
    """The best of each seed, a row an agent, its median a stroke; None where nothing was valid.

    Args:
        searches: All.
        label: Of the horizontal axis.
        floor: The baseline, drawn as a dashed line with its band.
        references: Further scores by name, as dotted lines.
    """
    bests = {agent: _bests(runs) for agent, runs in by_agent(searches).items()}
    if not any(bests.values()):
        return None

    def draw(canvas: Canvas) -> None:
        axes = canvas.subplots()
        _reference(axes.axvline, axes.axvspan, floor, references)
        for row, scores in enumerate(bests.values()):
            _seeds(axes, row, scores, PALETTE[row % len(PALETTE)])
            if not scores:
                axes.text(0.01, row, "none", transform=axes.get_yaxis_transform(), va="center", color=MUTED)
        axes.set_yticks(range(len(bests)), [safe_label(f"{agent} ({len(scores)})") for agent, scores in bests.items()])
        axes.set_ylim(len(bests) - 0.5, -0.5)
        axes.set_xlabel(label)
        if (labels := axes.get_legend_handles_labels())[0]:
            canvas.legend(*labels, loc="outside upper center", ncols=3)

    return render("best_by_seed", WIDTH, 1.3 + 0.42 * len(bests), draw)


def _bests(runs: Sequence[SearchRun]) -> list[float]:
    found = [best_node(run.nodes, run.lower_is_better) for run in runs]
    return [best.validation for best in found if best and best.validation is not None]


def _seeds(axes: Axes, row: int, scores: Sequence[float], colour: str) -> None:
    steps = max(1, len(scores) - 1)
    heights = [row + _SPREAD * (2 * place / steps - 1) * (len(scores) > 1) for place in range(len(scores))]
    axes.plot(scores, heights, "o", color=colour, markersize=5, alpha=0.75)
    if len(scores) > 1:
        axes.plot([median(scores)] * 2, [row - 0.4, row + 0.4], color=colour, linewidth=1.6)


def _reference(
    line: Callable[..., object], span: Callable[..., object], floor: NoiseFloor | None, references: Mapping[str, float]
) -> None:
    """Draw the baseline with its band, and further references."""
    if floor:
        line(floor.mean, color=INK_COLOUR, linestyle="--", linewidth=1.1, label=f"baseline ({len(floor.scores)} seeds)")
        if floor.band:
            span(*floor.band, color=INK_COLOUR, alpha=0.08, linewidth=0, label="within its noise")
    for place, (name, score) in enumerate(references.items()):
        line(score, color=PALETTE[-1 - place % len(PALETTE)], linestyle=":", linewidth=1.0, label=safe_label(name))
