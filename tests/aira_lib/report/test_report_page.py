"""The page opens offline, lets no agent write into it, says what is missing, and is the same every time."""

import csv
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from aira_lib.errors import MissingDependency
from aira_lib.records import Failure, Score, StandIn
from aira_lib.report import ReportInputs, figures, report
from aira_lib.report.comparison import compare
from aira_lib.report.content import build
from aira_lib.report.inputs import LossCurve, SearchRun
from aira_lib.report.page import html_page, markdown_page, markdown_text
from aira_lib.study import Study
from tests.aira_lib.report.made_up import made_up_inputs, made_up_study
from tests.builders import SilentLog, node, work_in

EVIL = "<script>alert('x')</script>"
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Checks that tags nest, and keeps tags, ids and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(text)
        assert not self.stack

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def inputs() -> ReportInputs:
    return made_up_inputs()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, inputs: ReportInputs) -> Path:
    work = work_in(tmp_path_factory.mktemp("report"))
    report(made_up_study(), inputs, work)
    assert isinstance(work.log, SilentLog)
    logged = {path.name for kind, path in work.log.logged if kind == "artifact"}
    assert {"report.html", "report.md", "summary.json", "search.png", "isotoken.csv"} <= logged
    assert [s.what for s in work.stand_ins] == [s.what for s in inputs.stand_ins]
    return work.path


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_page_is_well_formed_and_fetches_nothing(written: Path) -> None:
    text = (written / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not re.search(r"https?:|//[a-z]", text)
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    links = {value.removeprefix("#") for name, value in page.attributes if name == "href" and value}
    used = set(re.findall(r"url\(#([^)]+)\)", text))
    assert links | used <= set(ids)
    assert "default-src 'none'" in text


def test_page_has_every_figure_and_table(written: Path, inputs: ReportInputs) -> None:
    text = (written / "report.html").read_text(encoding="utf-8")
    for name in ("search", "loss_curves", "isoflop", "frontier", "frontier_differences", "loss_curves_isoflop"):
        assert f'<figure id="figure-{name}">' in text
    words = "".join(Page(text).words)
    for pattern in inputs.patterns:
        assert pattern.pattern in words
    assert "1 run diverged and has no loss" in words
    assert text.count('class="strip"') >= 10 + 2 + 36


def test_figures_are_files_that_parse_and_name_no_host(written: Path) -> None:
    svgs = sorted((written / "figures").glob("*.svg"))
    assert [path.stem for path in svgs] == [
        "agents", "best_designs", "frontier", "frontier_differences", "isoflop", "loss_curves", "loss_curves_isoflop",
        "patterns", "search",
    ]  # fmt: skip
    for path in svgs:
        text = path.read_text(encoding="utf-8")
        ElementTree.fromstring(text)
        assert re.findall(r"https?://[^\"]+", text.replace("http://www.w3.org/", "")) == []
        assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_markdown_shows_files_that_exist_and_whole_tables(written: Path) -> None:
    lines = (written / "report.md").read_text(encoding="utf-8").splitlines()
    targets = re.findall(r"\]\((figures/[^)]+)\)", "\n".join(lines))
    assert len(targets) == 9
    assert all((written / target).exists() for target in targets)
    for above, line in pairwise(lines):
        if line.startswith("|") and above.startswith("|"):
            assert line.replace("\\|", "").count("|") == above.replace("\\|", "").count("|")


def test_both_views_have_the_same_numbers(written: Path) -> None:
    words = "".join(Page((written / "report.html").read_text(encoding="utf-8")).words)
    markdown = (written / "report.md").read_text(encoding="utf-8")
    numbers = re.findall(r"\d\.\d{4} ± \d\.\d{4}", words)
    assert len(numbers) >= 6
    assert all(number in markdown for number in numbers)


def test_csv_files_hold_raw_values(written: Path, inputs: ReportInputs) -> None:
    with (written / "tables/isotoken.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    losses = sorted(s.loss or 0 for s in inputs.scores if s.point.protocol == "isotoken")
    assert sum(float(row["loss_mean"]) for row in rows) * 2 == pytest.approx(sum(losses))
    assert {"loss_sd", "difference", "params", "tokens", "pattern"} <= set(rows[0])


def test_every_number_in_a_csv_is_one_that_programs_read(written: Path) -> None:
    """Coefficients of parabolas were written as numpy writes them for people."""
    for path in (written / "tables").glob("*.csv"):
        assert "np.float64" not in path.read_text(encoding="utf-8"), path.name
    with (written / "tables/isoflop_fits.csv").open(encoding="utf-8") as file:
        assert all(float(row["b"]) < 0 for row in csv.DictReader(file) if row["b"])


def test_summary_for_programs(written: Path) -> None:
    summary = json.loads((written / "summary.json").read_text(encoding="utf-8"))
    rows = summary["isotoken"]
    finds = [row for row in rows if row["kind"] == "find"]
    assert summary["best_pretrained"]["loss_nats_per_token"] == min(row["loss_mean"] for row in finds)
    assert summary["baseline"]["design"] == "Llama 3.2"
    assert summary["best_pretrained"]["verdict"] == "higher"
    assert "more than the spread over seeds explains" in " ".join(summary["text"])
    assert summary["counts"]["nodes"] == 144


def test_same_inputs_same_bytes_in_any_order(tmp_path: Path, written: Path, inputs: ReportInputs) -> None:
    turned = replace(
        inputs,
        searches=list(reversed(inputs.searches)),
        scores=list(reversed(inputs.scores)),
        runs=list(reversed(inputs.runs)),
        stand_ins=list(reversed(inputs.stand_ins)),
    )
    report(made_up_study(), turned, work_in(tmp_path))
    assert files(tmp_path) == files(written)


def test_only_the_seconds_differ_between_equal_studies(inputs: ReportInputs) -> None:
    fast = only(inputs, timings=inputs.timings, scores=inputs.scores[:12])
    slow = replace(fast, timings={stage: 2.5 * seconds for stage, seconds in inputs.timings.items()})
    pages = [build(made_up_study(), which) for which in (fast, slow)]
    for view in (html_page, markdown_page):
        first, second = (view(page) for page in pages)
        assert first != second
        cut = [re.sub(r"<!-- seconds -->.*?<!-- /seconds -->", "", text, flags=re.DOTALL) for text in (first, second)]
        assert cut[0] == cut[1]


def evil_inputs(inputs: ReportInputs) -> tuple[Study, ReportInputs]:
    """Every text that an agent or a study can choose, chosen badly."""
    study = made_up_study(description=EVIL)
    # A study's reader refuses a baseline that nobody published; the page does not rely on it.
    study = study.model_copy(update={"extrapolate": study.extrapolate.model_copy(update={"baselines": (EVIL,)})})
    searches = [
        SearchRun(
            f"_{EVIL}$\\alpha$",
            run.seed,
            [n.model_copy(update={"plan": EVIL, "reason": EVIL * (n.status == "failed")}) for n in run.nodes],
            9,
        )
        for run in inputs.searches
    ]

    def renamed(s: Score) -> Score:
        design = s.point.design.model_copy(update={"name": f"{EVIL}|`{s.point.design.name}"})
        return s.model_copy(update={"point": s.point.model_copy(update={"design": design})})

    return study, replace(
        inputs,
        searches=searches,
        archive=[
            row.model_copy(update={"design": f"{EVIL}{i}", "layers": (EVIL, *row.layers)})
            for i, row in enumerate(inputs.archive)
        ],
        patterns=[p.model_copy(update={"name": f"{EVIL}{p.name}", "pattern": EVIL}) for p in inputs.patterns],
        designs=[d.model_copy(update={"name": f"{EVIL}{d.name}"}) for d in inputs.designs],
        scores=[renamed(s) for s in inputs.scores],
        stand_ins=[StandIn(what=EVIL, instead_of=f"{EVIL}|", detail=f"![x](y){EVIL}")],
        versions={EVIL: EVIL},
        timings={EVIL: 1.0},
    )


def test_names_that_attack_are_shown_as_text(inputs: ReportInputs) -> None:
    content = build(*evil_inputs(inputs))
    text = html_page(content)
    assert "<script" not in text
    assert EVIL in "".join(Page(text).words)
    assert "<script" not in markdown_page(content)
    for figure in content.figures():
        assert "<script" not in figure.svg
        ElementTree.fromstring(figure.svg)


def test_markdown_text_cannot_break_a_table() -> None:
    assert markdown_text("a|b\n*c* `d` <e>") == "a\\|b \\*c\\* \\`d\\` &lt;e&gt;"


EMPTY: Sequence[str] = (
    "No search has left a journal.",
    "The archive is empty",
    "No base pattern was aggregated.",
    "No design was described at scale.",
    "No design was trained at equal tokens.",
    "No design was trained at equal FLOPs.",
    "No stage declared a stand-in.",
    "No timings were recorded.",
)


def test_nothing_at_all_is_still_a_page(tmp_path: Path) -> None:
    report(made_up_study(), ReportInputs(), work_in(tmp_path))
    words = "".join(Page((tmp_path / "report.html").read_text(encoding="utf-8")).words)
    for sentence in EMPTY:
        assert sentence in words
    assert list((tmp_path / "figures").iterdir()) == []


def only(inputs: ReportInputs, **kept: object) -> ReportInputs:
    """The parts of the inputs that a test is about: fewer figures to draw."""
    return replace(ReportInputs(designs=inputs.designs, runs=inputs.runs), **kept)  # type: ignore[arg-type]


def test_missing_parts_leave_sentences(inputs: ReportInputs) -> None:
    diverged = [s.model_copy(update={"status": "diverged", "loss": None, "bits_per_byte": None}) for s in inputs.scores]
    isotoken = [s for s in inputs.scores if s.point.protocol == "isotoken"]
    cases = [
        (only(inputs, scores=isotoken), "No design was trained at equal FLOPs."),
        (only(inputs, scores=[s for s in isotoken if s.point.seed == 0]), "one seed the spread is unknown"),
        (only(inputs, scores=diverged), "Every run at equal FLOPs diverged"),
        (only(inputs, scores=isotoken), "No loss curve was recorded"),
        (only(inputs, searches=inputs.searches[:1]), "No valid design was found."),
        (only(inputs, scores=[s for s in inputs.scores if s.point.budget_flops == 2e13]), "at least two budgets"),
        (only(inputs, scores=isotoken[1:], runs=inputs.runs[:12]), "1 run not evaluated"),
    ]
    for case, sentence in cases:
        assert sentence in "".join(Page(html_page(build(made_up_study(), case))).words)


def test_curves_with_nothing_finite_are_left_out(inputs: ReportInputs) -> None:
    isotoken = [s for s in inputs.scores if s.point.protocol == "isotoken"]
    broken = {name: LossCurve([1, 2], [10, 20], [float("nan"), float("inf")]) for name in inputs.curves}
    assert build(made_up_study(), only(inputs, scores=isotoken, curves=broken)).figures() == []
    half = {next(iter(inputs.curves)): LossCurve([1, 2], [10, 20], [5.0, float("nan")])}
    (figure,) = build(made_up_study(), only(inputs, scores=isotoken, curves=half)).figures()
    assert not re.search(r"\bnan\b", figure.svg)


def test_a_search_of_thousands_of_nodes_stays_small(inputs: ReportInputs) -> None:
    run = inputs.searches[0]
    nodes = [n.model_copy(update={"step": i * 40 + n.step}) for i in range(100) for n in run.nodes]
    content = build(made_up_study(), only(inputs, searches=[SearchRun("a", 0, nodes, 4000)]))
    text = html_page(content)
    assert len(text) < 400_000
    assert "<image" in text
    assert not re.search(r"https?:", text)


def test_a_difference_within_the_spread_is_called_that(inputs: ReportInputs) -> None:
    random = np.random.default_rng(1)
    close = [
        s.model_copy(update={"loss": 2.0 + float(random.normal(0, 0.05))})
        for s in inputs.scores
        if s.point.protocol == "isotoken"
    ]
    text = " ".join(build(made_up_study(), only(inputs, scores=close)).summary)
    assert "within the spread over seeds" in text
    assert "more than the spread" not in text


@pytest.mark.parametrize(("rank_by", "sentence"), [("validation", "steered nothing"), ("test", "no longer")])
def test_selection_is_named(inputs: ReportInputs, rank_by: str, sentence: str) -> None:
    patterns = [p.model_copy(update={"rank_by": rank_by}) for p in inputs.patterns]
    content = build(made_up_study(), only(inputs, patterns=patterns))
    assert sentence in html_page(content)


def test_leftovers_of_an_interrupted_attempt_go(tmp_path: Path) -> None:
    work = work_in(tmp_path)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures/old.svg").write_text("x", encoding="utf-8")
    report(made_up_study(), ReportInputs(), work)
    assert not (tmp_path / "figures/old.svg").exists()


def test_without_matplotlib_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [m for m in sys.modules if m.startswith(("matplotlib", "aira_lib.report."))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependency, match=r"pip install -e '.*\[report\]'"):
        report(made_up_study(), ReportInputs(), work_in(tmp_path))
    assert not (tmp_path / "report.html").exists()


def test_the_page_opens_with_the_numbers_that_matter(written: Path, inputs: ReportInputs) -> None:
    """A paragraph of ten lines stood before any number."""
    isotoken = [s for s in inputs.scores if s.point.protocol == "isotoken"]
    content = build(made_up_study(), only(inputs, archive=inputs.archive, scores=isotoken))
    best, loss, difference = content.key_numbers
    assert best.value == f"{max(row.validation for row in inputs.archive):.3f}"
    entry = compare(isotoken, inputs.designs, made_up_study().extrapolate.baselines).best(baseline=False)
    assert entry is not None
    assert loss.value == f"{entry.mean:.3f}"
    assert re.fullmatch(r"[+−]\d\.\d{3}", difference.value)
    assert "the baseline is Llama 3.2" in difference.remark
    text = (written / "report.html").read_text(encoding="utf-8")
    assert text.index('<dl class="headline">') < text.index('<p class="summary">')
    assert build(made_up_study(), ReportInputs()).key_numbers == []
    assert "headline" not in html_page(build(made_up_study(), ReportInputs())).partition("<body>")[2]


def test_the_page_leads_to_those_of_the_searches(inputs: ReportInputs) -> None:
    paged = only(inputs, searches=[run._replace(page=f"../x/{run.agent}/page.html") for run in inputs.searches])
    content = build(made_up_study(), paged)
    for text in (html_page(content), markdown_page(content)):
        assert text.count("/page.html") == len(inputs.searches)
    assert "/page.html" not in html_page(build(made_up_study(), only(inputs, searches=inputs.searches)))


def test_no_lane_for_failures_where_none_failed_and_the_last_improvement_is_no_bare_stroke() -> None:
    nodes = [node(step, "M", 0.1 * step) for step in range(1, 5)]
    whole = figures.search_figure([SearchRun("a", 0, nodes, 4)])
    failed = figures.search_figure([SearchRun("a", 0, [*nodes, node(5, None, None)], 4)])
    assert whole is not None
    assert failed is not None
    assert ">failed<" not in whole.svg
    assert ">failed<" in failed.svg
    line = re.findall(r'<path d="([^"]*)"[^>]*style="fill: none; stroke: #0072b2', whole.svg, re.IGNORECASE)[0]
    points = list(dict.fromkeys((float(x), float(y)) for x, y in re.findall(r"[ML] ([\d.]+) ([\d.]+)", line)))
    assert points[-1][1] == points[-2][1], "it holds to the right of its step"
    assert points[-1][0] > points[-2][0]


def test_the_page_opens_with_what_failed_and_is_whole_without_it(inputs: ReportInputs) -> None:
    """A training that failed has no run, one whose scoring failed has a run and no score."""
    lost = inputs.scores[0].point.id
    unscored = inputs.scores[-1].point.id
    failures = [
        Failure(stage="pretrain", unit=lost, reason="out of memory", exit_code=1),
        Failure(stage="evaluate", unit=unscored, reason=EVIL, exit_code=1),
        Failure(stage="search", unit="greedy.s0", reason="no | such model", exit_code=2),
    ]
    incomplete = replace(
        inputs,
        searches=inputs.searches[1:],
        runs=[run for run in inputs.runs if run.point.id != lost],
        curves={name: curve for name, curve in inputs.curves.items() if name != lost},
        scores=inputs.scores[1:-1],
        failures=failures,
    )
    content = build(made_up_study(), incomplete)
    first = content.sections[0]
    assert (first.id, first.boxed) == ("failed", True)
    (table,) = (table for table in content.tables() if table.name == "failed_units")
    assert [row["stage"] for row in table.rows] == ["evaluate", "pretrain", "search"]
    html = html_page(content)
    Page(html)
    assert "3 units of this study failed; every number on this page is without them." in html
    assert EVIL not in html
    assert r"no \| such model" in markdown_page(content)
    assert "What failed" not in html_page(build(made_up_study(), inputs))
