"""What `aira proxy fidelity` and `aira proxy stopping` found: as text, as a figure of ranks, as a page of its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aira_lib.proxy.correlation import FEWEST, RankCorrelation
from aira_lib.proxy.fidelity import MEAN, SIDES, Fidelity, FidelityTogether, StoppingFidelity, goodness_ranks
from aira_lib.records import Estimate, StandIn
from aira_lib.report.blocks import KeyNumber, Section
from aira_lib.report.page import own_page

if TYPE_CHECKING:
    from aira_lib.report.drawing import Figure

_FEWEST_ACROSS, _MOST_ACROSS = 3, 4  # panels of a figure, which is as wide as the page however few they are


def fidelity_lines(found: Fidelity) -> list[str]:
    """The comparison as lines of text."""
    seeds = f"seeds {_list(found.small_seeds)} against {_list(found.large_seeds)}"
    failed = f"; {found.failed} failed and are left out" if found.failed else ""
    lines = [
        f"{found.small} against {found.large}: {len(found.designs)} designs, {seeds}{failed}",
        f"Ranked by {found.ranked_by}. The large one trains {found.steps_ratio:.3g} times as many steps.",
        *stand_in_lines(found.stand_ins),
        "",
        f"{'':<26}  {'Spearman (95 %)':<26}Kendall (95 %)",
        *(_row(task, each) for task, each in found.correlations.items()),
    ]
    if found.regret is not None:
        lines.append(f"\nTaking the small one's best design loses {found.regret:.4f} in the large one.")
    return lines


def stand_in_lines(stand_ins: Sequence[StandIn]) -> list[str]:
    """What stands in for something else, a line each."""
    return [f"STAND-IN: {each}" for each in stand_ins]


def together_lines(found: FidelityTogether) -> list[str]:
    """Data sets and their combination as lines of text."""
    return [
        f"{len(found.data_sets)} data sets, each by its mean over tasks, and together by the mean of a design's ranks "
        f"({found.together.n} designs):",
        f"{'':<26}  {'Spearman (95 %)':<26}Kendall (95 %)",
        *(_row(name, each.correlations[MEAN]) for name, each in found.data_sets.items()),
        _row("together", found.together),
    ]


def stopping_lines(found: StoppingFidelity) -> list[str]:
    """The replay as lines of text."""
    failed = f", {found.failed} more failed" if found.failed else ""
    if not found.rungs:
        return [f"{found.epochs} epochs are too few for a rung: nothing can be stopped early."]
    return [
        f"Validation at a rung against that after all {found.epochs} epochs, {found.designs} designs{failed}:",
        f"{'':<26}  {'Spearman (95 %)':<26}Kendall (95 %)",
        *(_row(f"after {each.epoch} epochs", each.correlation) for each in found.rungs),
        "",
        "Rules replayed on these curves, mean over 100 orders of the designs:",
        f"{'':<34}{'stopped':>9}{'steps saved':>13}{'best stopped':>14}{'regret':>9}",
        *(
            f"{_rule(each.rule, each.eta, each.margin):<34}{each.stopped:>9.0%}{each.saved:>13.0%}"
            f"{each.best_stopped:>14.0%}{each.regret:>9.4f}"
            for each in found.rules
        ),
        "Steps saved include the trainings for a test score, which a stopped design does not get.",
    ]


def _rule(name: str, eta: int, margin: float) -> str:
    return f"{name}, {f'eta {eta}' if name == 'successive-halving' else f'margin {margin:g}'}"


def _row(name: str, found: RankCorrelation) -> str:
    return f"{name:<26}  {_estimate(found.spearman, found.n):<26}{_estimate(found.kendall, found.n)}"


def _estimate(found: Estimate | None, designs: int) -> str:
    if found is None:
        return "all are equal"
    interval = f"{found.low:+.3f} to {found.high:+.3f}" if designs >= FEWEST else f"under {FEWEST} designs"
    return f"{found.value:+.3f} ({interval})"


def _list(seeds: tuple[int, ...]) -> str:
    return ", ".join(map(str, seeds))


def write_page(
    folder: Path, title: str, key_numbers: Sequence[KeyNumber], summary: Sequence[str], sections: Sequence[Section]
) -> Path:
    """Write a page that opens offline; gives its path. See `aira_lib.fidelity.content` for its parts."""
    page = folder / "fidelity.html"
    text = own_page("AIRA proxy", title, key_numbers, summary, sections, "fidelity.json")
    page.write_text(text, encoding="utf-8")
    return page


def rank_figure(found: Fidelity, name: str = "fidelity") -> "Figure":
    """Ranks in the large proxy against ranks in the small one, a panel a task; 1 is the best.

    Args:
        found: What was compared.
        name: Of the figure: no other one on its page has it.
    """
    from matplotlib.figure import Figure as Canvas

    from aira_lib.report.drawing import MUTED, PALETTE, WIDTH, render

    tasks = [MEAN, *(task for task in found.correlations if task != MEAN)]
    across = min(_MOST_ACROSS, max(_FEWEST_ACROSS, len(tasks)))
    rows = -(-len(tasks) // across)

    def draw(canvas: Canvas) -> None:
        axes = canvas.subplots(rows, across, squeeze=False).ravel()
        for panel, task in zip(axes, tasks, strict=False):
            x, y = (goodness_ranks(found, side, task, [each.design for each in found.designs]) for side in SIDES)
            panel.plot([1, len(x)], [1, len(x)], color=MUTED, linewidth=0.8)
            panel.scatter(x, y, s=14, color=PALETTE[0])
            panel.set_box_aspect(1)
            rho = found.correlations[task].spearman
            panel.set_title(f"{task}\nrho {rho.value:.2f}" if rho else f"{task}\nall are equal")
        for panel in axes[len(tasks) :]:
            panel.set_axis_off()
        canvas.supxlabel(f"rank in {found.small}", fontsize="medium")
        canvas.supylabel(f"rank in {found.large}", fontsize="medium")

    return render(name, WIDTH, rows * (WIDTH / across + 0.3) + 0.3, draw)
