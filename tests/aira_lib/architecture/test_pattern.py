import itertools
import tracemalloc
from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aira_lib.architecture.pattern import EXACT_LIMIT, Layers, edit_distance, parse, render
from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.architecture.reference import designs
from aira_lib.architecture.tables import read_table
from aira_lib.errors import PatternError

space = st.sampled_from(["", "", "", " ", "\n", " \t"])


def layers_up_to(n: int) -> st.SearchStrategy[Layers]:
    return st.lists(st.sampled_from(PRIMITIVES.names()), min_size=1, max_size=n).map(tuple)


@st.composite
def written(draw: st.DrawFn, depth: int = 3) -> tuple[str, Layers]:
    """A pattern in any spelling the grammar allows, and the layers it stands for."""
    text = draw(space)
    layers: Layers = ()
    for i in range(draw(st.integers(1, 4))):
        if i:
            text += draw(st.sampled_from(["-", "+", ""])) + draw(space)
        count = draw(st.sampled_from([None, 1, 2, 3, 11]))
        text += f"{'' if count is None else count}" + draw(space)
        if depth and draw(st.booleans()):
            inner, unit = draw(written(depth - 1))
            text += f"({inner})"
        else:
            spelling = draw(st.sampled_from(["A", "mA", "M", "Mb"]))
            text, unit = text + spelling, (spelling.removeprefix("m"),)
        text += draw(space)
        layers += unit * (count or 1)
    return text, layers


@given(written())
def test_reads_every_spelling_of_the_grammar(case: tuple[str, Layers]) -> None:
    text, layers = case
    assert parse(text, max_layers=10**6) == layers


@pytest.mark.parametrize(
    ("text", "flat"),
    [
        ("5 (2A + M) + A", "AAM AAM AAM AAM AAM A"),
        ("2(2(2A-M)-3(A-M)-4A)-2A", "AAMAAM AMAMAM AAAA AAMAAM AMAMAM AAAA AA"),
        ("2A5M2A3M1A3M", "AAMMMMMAAMMMAMMM"),
        ("(A-M)(M-A)2(A)", "AMMAAA"),
        ("mA mA M", "AAM"),
    ],
)
def test_reads(text: str, flat: str) -> None:
    assert parse(text) == tuple(flat.replace(" ", ""))


def test_mamba_is_one_primitive() -> None:
    assert parse("4Mb-2M-MbM") == ("Mb",) * 4 + ("M", "M", "Mb", "M")


def test_every_published_pattern_reads_and_renders_to_the_same_layers() -> None:
    texts = [d.printed for d in designs()] + [row["unit"] for row in read_table("baselines")]
    texts += [row["pattern"] for name in ("bases", "designs") for row in read_table(name)]
    assert len(texts) == 150
    for text in texts:
        layers = parse(text)
        assert parse(render(layers)) == layers
        assert len(render(layers)) <= len(text.replace(" ", ""))


@given(layers_up_to(EXACT_LIMIT + 60))
def test_round_trip(layers: Layers) -> None:
    assert parse(render(layers)) == layers


@given(layers_up_to(7), st.integers(2, 70), layers_up_to(5))
@example(("A",), 4000, ("M",))
def test_round_trip_of_long_repeats(unit: Layers, times: int, rest: Layers) -> None:
    layers = unit * times + rest
    assert parse(render(layers), max_layers=len(layers)) == layers
    assert render(layers) == render(list(layers))


@cache
def all_forms(layers: Layers) -> frozenset[str]:
    """Every text of the grammar with "-" between items and no count of one or empty brackets."""
    forms = set()
    for end in range(1, len(layers) + 1):
        rests = {"-" + form for form in all_forms(layers[end:])} if end < len(layers) else {""}
        forms |= {item + rest for item in all_items(layers[:end]) for rest in rests}
    return frozenset(forms)


@cache
def all_items(layers: Layers) -> frozenset[str]:
    items = {layers[0]} if len(layers) == 1 else set()
    for period in range(1, len(layers)):
        times = len(layers) // period
        if layers[:period] * times == layers:
            items |= {f"{times}{layers[0]}"} if period == 1 else set()
            items |= {f"{times}({form})" for form in all_forms(layers[:period])}
    return frozenset(items)


def test_nothing_is_shorter_exhaustively() -> None:
    for n in range(1, 9):
        for layers in itertools.product(PRIMITIVES.names()[:2], repeat=n):
            assert len(render(layers)) == min(map(len, all_forms(layers))), layers
            assert render(layers) in all_forms(layers)


@given(layers_up_to(10), st.integers(1, 3))
def test_nothing_is_shorter_with_three_primitives(layers: Layers, times: int) -> None:
    layers = (layers * times)[:11]
    assert len(render(layers)) == min(map(len, all_forms(layers)))


def test_of_equally_short_forms_the_first_item_is_the_longest() -> None:
    assert render(parse("Mb-8(M-Mb)")) == "8(Mb-M)-Mb"
    assert render(parse("3(2Mb-M-A)-Mb-M-Mb-M")) == "3(2Mb-M-A)-2(Mb-M)"


def test_long_designs_are_compact_too() -> None:
    assert render(parse("90(2A-3M)-2A")) == "90(2A-3M)-2A"
    assert render(parse("500A-20Mb-500A")) == "500A-20Mb-500A"


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ("", 1, "empty"),
        ("  ", 3, "empty"),
        ("2A--M", 4, "missing before '-'"),
        ("-A", 1, "missing before '-'"),
        ("A+", 3, "missing at the end"),
        ("A-3", 4, "missing at the end, after the count"),
        ("2(3-A)", 4, "missing before '-', after the count"),
        ("()", 2, "missing before ')'"),
        ("(A-)", 4, "missing before ')'"),
        ("A-(M-2(A)", 3, "no ')'"),
        ("A)-M", 2, "no '('"),
        ("2 3A", 3, "two counts"),
        ("A-0M", 3, "at least 1"),
        ("2(A-00(M))", 5, "at least 1"),
        ("A-2m", 4, "did you mean 'M'?"),
        ("4mb", 2, "did you mean 'Mb'?"),
        ("A-MB", 3, "did you mean 'Mb'?"),
        ("AMbb", 4, "unknown primitive 'b'"),
        ("ma", 1, "did you mean 'mA'?"),
        ("A-X", 3, "primitives are A (or mA), M, Mb and W"),
        ("A–M", 2, "does not belong"),
        ("٣A", 1, "does not belong"),
        ("A,M", 2, "does not belong"),
        ("99999(99999A)", 7, "more than 4,096 layers"),
        ("4096(M)-A", 9, "more than 4,096 layers"),
        ("A-2 2049(A-M)", 5, "two counts"),
        ("A-2049(A-M)", 3, "more than 4,096 layers"),
        ("9" * 5000 + "A", 1, "more than 4,096 layers"),
    ],
)
def test_errors_show_the_place(text: str, column: int, reason: str) -> None:
    with pytest.raises(PatternError) as caught:
        parse(text)
    first, shown, caret = str(caught.value).split("\n")
    assert first.startswith(f"pattern, column {column}: ")
    assert reason in first
    assert shown[caret.index("^") :][:1] == text[column - 1 : column].replace("\n", " ")


@given(st.text(alphabet="AMbm23()-+ \tXé", max_size=12), st.integers(0, 200))
def test_any_text_is_read_or_refused_with_a_caret_in_it(text: str, padding: int) -> None:
    text = "A-" * padding + text + "-A" * padding
    try:
        layers = parse(text)
    except PatternError as error:
        first, shown, caret = str(error).split("\n")
        column = int(first.removeprefix("pattern, column ").split(":")[0])
        under = shown[caret.index("^") : caret.index("^") + 1]
        assert under == text[column - 1 : column].replace("\t", " ")
        assert len(shown) < 140
    else:
        assert set(layers) <= set(PRIMITIVES)
        assert parse(render(layers)) == layers


@pytest.mark.parametrize("text", ["9(" * 400 + "A" + ")" * 400, "4096A-(" * 20_000, "4000(4000(4000(A)))"])
def test_expansion_is_refused_before_it_takes_memory(text: str) -> None:
    tracemalloc.start()
    with pytest.raises(PatternError, match="more than 4,096 layers"):
        parse(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6


def test_the_limit_is_the_number_of_layers_allowed() -> None:
    assert len(parse("4096A")) == 4096
    assert len(parse("2(3A)", max_layers=6)) == 6
    with pytest.raises(PatternError, match="more than 5 layers"):
        parse("2(3A)", max_layers=5)


def test_nesting_may_be_deep() -> None:
    deep = 100_000
    assert parse("(" * deep + "A-M" + ")" * deep) == ("A", "M")
    assert parse("(A-" * 2000 + "M" + ")" * 2000) == ("A",) * 2000 + ("M",)
    with pytest.raises(PatternError, match="no '\\)'"):
        parse("(" * deep + "A")


@pytest.mark.parametrize("layers", [(), ("A", "X")])
def test_render_refuses_what_is_no_design(layers: Layers) -> None:
    with pytest.raises(PatternError):
        render(layers)


def slow_distance(a: Layers, b: Layers) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
    return row[-1]


@given(
    st.lists(st.sampled_from(PRIMITIVES.names()), max_size=90),
    st.lists(st.sampled_from(PRIMITIVES.names()), max_size=90),
)
@example([], [])
@example(["A"] * 64, ["M"] * 65)
def test_edit_distance_is_levenshteins(a: list[str], b: list[str]) -> None:
    assert edit_distance(a, b) == slow_distance(tuple(a), tuple(b))
