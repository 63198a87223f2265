"""The sections of what was pretrained: at equal tokens, and at equal compute."""

from collections.abc import Sequence

from aira_lib.report import curve_figures, frontier_tables, isoflop_figures, results
from aira_lib.report.blocks import Block, FigureBlock, Section, TableBlock, TextBlock
from aira_lib.report.comparison import Comparison
from aira_lib.report.inputs import ReportInputs
from aira_lib.report.isoflop import Frontier, noise_of, reference_frontier
from aira_lib.report.loss_curves import Smooth, smoothed, window_sentence
from aira_lib.report.positions import position_blocks
from aira_lib.report.summary import divergence_sentences, sampling_sentence, spread_sentence
from aira_lib.scaling.refusal import refusal
from aira_lib.study import Study


def isotoken_section(inputs: ReportInputs, comparison: Comparison) -> Section:
    """Designs at equal tokens: the table, what may be said of it, and the loss curves."""
    blocks: list[Block] = [TableBlock(results.isotoken_table(comparison))]
    if comparison.entries:
        texts = [spread_sentence(comparison), sampling_sentence(comparison), *divergence_sentences(inputs, "isotoken")]
        blocks += [TextBlock(text) for text in texts if text]
        blocks.append(_token_curves(inputs, comparison))
        blocks += position_blocks(comparison)
    return Section("isotoken", "Equal tokens", blocks)


def _token_curves(inputs: ReportInputs, comparison: Comparison) -> FigureBlock:
    curves: dict[str, Smooth] = {}
    for entry in comparison.entries:
        curve = smoothed([inputs.curves[s.point.id] for s in entry.scores if s.point.id in inputs.curves])
        if curve is not None:
            curves[results.label(entry)] = curve
    baselines = [results.label(entry) for entry in comparison.entries if comparison.is_baseline(entry)]
    caption = (
        "Training loss at equal tokens, and its second half against tokens and against FLOPs of the layers, which "
        "designs spend unequally. Legend in the order of held-out loss; greys are baselines. "
    )
    if curves:
        caption += window_sentence(list(curves.values())) + (
            " In its second half five windows are one. Training loss is of other text for each seed and is no "
            "ranking: that is by the held-out loss above."
        )
    figure = curve_figures.tokens_figure(curves, baselines)
    return FigureBlock(figure, caption, "No loss curve was recorded for the equal-token runs.")


def isoflop_section(study: Study, inputs: ReportInputs, comparison: Comparison, found: Sequence[Frontier]) -> Section:
    """Designs at equal compute: parabolas, frontiers, their differences, the law beside them, and the loss curves."""
    if not found:
        return Section("isoflop", "Equal compute", [TextBlock("No design was trained at equal FLOPs.")])
    reference = reference_frontier(found, study.extrapolate.baselines)
    noise = noise_of(found, comparison.entries)
    compared = frontier_tables.contrasts(found, reference, noise)
    curves, drawn = curve_figures.compute_figure(found, inputs.curves)
    blocks: list[Block] = [
        TextBlock(_fit_sentence(found)),
        *(TextBlock(text) for text in (*_refusals(found), *divergence_sentences(inputs, "isoflop"))),
        FigureBlock(
            isoflop_figures.isoflop_figure(found),
            "Held-out loss against model size under equal training FLOPs, with a parabola in log₁₀ of the "
            "non-embedding parameters for every budget. A star is the fitted minimum; a ring is the best measured "
            "size, where there is no minimum within the range: the best may then lie beyond, and is not known. Bars: "
            "standard deviation over seeds.",
            "Every run at equal FLOPs diverged, so there is nothing to draw.",
        ),
        TableBlock(results.isoflop_fits_table(found), folded=True),
        FigureBlock(
            isoflop_figures.frontier_figure(found, noise),
            "Frontier: lowest loss against training budget, both logarithmic. A line goes through fitted minima alone; "
            "a slope has its 95 % margin. Losses do not fall along a straight line for ever: nothing follows for "
            "budgets beyond these.",
            "A frontier needs at least two budgets with a loss.",
        ),
        TableBlock(frontier_tables.frontier_table(found, reference, compared, noise)),
        FigureBlock(
            isoflop_figures.differences_figure(compared),
            "Lowest loss of each design against the baseline's (dashed) under every budget where both have a minimum "
            "within their sizes, with 95 % margins, and the line through the differences. Below the dashed line is "
            "better; a line whose margin holds zero slope tells nothing of other budgets.",
            "No design and baseline have a minimum within their sizes under one budget, so none is compared.",
        ),
        TableBlock(frontier_tables.laws_table(found, reference, compared, noise)),
        TableBlock(frontier_tables.differences_table(compared), folded=True),
        TableBlock(results.isoflop_points_table(found), folded=True),
        *([FigureBlock(curves, _compute_caption(drawn), "")] if curves else []),
    ]
    return Section("isoflop", "Equal compute", blocks)


def _compute_caption(drawn: Sequence[Smooth]) -> str:
    return (
        "Training loss against FLOPs at equal compute, one line a size and budget; colours are sizes, dark the "
        "smallest. A budget's loss falls at its end, with the learning rate: lines are to be compared where they end. "
        + window_sentence(drawn)
    )


def _refusals(found: Sequence[Frontier]) -> list[str]:
    """What to train where minima lie beyond the sizes, designs with the same words together."""
    said: dict[str, list[str]] = {}
    for frontier in found:
        if words := refusal(frontier.profiles):
            said.setdefault(words, []).append(frontier.label)
    return [f"{', '.join(labels)}: {words}." for words, labels in said.items()]


def _fit_sentence(found: Sequence[Frontier]) -> str:
    fits = [fit for frontier in found for fit in frontier.fits]
    parabolas = [fit.parabola for fit in fits if fit.parabola]
    exact, inside = sum(p.exact for p in parabolas), sum(p.inside for p in parabolas)
    if not parabolas:
        return (
            "No design has three sizes with a loss under one budget, so no parabola was fitted: optima are the best "
            "measured sizes."
        )
    text = f"{len(parabolas)} of {len(fits)} pairs of design and budget have the three sizes that a parabola needs. "
    if exact:
        count = "All of them have" if exact == len(parabolas) else f"{exact} of them have"
        text += f"{count} just three points: such a fit passes through them exactly and says nothing of its own error. "
    outside = len(parabolas) - inside
    if outside:
        text += (
            f"For {outside} the minimum lies outside the range of sizes or does not exist; the best measured size "
            "stands in its place and is marked."
        )
    return text.strip()
