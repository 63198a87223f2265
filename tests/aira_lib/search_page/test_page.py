"""The page of a search: complete, equal for equal nodes, and deaf to what nodes hold."""

import json
import random
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib import foreign
from aira_lib.records import Evaluation, Node
from aira_lib.search.page import agent_settings, live, render_run, with_report
from aira_lib.search.page.drawing import best_so_far, colour, draw_curve, draw_tree, nice_ticks
from aira_lib.search.page.layout import forest, parents_of
from aira_lib.study import AgentSection
from tests.builders import node

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!-- <script>",
    "{{ 7 * 7 }}{% raw %}",
    "\u2028\u0000\"'&amp;]]>",
)


class Elements(HTMLParser):
    """Every element with its attributes, and the text of the data block."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.data = ""
        self._within_data = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._within_data = tag == "script" and dict(attrs).get("id") == "nodes"

    def handle_data(self, data: str) -> None:
        self.data += data if self._within_data else ""

    def handle_endtag(self, tag: str) -> None:
        self._within_data = False


def search_of(count: int, seed: int = 0) -> list[Node]:
    """A search with failures, repairs, improvements and crossovers."""
    rng = random.Random(seed)
    nodes: list[Node] = []
    for step in range(count):
        parents = tuple({rng.choice(nodes).id for _ in range(rng.randint(0, 2))}) if nodes else ()
        value = rng.random() if rng.random() > 0.3 else None
        nodes.append(node(step, "3M" if value is not None else None, value, parents=tuple(sorted(parents))))
    return nodes


def hostile_node(text: str) -> Node:
    evaluation = Evaluation(status="ok", validation=0.5, validation_by_task={text: 0.5})
    given: dict[str, Any] = dict(plan=text, code=text, output=text, reason=text, id=text, usage={text: 1.0})
    return node(0, text, 0.5, **given | {"evaluation": evaluation})


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    harmless = Elements(render_run([hostile_node("harmless")], "harmless"))
    hostile = Elements(render_run([hostile_node(text)], text))
    assert hostile.found == harmless.found  # not one element or attribute more, less or different
    (shown,) = json.loads(hostile.data)
    record = hostile_node(text)  # it keeps no control characters; all else is shown as it was written
    for field in ("plan", "code", "output", "reason", "id", "design"):
        assert shown[field] == getattr(record, field)
        assert shown[field] in (text, foreign.harmless(text))
    assert shown["scores"][1][0] == text


def test_the_page_refers_to_nothing_outside() -> None:
    page = render_run(search_of(30), "t")
    assert not re.search(r"(https?:)?//(?!\s)[a-z]", page.replace("// ", ""))
    for tag, attributes in Elements(page).found:
        assert tag not in ("link", "img", "iframe")
        assert not {"src", "href"} & set(attributes)
    assert "default-src 'none'" in page


def test_the_script_sets_text_only() -> None:
    page = render_run([], "t")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", page)


def test_a_running_search_says_so() -> None:
    nodes = search_of(3)
    assert "still running" in render_run(nodes, "t", running=True)
    assert "still running" not in render_run(nodes, "t")


def test_what_a_node_has_beyond_every_node_is_shown() -> None:
    changed = node(1, "M", 0.4, parents=("n0",), change="a wider layer", gain=-0.1)
    first, second = json.loads(Elements(render_run([node(0, "M", 0.5), changed], "t")).data)
    assert (second["change"], second["gain"], first["gain"]) == ("a wider layer", -0.1, None)
    for shown in ("node.change", "node.gain", "node.analysis"):
        assert shown in render_run([], "t")


class Clock:
    """A clock that stands still but for what is told to take time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.pages, self.takes = 100.0, 0, 0.0
        monkeypatch.setattr(live.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(live, "render_run", self.render)

    def render(self, nodes: list[Node], title: str, lower_is_better: bool, running: bool, **head: Any) -> str:
        self.now += self.takes
        self.pages += 1
        return f"{len(nodes)} {running}"


def test_what_is_described_stands_apart_from_what_is_measured() -> None:
    measures = {"train_seconds": 40.0, "described_steps": 200.0, "described_flops_exponent": 1.02}
    page = render_run([node(0, "3M", 0.5, measures=measures), node(1, "3M", 0.4)], "a search")
    described, bare = json.loads(Elements(page).data)
    assert described["measured"] == [["train_seconds", 40.0]]
    assert described["described"] == [
        ["flops exponent", 1.02], ["steps", 200.0], ["growth with length", "linear"],
        ["steps per second of train seconds", 5.0],
    ]  # fmt: skip
    assert bare["described"] == []
    assert "Described by a process that holds the code, not by a judge" in page


def test_numbers_that_a_script_tells_as_large_as_they_can_be_do_not_stop_the_page() -> None:
    told = {f"described_{name}": 1.7e308 for name in ("steps", "parameters", "flops_exponent", "base_ratio")}
    page = render_run([node(0, "3M", 0.5, measures={**told, "train_seconds": 0.5})], "a search")
    assert ["steps", 1.7e308] in json.loads(Elements(page).data)[0]["described"]


def test_further_facts_stand_in_the_head_as_text() -> None:
    page = render_run(search_of(2), "t", facts=[("validation", "self-reported, since <b>")])
    assert "<dt>validation</dt><dd>self-reported, since &lt;b&gt;</dd>" in page


def test_a_running_page_takes_a_small_share_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, pushed = Clock(monkeypatch), list[str]()
    page = live.LivePage(tmp_path / "page.html", pushed.append, "t", False)
    nodes = search_of(5)
    page.refresh(nodes[:1])  # the first node shows at once
    assert (tmp_path / "page.html").read_text() == "1 True"
    for _ in range(900):
        clock.now += 0.01
        page.refresh(nodes)
    assert clock.pages == 2  # again after 5 s
    clock.takes = 1.0
    clock.now += 5.0
    started, pages = clock.now, clock.pages
    for _ in range(10_000):
        clock.now += 0.1
        page.refresh(nodes)
    assert 0 < (clock.pages - pages) / (clock.now - started) <= 0.021
    page.finish(nodes)
    assert (tmp_path / "page.html").read_text() == "5 False"
    assert set(pushed) == {"page.html"}
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_disk_that_refuses_the_page_stops_nothing(tmp_path: Path) -> None:
    page = live.LivePage(tmp_path / "nowhere" / "page.html", lambda name: None, "t", False)
    page.refresh(search_of(2))
    page.finish(search_of(2))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [0, 1, 7, 500])
def test_every_node_is_there_once_in_each_picture(count: int) -> None:
    elements = Elements(render_run(search_of(count), "t"))
    circles = [attributes["data-node"] for tag, attributes in elements.found if tag == "circle"]
    assert sorted(circles, key=lambda each: int(each or 0)) == [str(i) for i in range(count) for _ in range(2)]
    assert [each["step"] for each in json.loads(elements.data)] == list(range(count))


def test_equal_nodes_give_equal_bytes() -> None:
    assert render_run(search_of(60), "t") == render_run(search_of(60), "t")


def test_pictures_are_well_formed() -> None:
    pictures = re.findall(r"<svg.*?</svg>", render_run(search_of(40), "t"), re.DOTALL)
    assert [len(list(ElementTree.fromstring(svg).iter("circle"))) for svg in pictures] == [40, 40]


@pytest.mark.parametrize("seed", range(5))
def test_no_two_nodes_share_a_place_and_parents_are_above(seed: int) -> None:
    nodes = search_of(300, seed)
    places = forest(nodes)
    tree = draw_tree(nodes, False)
    assert len({(mark.x, mark.y) for mark in tree.marks}) == len(nodes)
    for place, mark in zip(places, tree.marks, strict=True):
        assert 0 <= mark.x <= tree.width
        assert 0 <= mark.y <= tree.height
        assert bool(mark.path) == (place.parent is not None)
        if place.parent is not None:
            assert place.depth == places[place.parent].depth + 1
            assert place.slot >= places[place.parent].slot


def test_drafts_stand_side_by_side_and_children_in_a_column_hang_on_a_line_beside_it() -> None:
    """Drafts without children stood below each other, as if one had come of the other."""
    drafts = draw_tree([node(i, "M", 0.5) for i in range(10)], False).marks
    assert len({mark.y for mark in drafts}) == 1
    assert len({mark.x for mark in drafts}) == 10
    children = [node(0, "M", 0.5), *(node(i, "M", 0.5, parents=("n0",)) for i in (1, 2, 3))]
    root, *column = draw_tree(children, False).marks
    assert {mark.x for mark in column} == {root.x}
    for mark in column:
        assert mark.path.endswith(f"V{mark.y:g}H{mark.x:g}"), "a line through the nodes above would make a chain"
        beside = float(mark.path.split()[-1].partition(",")[0])
        assert beside < mark.x - 8.5
    (only,) = draw_tree(children[:2], False).marks[1:]
    assert "H" not in only.path


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([1.0], [0.98, 1.0]),  # an accuracy has no 1.5
        ([0.0], [0.0, 0.01, 0.02]),
        ([0.31, 0.87], [0.2, 0.4, 0.6, 0.8, 1.0]),
        ([0.0335, 0.0435], [0.0325, 0.035, 0.0375, 0.04, 0.0425, 0.045]),
        ([2.31, 4.06], [2.0, 2.5, 3.0, 3.5, 4.0, 4.5]),
        ([-3.0, 120.0], [-50.0, 0.0, 50.0, 100.0, 150.0]),
    ],
)
def test_axes_have_round_numbers_that_the_fitness_can_have(values: list[float], ticks: list[float]) -> None:
    assert nice_ticks(values) == ticks


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20))
def test_axes_enclose_their_values(values: list[float]) -> None:
    ticks = nice_ticks(values)
    assert ticks == sorted(set(ticks))
    assert 2 <= len(ticks) <= 7
    spread = ticks[-1] - ticks[0]
    assert all(ticks[0] - 1e-6 * spread <= value <= ticks[-1] + 1e-6 * spread for value in values)
    if values and all(0 <= value <= 1 for value in values):
        assert 0 <= ticks[0] < ticks[-1] <= 1


def test_nodes_bear_their_steps_and_the_best_is_named() -> None:
    page = render_run([node(7, "M", 0.2), node(12, "M", 0.9), node(31, None, None)], "t")
    assert re.findall(r'<text class="step(?: light)?"[^>]*>(\d+)</text>', page) == ["7", "12", "31"]
    assert page.count('<text class="tag"') == 1
    assert ".node.best.chosen { stroke: var(--mark)" in page, "the best is chosen at the start, and must stay marked"


def test_the_agents_settings_and_budget_stand_on_its_page() -> None:
    agent = AgentSection.model_validate(
        {
            "model": "openai/<b>",
            "steps": 60,
            "hours": 2,
            "max_dollars": 3,
            "memory": "siblings",
            "limits": {"gpu": True},
        }
    )
    page = render_run(search_of(3), "t", settings=agent_settings(agent))
    for shown in ("greedy-&lt;b&gt; (greedy, openai/&lt;b&gt;)", "60 at most", "2 h at most", "3 at most", "siblings",
                  "limits.gpu"):  # fmt: skip
        assert shown in page
    assert "The agent" not in render_run(search_of(3), "t")


def test_a_page_leads_to_the_report_once_there_is_one() -> None:
    page = render_run([hostile_node("<!-- /report -->")], "<!-- report -->")
    first = with_report(page, "../../report/all-1/1-x/report.html")
    assert first.count('<a href="../../report/all-1/1-x/report.html">The report of the study</a>') == 1
    again = with_report(first, '../../"><script>')
    assert "all-1" not in again
    assert '<a href="../../&#34;&gt;&lt;script&gt;">' in again
    assert len(Elements(again).found) == len(Elements(page).found) + 2
    assert with_report("a page of before", "x") == "a page of before"


def test_a_chain_as_long_as_a_search_is_drawn() -> None:
    nodes = [node(i, "M", 0.5, parents=(f"n{i - 1}",) if i else ()) for i in range(2_000)]
    assert [place.depth for place in forest(nodes)] == list(range(2_000))


def test_a_parent_that_is_not_earlier_does_not_count() -> None:
    nodes = [node(0, "M", 0.5, parents=("n1", "n0", "nowhere")), node(1, "M", 0.5, parents=("n0",))]
    assert parents_of(nodes) == [[], [0]]


def test_best_so_far_follows_the_direction() -> None:
    nodes = [node(i, "M" if v is not None else None, v) for i, v in enumerate([None, 0.5, 0.7, 0.7, 0.2, None])]
    assert best_so_far(nodes, lower_is_better=False) == [None, 1, 2, 2, 2, 2]
    assert best_so_far(nodes, lower_is_better=True) == [None, 1, 1, 1, 4, 4]


@pytest.mark.parametrize("lower_is_better", [False, True])
def test_better_is_darker_and_failed_has_no_colour(lower_is_better: bool) -> None:
    nodes = [node(0, "M", 0.1), node(1, None, None), node(2, "M", 0.9)]
    low, failed, high = (mark.fill for mark in draw_curve(nodes, lower_is_better).marks)
    assert failed is None
    assert (low, high) == ((colour(1), colour(0)) if lower_is_better else (colour(0), colour(1)))
    assert sum(int(colour(1)[i : i + 2], 16) for i in (1, 3, 5)) < sum(int(colour(0)[i : i + 2], 16) for i in (1, 3, 5))


def test_the_diff_is_to_the_first_parent() -> None:
    nodes = [
        node(0, "M", 0.1, code="a\nb\n"),
        node(1, "M", 0.2, code="a\nc\n", parents=("n0",)),
        node(2, "M", 0.2, code="a\nc\n", parents=("n1", "n0")),
    ]
    shown = json.loads(Elements(render_run(nodes, "t")).data)
    assert shown[0]["diff"] is None
    assert shown[1]["diff"] == "@@ -1,2 +1,2 @@\n a\n-b\n+c"
    assert shown[2]["diff"] == "(no change)"
    assert shown[2]["parents"] == [1, 0]
