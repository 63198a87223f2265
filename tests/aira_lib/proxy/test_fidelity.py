"""Rank correlations against scipy, intervals that cover, and the two commands on tiny designs."""

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from typer.testing import CliRunner

from aira_lib.cli import app
from aira_lib.errors import UserError
from aira_lib.fidelity.content import key_numbers_of, sections_of, sentences_of
from aira_lib.fidelity.measure import random_designs
from aira_lib.fidelity.page import _row, rank_figure, write_page
from aira_lib.proxy.correlation import _kendall, _spearman, rank_correlation
from aira_lib.proxy.fidelity import MEAN, Compared, Fidelity, correlations, regret, together
from aira_lib.report.blocks import FigureBlock, KeyNumber, Section, TableBlock, TextBlock
from aira_lib.report.columns import Column, Table
from aira_lib.report.page import own_page
from aira_lib.report.templating import TEMPLATES
from tests.builders import TINY_STUDY

DCLM = "NeuralArchitectureSearchDCLM2PrimitivesLoss"
MAD2, MAD3 = "NeuralArchitectureSearchMAD2PrimitivesAccuracy", "NeuralArchitectureSearchMAD3PrimitivesMbAccuracy"
pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(-3, 3)), min_size=2, max_size=30)


@given(pairs)
def test_both_are_those_of_scipy_ties_included(rows: list[tuple[int, int]]) -> None:
    x, y = np.array(rows, float).T
    found = rank_correlation(x, y, resamples=20)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert (found.spearman, found.kendall) == (None, None)
        return
    assert found.spearman is not None
    assert found.kendall is not None
    assert found.spearman.value == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert found.kendall.value == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)


def test_a_weighted_sample_is_the_sample_written_out() -> None:
    random = np.random.default_rng(3)
    x, y = random.integers(0, 6, size=(2, 12)).astype(float)
    for weights in random.multinomial(12, np.full(12, 1 / 12), size=20):
        drawn = np.repeat(np.arange(12), weights)
        rows = weights[None].astype(float)
        assert _spearman(x, y, rows)[0] == pytest.approx(stats.spearmanr(x[drawn], y[drawn]).statistic)
        assert _kendall(x, y, rows)[0] == pytest.approx(stats.kendalltau(x[drawn], y[drawn]).statistic)


def test_intervals_cover() -> None:
    """Of two hundred samples of forty designs about 95 % of the intervals hold the truth."""
    random, covered, r = np.random.default_rng(0), 0, 0.6
    truth = 2 / np.pi * np.arcsin(r)  # Kendall's tau of a normal pair
    for sample in range(200):
        x = random.normal(size=40)
        y = r * x + np.sqrt(1 - r * r) * random.normal(size=40)
        found = rank_correlation(x, y, resamples=300, seed=sample).kendall
        assert found is not None
        assert found.low <= found.value <= found.high
        covered += found.low <= truth <= found.high
    assert 170 <= covered <= 199


def test_few_designs_have_no_interval() -> None:
    """Of nine strongly correlated designs the percentiles of a bootstrap hold the truth too rarely."""
    x = np.arange(9.0)
    few, enough = rank_correlation(x, x), rank_correlation(np.arange(10.0), np.arange(10.0))
    for estimate in (few.spearman, few.kendall):
        assert estimate is not None
        assert (estimate.value, estimate.low, estimate.high) == (1.0, -1.0, 1.0)
    assert enough.spearman is not None
    assert enough.spearman.low > 0.9
    assert "under 10 designs" in _row("mean", few)
    assert "under 10 designs" not in _row("mean", enough)


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        rank_correlation(np.array([1.0, np.nan]), np.array([1.0, 2.0]))


def test_directions_turn_a_loss_into_a_rank() -> None:
    designs = [Compared(design=str(i), small={MEAN: float(i), "a": 1.0}, large={MEAN: -float(i)}) for i in range(4)]
    found = correlations(designs, (1, -1))
    assert list(found) == [MEAN]
    assert found[MEAN].spearman is not None
    assert found[MEAN].spearman.value == pytest.approx(1)
    assert regret({"x": 1.0, "y": 2.0}, {"x": 0.75, "y": 0.5}) == 0.25


def fidelity_of(small: list[float], large: list[float], direction: int) -> Fidelity:
    designs = tuple(
        Compared(design=f"d{i}", small={MEAN: a}, large={MEAN: b})
        for i, (a, b) in enumerate(zip(small, large, strict=True))
    )
    return Fidelity(
        small="s", large="l", small_seeds=(0,), large_seeds=(1,), ranked_by="x", failed=0, designs=designs,
        correlations={}, regret=None, steps_ratio=4.0, directions=(direction, direction),
    )  # fmt: skip


def test_data_sets_are_combined_by_ranks() -> None:
    """Units and directions do not matter; ranks are scipy's."""
    random = np.random.default_rng(0)
    accuracy, loss = random.integers(6, size=(2, 12)) / 7.0, 100 * random.random((2, 13))
    found = together({"mad": fidelity_of(*accuracy.tolist(), 1), "dclm": fidelity_of(*loss.tolist(), -1)})
    order = [int(name[1:]) for name in sorted(f"d{i}" for i in range(12))]  # d12 is scored in one alone
    ranks = [
        stats.rankdata(accuracy[side][order]) + stats.rankdata(-loss[side][order]) for side in (0, 1)
    ]  # fmt: skip
    assert found.together.n == 12
    assert found.together.spearman is not None
    assert found.together.spearman.value == pytest.approx(stats.spearmanr(*ranks).statistic)
    with pytest.raises(ValueError, match="less than two"):
        together({"a": fidelity_of([1.0], [2.0], 1)})


def test_a_page_of_several_data_sets_has_each_id_once() -> None:
    random = np.random.default_rng(0)
    rows = random.random((2, 2, 12)).tolist()
    found = {
        name: of.model_copy(update={"correlations": correlations(of.designs), "regret": 0.5})
        for name, of in (("mad", fidelity_of(*rows[0], 1)), ("dclm", fidelity_of(*rows[1], 1)))
    }
    both = together(found)
    figures = {name: rank_figure(each, f"fidelity-{name}") for name, each in found.items()}
    numbers = key_numbers_of(found, both)
    page = own_page(
        "AIRA proxy", "title", numbers, sentences_of(found), sections_of(found, figures, both), "fidelity.json"
    )
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert sorted(ids) == sorted(set(ids))
    assert {"table-correlations-mad", "table-correlations-dclm", "table-together"} <= set(ids)
    assert [each.value for each in numbers] == [
        f"{rho.value:+.2f}".replace("-", "\N{MINUS SIGN}")
        for rho in (both.together.spearman, *(each.correlations[MEAN].spearman for each in found.values()))
        if rho
    ]


def test_a_name_stays_text_on_the_page(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>"
    title, line = f"{evil} against a & b", f"{evil}  1 < 2"
    table = Table("t", line, [Column("name", line)], [{"name": line}])
    blocks = [TextBlock(line), TableBlock(table), FigureBlock(None, line, line)]
    parts = [Section("s", line, blocks)]
    page = write_page(tmp_path, title, [KeyNumber(line, line, line)], [line, "last"], parts).read_text()
    assert "<script" not in page
    seen = HTMLParser()
    words: list[str] = []
    seen.handle_data = words.append  # type: ignore[method-assign]
    seen.feed(page)
    assert words.count(title) == 2  # of the window and of the page
    assert f"{line} last" in words
    assert words.count(line) == 10  # three of the headline, twice the section's name, and the blocks
    assert (TEMPLATES / "report.css").read_text() in page
    assert "default-src 'none'" in page


def test_a_stand_in_is_named(tmp_path: Path) -> None:
    study = {**TINY_STUDY, "task": {"name": DCLM, "layers": 2}}
    study["proxy"] = {
        **{k: v for k, v in TINY_STUDY["proxy"].items() if k not in ("tasks", "difficulty")}, "epochs": 1,
        "language": {
            "tokenizer": "words", "vocab_size": 64, "seq_len": 16, "train_examples": 32, "test_examples": 8
        },
    }  # fmt: skip
    (tmp_path / "text.yaml").write_text(yaml.safe_dump(study))
    (tmp_path / "designs").write_text("A-M\n2A\n2M\n")
    common = ("--task", DCLM, "--store", str(tmp_path / "store"))
    said = command(
        "fidelity", "--small", str(tmp_path / "text.yaml"), "--large", "2x", "--designs", str(tmp_path / "designs"),
        "--output", str(tmp_path / "out"), *common,
    )  # fmt: skip
    assert "STAND-IN: " in said
    assert "standard library" in said
    page = (tmp_path / "out" / "fidelity.html").read_text()
    (named,) = json.loads((tmp_path / "out" / "fidelity.json").read_text())["stand_ins"]
    assert "What stood in for what" in page
    assert all(named[key] in html.unescape(page) for key in ("what", "instead_of"))
    said = command("evaluate", "A-M", "--profile", str(tmp_path / "text.yaml"), "--seed", "12345", *common)
    assert f"STAND-IN: {named['what']}" in said
    of_one = ("--profile", str(tmp_path / "text.yaml"), "--designs", str(tmp_path / "designs"))
    assert "STAND-IN" in command("stopping", *of_one, "--output", str(tmp_path / "stopping"), *common)


def test_random_designs_are_distinct_and_grow() -> None:
    many = random_designs(20, 4, ("A", "M", "Mb"))
    assert len(set(many)) == 20
    assert random_designs(5, 4, ("A", "M", "Mb")) == many[:5]
    with pytest.raises(UserError, match="too many of the 9"):
        random_designs(9, 2, ("A", "M", "Mb"))


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("profile") / "tiny.yaml"
    path.write_text(yaml.safe_dump({**TINY_STUDY, "proxy": {**TINY_STUDY["proxy"], "epochs": 3}}))
    return str(path)


def command(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["proxy", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_commands_from_end_to_end(profile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRA_THREADS", "1")
    common = ("--designs", "6", "--store", str(tmp_path / "store"))
    of_two = ("fidelity", "--small", profile, "--large", "2x", "--seeds", "0", *common)
    assert "6 evaluations (6 designs, seeds 0), 0 found" in command(*of_two, "--dry-run")
    assert not (tmp_path / "store").exists()
    said = command(*of_two, "--output", str(tmp_path / "out"))
    assert "12 trained, 0 found" in said
    found = json.loads((tmp_path / "out" / "fidelity.json").read_text())
    assert set(found["correlations"]) == {MEAN, "in-context-recall", "memorization"}
    assert (found["large_seeds"], found["steps_ratio"], len(found["designs"])) == ([1], 2.0, 6)
    small, large = ([each[side][MEAN] for each in found["designs"]] for side in ("small", "large"))
    assert found["correlations"][MEAN]["spearman"]["value"] == pytest.approx(stats.spearmanr(small, large).statistic)
    page = (tmp_path / "out" / "fidelity.html").read_text()
    assert "<svg" in page
    assert "<pre" not in page, "tables are tables, as in the report"
    assert {"table-correlations-mad", "table-rungs-mad", "table-rules-mad"} <= set(
        re.findall(r'id="(table-[^"]+)"', page)
    )
    assert f"{stats.spearmanr(small, large).statistic:+.3f}".replace("-", "\N{MINUS SIGN}") in page
    assert "mean over tasks" in page
    assert command(*of_two, "--dry-run").count("6 found, about 0 s left") == 2

    said = command("stopping", "--profile", profile, "--seeds", "0", *common, "--output", str(tmp_path / "stopping"))
    assert "0 trained, 6 found" in said
    assert "after 1 epochs" in said
    alone = json.loads((tmp_path / "stopping" / "fidelity.json").read_text())
    assert alone == found["stopping"]
    assert {rule["rule"] for rule in alone["rules"]} == {"successive-halving", "learning-curve"}


def test_a_mistake_is_the_users(profile: str, tmp_path: Path) -> None:
    for arguments, told in (
        (("--designs", "2"), "at least 3 designs"),
        (("--seeds", "0,x"), "whole numbers"),
        (("--large", profile), "same proxy"),
        (("--large", "papr"), "unknown profile"),
        (("--task", MAD2, "--task", MAD3), "2 tasks on 1 data sets"),
    ):
        with pytest.raises(UserError, match=told):
            CliRunner().invoke(
                app, ["proxy", "fidelity", "--small", profile, "--store", str(tmp_path), *arguments],
                catch_exceptions=False,
            )  # fmt: skip
