"""Figures of equal compute tell designs apart, and show the numbers of the tables beside them."""

import math
import re

import numpy as np

from aira_lib.report.curve_figures import compute_figure
from aira_lib.report.drawing import BASELINE_COLOURS, PALETTE, Figure, palette
from aira_lib.report.frontier_tables import contrasts
from aira_lib.report.inputs import LossCurve
from aira_lib.report.isoflop import Frontier, frontiers
from aira_lib.report.isoflop_figures import differences_figure, frontier_figure, isoflop_figure
from aira_lib.scaling.noise import Noise
from tests.aira_lib.report.made_up import point, scale, scaled, score

BUDGETS = (1e12, 3e12, 9e12)
SIZES = {"s": 0.3e6, "m": 1.0e6, "l": 3.3e6}
NOISE = Noise(0.002, 8, 0.0)


def frontiers_of(*names: str, above: float = 0.0) -> list[Frontier]:
    """Baselines whose losses are exact parabolas about one million parameters, each 0.1 nats above the one before."""
    scores = []
    for place, name in enumerate(names):
        for size, n in SIZES.items():
            design = scaled(name, name, "baseline", ("A",), scale(size, 64), True)
            design = design.model_copy(update={"params_non_embedding": int(n), "flops_per_token": int(6 * n)})
            for budget in BUDGETS:
                floor = 3.0 * (budget / BUDGETS[0]) ** -0.05 + 0.1 * place
                loss = floor + 0.2 * (math.log10(n) - 6 - above) ** 2
                scores.append(score(point(design, 0, budget), loss))
    return frontiers(scores, [])


def colours(figure: Figure | None) -> set[str]:
    assert figure is not None
    return set(re.findall(r"#[0-9a-f]{6}", figure.svg))


def test_baselines_alone_are_told_apart_by_colour() -> None:
    names = ("Llama 3.2", "Composer", "Mamba")
    assert palette(names, names)["Llama 3.2"]["color"] == BASELINE_COLOURS[0]
    assert {BASELINE_COLOURS[0], *PALETTE[:2]} <= colours(frontier_figure(frontiers_of(*names), NOISE))
    beside = palette(["find", *names], names)
    assert {beside[name]["color"] for name in names} == set(BASELINE_COLOURS)


def test_differences_show_the_slope_and_its_margin() -> None:
    found = frontiers_of("Llama 3.2", "Composer")
    made = contrasts(found, found[0], NOISE)["Composer"]
    assert made.slope is not None
    figure = differences_figure({"Composer": made})
    assert figure is not None
    assert f"slope +{made.slope:.4f} ± {made.slope_margin:.4f}, {made.verdict}" in figure.svg
    alone = differences_figure({"Composer": contrasts(found, found[0], None)["Composer"]})
    assert alone is not None
    assert "±" not in alone.svg
    assert differences_figure(contrasts(found, None, NOISE)) is None


def test_what_has_no_minimum_within_its_sizes_is_not_compared() -> None:
    whole, beyond = frontiers_of("Llama 3.2"), frontiers_of("Composer", above=1.0)
    assert differences_figure(contrasts([*whole, *beyond], whole[0], NOISE)) is None
    assert isoflop_figure(beyond) is not None


def test_loss_curves_at_equal_compute_have_a_line_a_run() -> None:
    found = frontiers_of("Llama 3.2")
    ids = [s.point.id for fit in found[0].fits for entry in fit.entries for s in entry.scores]
    steps = np.arange(1.0, 101.0)
    loss = (5 - 0.5 * np.log(steps)).tolist()
    curve = LossCurve(list(range(1, 101)), (steps * 64).tolist(), loss, (steps * 1e9).tolist())
    figure, drawn = compute_figure(found, dict.fromkeys(ids, curve))
    assert figure is not None
    assert len(drawn) == len(ids) == 9
    assert all(size in figure.svg for size in SIZES)
    without = curve._replace(flops=())
    assert compute_figure(found, dict.fromkeys(ids, without)) == (None, [])  # records that are older than the column
    assert compute_figure(found, {}) == (None, [])
