"""The loss curve beside the checkpoints: appended, cut back, and a table in the end."""

import math
import os
from pathlib import Path

import pytest

from aira_lib.errors import UserError
from aira_lib.records import read_columns
from aira_lib.training.curve import FILE, TABLE, Curve, finish_curve, read_curve, reopen_curve, tail_mean
from aira_lib.training.trainer import StepResult


def row(step: int, loss: float = 1.5, norm: float = 0.1) -> StepResult:
    return StepResult(step, step * 2**40 + 1, step * 1e21, loss, 1e-3, norm)


def written(workspace: Path, steps: int) -> None:
    with Curve(workspace, 0) as curve:
        for step in range(1, steps + 1):
            curve.append(row(step, loss=1 / step))


def test_what_was_appended_is_read_by_others_at_once(tmp_path: Path) -> None:
    with Curve(tmp_path, 0) as curve:
        for step in (1, 2, 3):
            curve.append(row(step, loss=math.nan if step == 2 else 1.0))
            found = read_curve(tmp_path)
            assert [each.step for each in found] == list(range(1, step + 1))
        assert found[0] == row(1, loss=1.0)  # whole numbers above 2**40 among them
        assert math.isnan(found[1].loss)


@pytest.mark.parametrize("torn", [0, 1, 47])
def test_a_resumed_curve_is_cut_back_to_its_checkpoint(tmp_path: Path, torn: int) -> None:
    written(tmp_path, 9)
    with (tmp_path / FILE).open("ab") as file:
        file.write(b"x" * torn)
    with Curve(tmp_path, 5) as curve:
        assert [each.step for each in curve.rows] == [1, 2, 3, 4, 5]
        for step in range(6, 10):
            curve.append(row(step, loss=1 / step))
    cut = (tmp_path / FILE).read_bytes()
    (tmp_path / "whole").mkdir()
    written(tmp_path / "whole", 9)
    assert cut == (tmp_path / "whole" / FILE).read_bytes()


def test_a_curve_that_does_not_go_with_its_checkpoint_is_one_line(tmp_path: Path) -> None:
    written(tmp_path, 3)
    with pytest.raises(UserError, match="does not hold the 4 steps of the checkpoint"):
        Curve(tmp_path, 4)


def test_the_table_takes_the_place_of_the_file_and_can_be_gone_on_from(tmp_path: Path) -> None:
    written(tmp_path, 4)
    rows = finish_curve(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [TABLE]
    first = (tmp_path / TABLE).read_bytes()
    columns = read_columns(tmp_path / TABLE)
    assert columns["step"] == [1, 2, 3, 4]
    assert columns["tokens"] == [each.tokens for each in rows]
    assert columns["loss"] == [1.0, 0.5, 1 / 3, 0.25]
    # The record was not finished: the next attempt finds the table and the final checkpoint.
    reopen_curve(tmp_path)
    with Curve(tmp_path, 4) as curve:
        assert curve.rows == rows
    assert finish_curve(tmp_path) == rows
    assert (tmp_path / TABLE).read_bytes() == first


def test_steps_that_were_not_taken_are_counted_from_the_end(tmp_path: Path) -> None:
    with Curve(tmp_path, 0) as curve:
        assert curve.skipped() == 0
        counts = []
        for step, (loss, norm) in enumerate([(1, 1), (math.nan, 1), (1, math.inf), (1, 1), (math.inf, 1)], 1):
            curve.append(row(step, loss, norm))
            counts.append(curve.skipped())
    assert counts == [0, 1, 2, 0, 1]


def test_the_final_loss_is_the_mean_of_the_last_twentieth_that_was_taken() -> None:
    rows = [row(step, loss=float(step)) for step in range(1, 101)]
    assert tail_mean(rows) == pytest.approx((96 + 97 + 98 + 99 + 100) / 5)
    assert tail_mean([*rows[:-1], row(100, math.nan)]) == pytest.approx((95 + 96 + 97 + 98 + 99) / 5)
    assert tail_mean([row(1, 3.0)]) == 3.0
