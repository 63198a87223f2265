"""What is refused before a scorer reads it, and that it is told in time that grows with the file alone."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.tasks.airs.form import Form, form_of, misfit
from aira_lib.tasks.airs.numbers_in import gaps, gaps_allowed
from aira_lib.tasks.airs.submissions import Table

NUMBERS = Table(["price"], [["1.5"], ["2"], ["-3e2"]])
TEXTS = Table(["answer"], [["1.5"], ["a house"], ["3"]])
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def csv(*lines: str) -> bytes:
    return "\n".join(lines).encode()


def test_sixty_thousand_equal_columns_are_refused_by_their_number() -> None:
    content = csv(",".join(["abc"] * 60_000))
    assert len(content) > 200_000
    assert misfit(content, form_of(NUMBERS)) == "it has 60,000 columns, where 1 column is asked for"
    wide = misfit(csv("price", ",".join(["1"] * 60_000)), form_of(NUMBERS))
    assert wide == "line 2: 60,000 values, where 1 column is asked for"


def test_a_header_over_several_lines_is_no_way_round() -> None:
    content = csv('"a\n",' + ",".join(["b"] * 500))
    assert "501 columns" in misfit(content, form_of(NUMBERS))


def test_rows_and_bytes_are_bounded_by_those_that_are_asked_for() -> None:
    form = form_of(NUMBERS)
    assert misfit(csv("price", *["1"] * 1_000), form) == ""
    assert "rows, where 3 are asked for" in misfit(csv("price", *["1"] * 2_000), form)
    assert "bytes, where 3 rows are asked for" in misfit(b"price\n" + b"1" * 2**21, form)
    assert misfit(csv("price", *["1"] * 2_000), form.of_rows(2_000)) == ""
    assert misfit(b"x\n" + b"1" * 2**21, Form(3)) == ""  # nothing is known of the length of a row


@pytest.mark.parametrize("odd", ["nan", "NaN", "inf", "-Infinity", "1e999", "None", "null", "NA", '""', "<NA>"])
def test_a_number_that_is_missing_is_refused_where_numbers_are_asked_for(odd: str) -> None:
    content = csv("price", "1", odd, "3")
    assert misfit(content, form_of(NUMBERS)).startswith("line 3: ")
    assert misfit(csv("other name", "1", odd, "3"), form_of(NUMBERS)).startswith("line 3: ")
    assert misfit(content.replace(b"price", b"answer"), form_of(TEXTS)) == ""


@pytest.mark.parametrize(
    "lines",
    [
        ("id,price", "nan,1"),
        ("x,y", "1,nan"),
        ("price,x", "1,nan"),
        ("price", "1,nan"),
        ("price", "nan,1"),
        ("x", "1,2,inf"),
    ],
)
def test_no_column_more_hides_a_number_that_is_missing(lines: tuple[str, ...]) -> None:
    assert misfit(csv(*lines), form_of(NUMBERS)).startswith("line 2: ")
    two = form_of(Table(["id", "price"], [["a", "1"], ["b", "2"]]))  # there a name may be missing
    assert misfit(csv("id,price", "nan,1"), two) == ""
    assert misfit(csv("id,price", "a,nan"), two).startswith("line 2: ")
    assert misfit(csv("price,id", "nan,a"), two).startswith("line 2: ")


def test_other_texts_are_the_scorers_to_refuse() -> None:
    for text in ("about five", "1,5", "nancy", "0x10"):
        assert misfit(csv("price", "1", f'"{text}"', "3"), form_of(NUMBERS)) == ""


@given(st.lists(st.one_of(FINITE, st.none()), max_size=30))
def test_a_list_has_its_gaps_where_it_has_no_number(values: list[float | None]) -> None:
    text = json.dumps([math.nan if value is None else value for value in values])
    assert gaps(text) == [value is None for value in values]
    bits = gaps_allowed(text)
    assert bits is not None
    assert [bool(bits >> place & 1) for place in range(len(values))] == gaps(text)


@given(st.lists(FINITE, min_size=1, max_size=5), st.lists(FINITE, min_size=1, max_size=5))
def test_numbers_fit_numbers(gold: list[float], given_: list[float]) -> None:
    table = Table(["x"], [[repr(value)] for value in gold])
    assert misfit(csv("x", *map(repr, given_)), form_of(table)) == ""


def test_what_is_no_number_or_a_gap_alone_makes_no_column_of_numbers() -> None:
    assert gaps_allowed("yes") is None
    assert gaps_allowed("nan") is None
    assert gaps_allowed("[1, yes]") is None
    assert gaps_allowed("[1, NaN]") == 2
    assert gaps_allowed('["NaN", 1]') == 1


@given(st.binary(max_size=300))
def test_any_bytes_fit_or_do_not_for_one_reason(content: bytes) -> None:
    for gold in (NUMBERS, TEXTS):
        said = misfit(content, form_of(gold))
        assert "\n" not in said
        assert len(said) < 200
