"""Every number in a table equals a slow computation straight from the records."""

import math
import statistics
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from aira_lib.agents import best_node
from aira_lib.records import Node, Representative, Resampling
from aira_lib.report.columns import Column, format_number, prefix, scientific
from aira_lib.report.comparison import Comparison, compare
from aira_lib.report.frontier_tables import (
    NO_LINE,
    contrasts,
    differences_table,
    frontier_table,
    laws_table,
    noise_sentence,
)
from aira_lib.report.inputs import ReportInputs, SearchRun
from aira_lib.report.isoflop import Frontier, began_alike, frontiers, noise_of, reference_frontier
from aira_lib.report.results import isoflop_fits_table, isoflop_points_table, isotoken_table
from aira_lib.report.searches import dynamics, search_table, steps_table
from aira_lib.report.summary import sampling_sentence, spread_sentence
from aira_lib.report.tables import best_designs_table, cost_table, designs_table, patterns_table, votes_table
from aira_lib.scaling.frontier import Contrast, contrast, slope_margin
from aira_lib.scaling.noise import Noise
from aira_lib.study import OptimizerSection
from tests.aira_lib.report.made_up import BUDGETS, TRAINED, made_up_inputs, point, scale, scaled, score
from tests.builders import node


@pytest.fixture(scope="module")
def inputs() -> ReportInputs:
    return made_up_inputs()


def test_search_table(inputs: ReportInputs) -> None:
    for row in search_table(inputs.searches).rows:
        runs = [run for run in inputs.searches if run.agent == row["agent"]]
        nodes = [n for run in runs for n in run.nodes]
        valid = [n for n in nodes if n.validation is not None]
        bests = [max(n.validation or 0 for n in run.nodes) for run in runs]
        winner = next(n for n in valid if n.validation == max(bests))
        assert (row["seeds"], row["nodes"]) == (len(runs), len(nodes))
        assert row["budget_steps"] == sum(run.budget_steps for run in runs)
        assert row["valid_share"] == len(valid) / len(nodes)
        assert row["best_mean"] == pytest.approx(statistics.mean(bests))
        assert row["best_sd"] == pytest.approx(statistics.stdev(bests))
        assert (row["best_validation"], row["best_test"]) == (winner.validation, winner.test)


def test_the_test_score_never_picks_the_best_node() -> None:
    nodes = [node(0, "A", 0.5, 0.9), node(1, "M", 0.7, 0.1), node(2, "Mb", 0.7, 0.8), node(3, None, None)]
    assert best_node(nodes) is nodes[1]


def test_dynamics_accumulate_and_carry_forward() -> None:
    def run(seed: int, values: list[float | None]) -> SearchRun:
        nodes: list[Node] = [node(i, "A" if v is not None else None, v) for i, v in enumerate(values)]
        return SearchRun("a", seed, nodes, 9)

    found = dynamics("a", [run(0, [None, 0.4, 0.2, 0.6]), run(1, [0.3, 0.1]), run(2, [None])])
    assert found is not None
    assert found.seeds == 3
    assert found.best[0].tolist() == pytest.approx([math.nan, 0.4, 0.4, 0.6], nan_ok=True)
    assert found.best[1].tolist() == [0.3, 0.3, 0.3, 0.3]
    assert found.mean.tolist() == pytest.approx([math.nan, 0.35, 0.35, 0.45], nan_ok=True)
    assert dynamics("a", [run(2, [None, None])]) is None


def test_steps_table_repeats_the_journal(inputs: ReportInputs) -> None:
    rows = steps_table(inputs.searches).rows
    assert len(rows) == sum(len(run.nodes) for run in inputs.searches)
    last = [row for row in rows if row["agent"] == "greedy-offline" and row["seed"] == 1][-1]
    assert last["best_so_far"] == max(n.validation or 0 for n in inputs.searches[1].nodes)


def test_best_designs_are_ranked_by_validation(inputs: ReportInputs) -> None:
    shuffled = sorted(inputs.archive, key=lambda row: row.design)
    rows = best_designs_table(shuffled).rows
    assert [row["validation"] for row in rows] == sorted((r.validation for r in inputs.archive), reverse=True)[:10]
    by_design = {row.design: row for row in inputs.archive}
    assert all(row["test"] == by_design[str(row["design"])].test for row in rows)


def test_patterns_show_the_mean_agreement(inputs: ReportInputs) -> None:
    for row, pattern in zip(patterns_table(inputs.patterns).rows, inputs.patterns, strict=True):
        assert row["agreement"] == pytest.approx(sum(pattern.agreement) / 16)
        assert row["voters"] == f"{len(pattern.members)} of {pattern.candidates}"
    for row in votes_table(inputs.patterns).rows:
        assert row[f"share_{row['winner']}"] == row["agreement"]


def test_patterns_show_what_resampling_keeps_and_what_is_nearest(inputs: ReportInputs) -> None:
    first, second = inputs.patterns[:2]
    nearest = Representative(design="8(A-M)", layers=("A", "M") * 8, distance=3, fitness=0.7)
    again = Resampling(resamples=10, seed=0, layers=(0.9,) * 16, pattern=0.4)
    sure = first.model_copy(
        update={"resampling": again, "representative": nearest, "voters": 12_000, "candidates": 50_000}
    )
    rows = patterns_table([sure, second]).rows
    columns = {column.key: column for column in patterns_table([sure]).columns}
    shown = {key: columns[key].text(rows[0]) for key in ("stays", "representative", "distance", "voters")}
    assert shown == {"stays": "40", "representative": "8(A-M)", "distance": "3", "voters": "12,000 of 50,000"}
    assert rows[1]["stays"] is None
    assert [row["stays"] for row in votes_table([sure, second]).rows] == [0.9] * 16 + [None] * 16


def test_one_voter_agrees_with_nobody_and_bayes_says_what_votes_are_worth(inputs: ReportInputs) -> None:
    again = Resampling(resamples=10, seed=0, layers=(1.0,) * 16, pattern=1.0)
    lone = inputs.patterns[0].model_copy(update={"agreement": (1.0,) * 16, "voters": 1, "resampling": again})
    worth = lone.model_copy(update={"voters": 40, "independent_votes": (7.0, 9.0) * 8})
    one, many = patterns_table([lone, worth]).rows
    assert (one["agreement"], one["stays"], one["layers_stay"]) == (None, None, None)
    assert (many["agreement"], many["stays"]) == (1.0, 1.0)
    assert str(many["voters"]).endswith("worth 8 independent votes a layer")
    assert [row["independent_votes"] for row in votes_table([worth]).rows[:2]] == [7.0, 9.0]


def test_designs_at_scale(inputs: ReportInputs) -> None:
    described = designs_table(inputs.designs, trainable=False)
    assert len(described.rows) == 18
    assert {row["scale"] for row in described.rows} == {"350M", "1B", "3B"}
    chosen = [design for design in inputs.designs if not design.trainable]
    columns = {column.key: column for column in described.columns}
    for row, design in zip(described.rows, chosen, strict=True):
        total = design.params_non_embedding + design.params_embedding
        assert columns["params"].text(row) == f"{total / 1e9:.3f}"
        assert columns["params_non_embedding"].text(row) == f"{design.params_non_embedding / 1e9:.3f}"
        assert sum(int(str(row[p])) for p in ("A", "M", "Mb")) == design.n_layers
    assert {row["scale"] for row in designs_table(inputs.designs, trainable=True).rows} == set(TRAINED)


def test_isotoken_table(inputs: ReportInputs) -> None:
    table = isotoken_table(compare(inputs.scores, inputs.designs, ["Llama 3.2"]))
    losses: dict[str, list[float]] = {}
    for s in inputs.scores:
        if s.point.protocol == "isotoken":
            losses.setdefault(s.point.design.name.removesuffix("@micro"), []).append(s.loss or 0)
    assert [row["design"] for row in table.rows] == sorted(losses, key=lambda name: sum(losses[name]))
    pooled = math.sqrt(statistics.mean(statistics.variance(group) for group in losses.values()))
    margin = stats.t.ppf(0.975, len(losses)) * pooled
    for row in table.rows:
        own, reference = losses[str(row["design"])], losses["Llama 3.2"]
        difference = statistics.mean(own) - statistics.mean(reference)
        assert row["loss_mean"] == pytest.approx(statistics.mean(own))
        assert row["loss_sd"] == pytest.approx(statistics.stdev(own))
        assert row["bits_per_byte"] == pytest.approx(statistics.mean(own) / math.log(2))
        if row["design"] == "Llama 3.2":
            assert (row["verdict"], row["difference"], row["kind"]) == ("reference", None, "baseline")
            continue
        assert row["difference"] == pytest.approx(difference)
        assert row["margin"] == pytest.approx(margin, rel=1e-3)
        side = "lower" if difference < 0 else "higher"
        expected = "within the spread" if abs(difference) <= margin else f"{side}, beyond the spread"
        assert row["verdict"] == expected


def test_a_find_with_the_layers_of_the_baseline_shares_its_result() -> None:
    at = scale("nano", 64)
    llama = scaled("Llama 3.2", "Llama 3.2", "baseline", ("A", "M"), at, True)
    find = scaled("vote/stacked", "vote", "find", ("A", "M"), at, True)
    scores = [score(point(find, seed, aliases=(llama.name,)), 2.0 + seed / 100) for seed in (0, 1)]
    comparison = compare(scores, [find, llama], ["Llama 3.2"])
    (row,) = isotoken_table(comparison).rows
    assert (row["design"], row["kind"], row["verdict"]) == ("vote/stacked = Llama 3.2", "baseline", "reference")
    assert comparison.best(baseline=False) is None


def test_a_baseline_that_diverged_was_trained() -> None:
    at = scale("nano", 64)
    llama = scaled("Llama 3.2", "Llama 3.2", "baseline", ("A", "M"), at, True)
    find = scaled("f", "f", "find", ("M", "A"), at, True)
    alone = [score(point(find, 0), 2.0)]
    diverged = score(point(llama, 0), 2.0).model_copy(update={"status": "diverged", "loss": None})
    said = "All baselines at equal tokens diverged, so there is nothing to take differences from."
    assert spread_sentence(compare([*alone, diverged], [find, llama], ["Llama 3.2"])) == said
    assert spread_sentence(compare(alone, [find, llama], ["Llama 3.2"])).startswith("No baseline was trained")


def _by_document(find: list[float], other: list[float], tokens: list[int], seeds: float) -> Comparison:
    """Two designs and two seeds, which differ by `seeds`; mean losses by document."""
    at = scale("nano", 64)
    llama = scaled("Llama 3.2", "Llama 3.2", "baseline", ("A", "M"), at, True)
    own = scaled("f", "f", "find", ("M", "A"), at, True)
    scores = []
    for design, means in ((own, find), (llama, other)):
        for seed in (0, 1):
            sums = [(mean + seed * seeds) * n for mean, n in zip(means, tokens, strict=True)]
            made = score(point(design, seed), sum(sums) / sum(tokens))
            scores.append(made.model_copy(update={"document_sums": tuple(sums), "document_tokens": tuple(tokens)}))
    return compare(scores, [own, llama], ["Llama 3.2"])


def test_the_margin_has_what_documents_add_to_a_difference() -> None:
    random = np.random.default_rng(4)
    other, tokens = random.normal(2.5, 0.3, 24), [128] * 24
    apart = random.normal(-0.02, 0.1, 24)
    found = _by_document((other + apart).tolist(), other.tolist(), tokens, seeds=0.004)
    entry = next(entry for entry in found.entries if entry is not found.reference)
    of_seeds = (0.004**2 / 2) * (1 / 2 + 1 / 2)  # two seeds a design, pooled over two designs: two degrees
    of_text = apart.var(ddof=1) / 24
    degrees = (of_seeds + of_text) ** 2 / (of_seeds**2 / 2 + of_text**2 / 23)
    assert found.margin(entry) == pytest.approx(stats.t.ppf(0.975, degrees) * math.sqrt(of_seeds + of_text))
    assert found.difference(entry) == pytest.approx(apart.mean())
    assert found.verdict(entry) == "within the spread"
    assert "24, its standard error is at most" in sampling_sentence(found)
    assert "hold out more" in sampling_sentence(found)
    assert "of the same documents" in spread_sentence(found)


def test_what_moves_all_designs_together_is_no_part_of_the_margin() -> None:
    other, tokens = np.random.default_rng(4).normal(2.5, 0.5, 40), list(range(100, 140))
    found = _by_document((other - 0.02).tolist(), other.tolist(), tokens, seeds=0.001)
    entry = next(entry for entry in found.entries if entry is not found.reference)
    assert found.margin(entry) == pytest.approx(stats.t.ppf(0.975, 2) * math.sqrt(0.001**2 / 2), rel=1e-3)
    assert found.verdict(entry) == "lower"
    assert "hold out more" not in sampling_sentence(found)


def test_one_seed_judges_nothing_and_divergence_is_counted() -> None:
    at = scale("nano", 64)
    llama, find, broken = (
        scaled(name, name, kind, layers, at, True)
        for name, kind, layers in (("Llama 3.2", "baseline", "AM"), ("f", "find", "MA"), ("g", "find", "MM"))
    )
    scores = [score(point(llama, 0), 2.0), score(point(find, 0), 1.0), score(point(broken, 0), None)]
    rows = isotoken_table(compare(scores, [llama, find, broken], ["Llama 3.2"])).rows
    assert [row["verdict"] for row in rows] == ["one seed, spread unknown", "reference", "diverged"]
    assert (rows[2]["loss_mean"], rows[2]["diverged"]) == (None, 1)
    partly = [*scores, score(point(find, 1), None)]
    assert isotoken_table(compare(partly, [], ["Llama 3.2"])).rows[0]["verdict"] == (
        "one seed, spread unknown; 1 of 2 seeds diverged"
    )


def test_isoflop_points_and_fits(inputs: ReportInputs) -> None:
    found = frontiers(inputs.scores, inputs.designs)
    points = isoflop_points_table(found).rows
    runs = [s for s in inputs.scores if s.point.protocol == "isoflop"]
    assert len(points) == len(runs)
    for row in points:
        (run,) = (
            s
            for s in runs
            if s.point.design.name == f"{row['design']}@{row['scale']}" and s.point.budget_flops == row["budget_flops"]
        )
        assert (row["loss_mean"], row["diverged"]) == (run.loss, int(run.loss is None))
        assert 0.8 < float(str(row["budget_used"])) <= 1
    fits = {(row["design"], row["budget_flops"]): row for row in isoflop_fits_table(found).rows}
    assert fits["Nemotron-H", BUDGETS[-1]]["note"] == "best measured: fewer than three sizes, no parabola"
    assert fits["AIRA-vote/stacked", BUDGETS[-1]]["note"] == "best measured: minimum above the sizes"
    inner = fits["Llama 3.2", BUDGETS[1]]
    assert inner["note"] == "fitted minimum, exact through three points"
    assert float(str(inner["optimum_loss"])) <= min(
        float(str(row["loss_mean"])) for row in points if (row["design"], row["budget_flops"]) == ("Llama 3.2", 6e13)
    )


def test_optimum_outside_is_the_best_measured(inputs: ReportInputs) -> None:
    found = {frontier.label: frontier for frontier in frontiers(inputs.scores, inputs.designs)}
    for fit in found["AIRA-vote/stacked"].fits:
        assert fit.optimum is not None
        assert fit.optimum.loss == min(entry.mean or 9 for entry in fit.entries)


def test_frontier_lines_are_compared_with_the_baseline(inputs: ReportInputs) -> None:
    found = frontiers(inputs.scores, inputs.designs)
    reference = reference_frontier(found, ["Llama 3.2", "Nemotron-H"])
    assert reference is not None
    assert reference.label == "Llama 3.2"
    noise = Noise(0.002, 8, 0.0)
    compared = contrasts(found, reference, noise)
    rows = {row["design"]: row for row in frontier_table(found, reference, compared, noise).rows}
    of_reference = {budget: math.log10(optimum.loss) for budget, optimum in reference.optima}
    for frontier in found:
        inner = {b: math.log10(o.loss) for b, o in frontier.optima if o.source == "fitted minimum"}
        row = rows[frontier.label]
        assert row["fitted"] == len(inner)
        if len(inner) < 3:
            assert (row["slope"], row["slope_margin"], row["slope_difference"]) == (None, None, None)
            assert row["verdict"] == NO_LINE
            assert str(row["refusal"]).startswith("no slope: ")
        else:
            assert row["slope"] == pytest.approx(
                stats.linregress([math.log10(b) for b in inner], list(inner.values())).slope
            )
        if frontier is reference:
            continue
        apart = {budget: value - of_reference[budget] for budget, value in inner.items()}
        assert row["common"] == len(apart)
        assert row["offset"] == (pytest.approx(10 ** statistics.mean(apart.values()) - 1) if apart else None)
        if len(apart) >= 3:
            line = stats.linregress([math.log10(budget) for budget in apart], list(apart.values()))
            assert row["slope_difference"] == pytest.approx(line.slope)
    assert "optimum above the largest size at 3 of 3 budgets" in str(rows["AIRA-vote/stacked"]["refusal"])
    assert rows["Nemotron-H"]["common"] == 2  # it diverged under the third budget
    assert "fewer than 3 sizes at 1 of 3 budgets (2e14 FLOPs)" in str(rows["Nemotron-H"]["refusal"])
    assert rows["Llama 3.2"]["slope_difference"] is None
    assert found[-1].baseline


def test_differences_by_budget_are_those_of_the_minima(inputs: ReportInputs) -> None:
    found = frontiers(inputs.scores, inputs.designs)
    reference = reference_frontier(found, ["Llama 3.2"])
    assert reference is not None
    lowest = {(f.label, b): o.loss for f in found for b, o in f.optima if o.source == "fitted minimum"}
    rows = differences_table(contrasts(found, reference, Noise(0.002, 8, 0.0))).rows
    assert len(rows) == sum(b in reference.minima for f in found if f is not reference for b in f.minima)
    for row in rows:
        budget = float(str(row["budget_flops"]))
        ratio = lowest[str(row["design"]), budget] / lowest["Llama 3.2", budget]
        assert row["difference"] == pytest.approx(ratio - 1)
        assert 0 < float(str(row["difference_margin"])) < 0.02


def test_the_law_says_the_same_of_slopes_as_the_minima() -> None:
    """Both estimates of a lawful study agree within their margins, and a design that has no law says so."""
    noise = Noise(0.001, 8, 0.0)
    found = _lawful(np.random.default_rng(1), 0.001)
    reference = reference_frontier(found, ["Llama 3.2"])
    compared = contrasts(found, reference, noise)
    (find, baseline) = laws_table(found, reference, compared, noise).rows
    (by_minima, _) = frontier_table(found, reference, compared, noise).rows
    for key in ("slope", "slope_difference", "offset"):
        apart = float(str(find[key])) - float(str(by_minima[key]))
        assert abs(apart) < float(str(find[f"{key}_margin"])) + float(str(by_minima[f"{key}_margin"]))
    expected = LAW["beta"] / (LAW["alpha"] + LAW["beta"])
    assert abs(float(str(baseline["optimal_exponent"])) - expected) < float(str(baseline["optimal_exponent_margin"]))
    assert "slope_difference" not in baseline
    one = [replace(frontier, fits=frontier.fits[:1]) for frontier in found]
    assert str(laws_table(one, None, {}, noise).rows[0]["note"]).startswith("3 points of 3 sizes under 1 budgets")


def test_trunks_reach_the_statistics_and_runs_that_began_alike_are_taken_for_branches() -> None:
    design = scaled("f", "f", "find", ("A",), scale("nano", 64), True)
    branched = [score(point(design, seed, budget, trunk=f"t{seed}"), 2.0 + seed / 10)
                for seed in (0, 1) for budget in (2e13, 4e13)]  # fmt: skip
    noise = noise_of(frontiers(branched, []))
    assert noise is not None
    assert (noise.degrees, noise.shared) == (1, 1.0)
    alone = [score(point(design, seed, budget), 2.0 + seed / 10) for seed in (0, 1) for budget in (2e13, 4e13)]
    apart = noise_of(frontiers(alone, []))
    assert apart is not None
    assert (apart.degrees, apart.shared) == (2, 0.0)
    assert noise_of(frontiers(began_alike(alone, OptimizerSection(warmup_steps=10)), [])) == noise
    for optimizer in (OptimizerSection(), OptimizerSection(warmup_steps=10, schedule="cosine")):
        assert noise_of(frontiers(began_alike(alone, optimizer), [])) == apart


def test_trunks_are_named_where_the_spread_is() -> None:
    assert "share 40% of its square" in noise_sentence(Noise(0.01, 4, 0.4))
    assert "to tell how much" in noise_sentence(Noise(0.01, 4, None))
    assert "trunk" not in noise_sentence(Noise(0.01, 4, 0.0))
    assert "no difference is judged" in noise_sentence(None)


LAW = {"alpha": 0.34, "beta": 0.28, "A": 406.0, "B": 410.0, "E": 1.69}  # Hoffmann et al. 2022, fitted


def _law(n: float, budget: float, better: float) -> float:
    """Loss of n parameters under a budget of 6 n tokens FLOPs; `better` lowers the model's part of it."""
    tokens = budget / (6 * n)
    return LAW["E"] + (1 - better) * LAW["A"] / n ** LAW["alpha"] + LAW["B"] / tokens ** LAW["beta"]


def _lawful(random: np.random.Generator, sd: float, shift: float = 1.0, seeds: int = 1) -> list[Frontier]:
    """Two designs, five budgets and three sizes around each best one, with noise; `shift` moves the sizes."""
    scores, designs = [], []
    for name, kind, better in (("Llama 3.2", "baseline", 0.0), ("f", "find", 0.04)):
        for budget in np.geomspace(2e19, 4e20, 5):
            ratio = LAW["alpha"] * (1 - better) * LAW["A"] / (LAW["beta"] * LAW["B"])
            best = (ratio * (budget / 6) ** LAW["beta"]) ** (1 / (LAW["alpha"] + LAW["beta"]))
            for size in (0.5, 1.0, 2.0):
                design = scaled(name, name, kind, ("A",), scale(f"{budget:.0f}-{size}", 64), True)
                n = int(best * size * shift)
                design = design.model_copy(update={"params_non_embedding": n, "flops_per_token": 6 * n})
                designs.append(design)
                for seed in range(seeds):
                    loss = _law(n, budget, better) + float(random.normal(0, sd))
                    scores.append(score(point(design, seed, float(budget)), loss))
    return frontiers(scores, designs)


def _contrast(found: list[Frontier], noise: Noise | None) -> Contrast:
    return contrast(found[0].profiles, found[1].profiles, noise)


def test_margins_of_slopes_and_offsets_cover() -> None:
    """150 studies with seed noise of 0.004 nats, known by eight degrees of freedom, against the law itself."""
    random = np.random.default_rng(0)
    truth = _contrast(_lawful(random, 0.0), None)
    assert truth.slope is not None
    assert truth.offset is not None
    covered = {"slope": 0, "offset": 0, "within noise": 0}
    for _ in range(150):
        found = _lawful(random, 0.004)
        estimated = 0.004 * math.sqrt(random.chisquare(8) / 8)
        made = _contrast(found, Noise(estimated, 8, 0.0))
        assert made.slope is not None
        assert made.slope_margin is not None
        assert made.offset is not None
        assert made.offset_margin is not None
        covered["slope"] += abs(made.slope - truth.slope) <= made.slope_margin
        covered["offset"] += abs(made.offset - truth.offset) <= made.offset_margin
        covered["within noise"] += made.verdict == "within noise"
    assert 0.9 <= covered["slope"] / 150 <= 0.99
    assert 0.9 <= covered["offset"] / 150 <= 0.99
    assert covered["within noise"] > 100  # one seed shows no such difference of slopes


def test_no_line_through_optima_beyond_the_sizes() -> None:
    """The best size is larger than all: losses at the edge are too high, and a line through them would be another."""
    random = np.random.default_rng(0)
    for frontier in _lawful(random, 0.0, shift=0.2):
        assert [optimum.source for _, optimum in frontier.optima] == ["best measured"] * 5
        assert frontier.line is None
        assert slope_margin(frontier.profiles, Noise(0.01, 4, 0.0)) is None
    whole, censored = _lawful(random, 0.0), _lawful(random, 0.0, shift=0.2)
    made = contrast(censored[0].profiles, whole[1].profiles, Noise(0.01, 4, 0.0))
    assert (made.budgets, made.slope, made.verdict) == (0, None, "too few common minima")


def test_noise_is_that_of_seeds() -> None:
    random = np.random.default_rng(3)
    found = _lawful(random, 0.01, seeds=3)
    losses = [entry.losses for frontier in found for fit in frontier.fits for entry in fit.entries]
    noise = noise_of(found)
    assert noise is not None
    assert noise.degrees == 2 * len(losses)
    assert noise.sd == pytest.approx(math.sqrt(statistics.mean(statistics.variance(each) for each in losses)))
    assert noise_of(_lawful(random, 0.01)) is None
    assert _contrast(_lawful(random, 0.01), None).verdict == "spread unknown"


def test_designs_that_meet_at_one_size_only_stay_two_curves() -> None:
    stretched, stacked = (
        [scaled(f"v/{way}", "v", "find", layers, scale(name, width), True) for name, width in TRAINED.items()]
        for way, layers in (("stretched", "AMMA"), ("stacked", "AMAM"))
    )
    first = point(stretched[0], 0, 2e13, aliases=(stacked[0].name,))
    rest = [point(design, 0, 2e13) for design in (*stretched[1:], *stacked[1:])]
    found = frontiers([score(p, 2.5) for p in (first, *rest)], [*stretched, *stacked])
    assert [frontier.label for frontier in found] == ["v/stretched", "v/stacked"]
    assert all(len(frontier.fits[0].entries) == 3 for frontier in found)
    same = frontiers([score(first, 2.5)], [*stretched, *stacked])
    assert [frontier.label for frontier in same] == ["v/stretched = v/stacked"]


def test_cost_adds_up_in_the_order_of_the_flow(inputs: ReportInputs) -> None:
    rows = cost_table({**inputs.timings, "report": 1.0}).rows
    assert [row["stage"] for row in rows] == [*inputs.timings, "report", "all stages"]
    assert rows[-1]["seconds"] == pytest.approx(sum(inputs.timings.values()) + 1)
    assert sum(float(str(row["share"])) for row in rows[:-1]) == pytest.approx(1)


def test_numbers_as_text() -> None:
    assert scientific(2.5e14) == "2.5×10¹⁴"
    assert scientific(1e-3) == "10⁻³"
    assert scientific(0) == "0"
    assert format_number(-0.0123, "+.3f") == "−0.012"
    assert prefix([2e6, 5e7]) == (1e6, "M")
    assert prefix([4e8], "B") == (1e9, "B")
    assert prefix([]) == (1.0, "")
    column = Column("x", "X", spec=".2f", per=10, spread="s")
    assert column.text({"x": 25.0, "s": 1.0}) == "2.50 ± 0.10"
    assert replace(column, spec="+.2f").text({"x": 25.0, "s": 1.0}) == "+2.50 ± 0.10"
    assert column.text({"x": 25.0, "s": None}) == "2.50"
    assert column.text({"x": None, "s": 1.0}) == "–"
    assert replace(column, spread="").text({"x": True}) == "yes"
