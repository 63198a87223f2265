"""The archive in columns says what its rows say, from a file and from memory."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from aira_lib.aggregate.table import DesignTable, fittest_first
from aira_lib.architecture.pattern import parse
from aira_lib.errors import UserError
from aira_lib.records import ArchiveRow, write_archive


def _row(design: str, validation: float = 0.5, **other: object) -> ArchiveRow:
    values = dict(
        design=design, layers=parse(design), validation=validation, test=0.5, evaluations=1,
        agents=("a.s0",), first_seen="a.s0/0", params=1, seconds=1.0,
    )  # fmt: skip
    return ArchiveRow.model_validate({**values, **other})


ROWS = [
    _row("2(A-M)", 0.9, agents=("a.s0", "b.s1")),
    _row("4Mb", 0.2, test=None, agents=("b.s10",)),
    _row("2(A-M)", 3.1, dataset="text", lower_is_better=True, agents=("a.s3",)),
]


@pytest.mark.parametrize("stored", [False, True])
def test_columns_hold_what_the_rows_hold(tmp_path: Path, stored: bool) -> None:
    write_archive(tmp_path / "a.parquet", ROWS)
    table = DesignTable.from_parquet(tmp_path / "a.parquet") if stored else DesignTable.from_rows(ROWS)
    assert [table.design(i) for i in range(len(table))] == [row.design for row in ROWS]
    assert table.validation.tolist() == [0.9, 0.2, 3.1]
    assert np.isnan(table.test).tolist() == [False, True, False]
    assert (table.datasets, table.lower_is_better) == (("mad", "text"), (False, True))
    assert table.dataset.tolist() == [0, 0, 1]
    found = {agent: mask.tolist() for agent, mask in table.found_by.items()}
    assert found == {"a": [True, False, True], "b": [True, True, False]}
    assert table.search.tolist() == [0, 3, 1]  # of a.s0, a.s3, b.s1, b.s10


def test_an_archive_without_data_sets_is_of_mad(tmp_path: Path) -> None:
    write_archive(tmp_path / "a.parquet", ROWS[:2])
    old = pq.read_table(tmp_path / "a.parquet").drop_columns(["dataset", "lower_is_better"])
    pq.write_table(old, tmp_path / "old.parquet")
    table = DesignTable.from_parquet(tmp_path / "old.parquet", agents=False)
    assert (table.datasets, table.lower_is_better, table.found_by) == (("mad",), (False,), {})
    assert (table.search == -1).all()


def test_many_batches_join(tmp_path: Path) -> None:
    rows = [_row("A-M" if i % 3 else "2Mb", i / 70_000, dataset="x" if i < 66_000 else "y") for i in range(70_000)]
    write_archive(tmp_path / "a.parquet", rows)
    table = DesignTable.from_parquet(tmp_path / "a.parquet")
    assert table.validation.tolist() == [row.validation for row in rows]
    assert table.dataset.tolist() == [row.dataset == "y" for row in rows]
    assert table.design(69_999) == "2Mb"
    assert table.design(66_001) == "A-M"
    assert table.found_by["a"].all()
    assert not table.search.any()


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ([], "has no designs"),
        ([_row("A-M"), _row("3A")], "designs of 2 and of 3 layers"),
        ([_row("A-M", layers=("A", "Q"))], "'Q' is no primitive"),
        ([_row("A-M"), _row("2M", lower_is_better=True)], "on data set 'mad' lower is better in some rows"),
    ],
)
def test_refuses_in_one_line(rows: list[ArchiveRow], line: str) -> None:
    with pytest.raises(UserError, match=line) as caught:
        DesignTable.from_rows(rows)
    assert "\n" not in str(caught.value)


def test_equals_are_ordered_by_their_layers_wherever_they_stand() -> None:
    codes = np.array([[0, 1], [2, 0], [0, 0], [1, 1]], dtype=np.uint8)
    good = np.array([0.5, 0.9, 0.5, 0.5])
    assert fittest_first(good, codes).tolist() == [1, 2, 0, 3]
    for order in ([3, 2, 1, 0], [2, 0, 3, 1]):
        assert [order[i] for i in fittest_first(good[order], codes[order])] == [1, 2, 0, 3]
