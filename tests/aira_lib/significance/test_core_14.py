"""Flags, centred values, and the error that core-14 has by its items alone, from the paper's printed scores."""

import pytest

from aira_lib.architecture.tables import read_table
from aira_lib.significance.centred import centred
from aira_lib.significance.flags import commonest_share, flags_of
from aira_lib.significance.printed import binomial_error, error_of_difference, error_of_mean

TASKS = [row for row in read_table("downstream_tasks") if row["set"] == "core-14"]


def test_core_14_is_the_papers() -> None:
    columns = [name for name in read_table("dclm_core")[0] if name not in ("family", "variant", "average")]
    assert [row["task"] for row in TASKS] == columns
    assert {row["task"]: row["metric"] for row in TASKS if row["metric"] == "f1"} == {"coqa": "f1", "squadv2": "f1"}
    assert [int(row["shots"]) for row in TASKS] == [0] * 6 + [3] + [10] * 7


def test_items_alone_give_core_14_half_a_point() -> None:
    """0.47 points for a model and 0.66 for a difference, unpaired; that of the paper's 21 models hardly varies."""
    for model in read_table("dclm_core"):
        errors = [binomial_error(float(model[row["task"]]) / 100, int(row["items"])) for row in TASKS]
        own = error_of_mean(errors)
        assert 100 * own == pytest.approx(0.47, abs=0.02)
        assert 100 * error_of_difference(own, own) == pytest.approx(0.66, abs=0.03)


def test_three_tasks_of_the_paper_tell_nothing() -> None:
    """BoolQ below chance for every model; LSAT-AR and CommonsenseQA at chance for nearly all, and no other for most."""
    said = {row["task"]: 0 for row in TASKS}
    models = read_table("dclm_core")
    for model in models:
        for row in TASKS:
            score, chance = float(model[row["task"]]) / 100, float(row["chance"]) if row["chance"] else None
            said[row["task"]] += bool(flags_of(score, binomial_error(score, int(row["items"])), chance, 0.0))
    assert said["boolq"] == len(models)
    assert [name for name, count in said.items() if count > len(models) / 2] == [
        "agieval_lsat_ar",
        "boolq",
        "commonsenseqa",
    ]


def test_flags_by_hand() -> None:
    assert flags_of(0.3783, 0.0085, 0.5, 1.0) == ("constant answer", "below chance")
    assert flags_of(0.268, 0.01, 0.25, 0.99) == ("hardly varies", "at chance")
    assert flags_of(0.28, 0.01, 0.25, 0.4) == ()
    assert flags_of(0.5, 0.01, None, 0.3) == ()
    assert flags_of(0.5, None, 0.5, 0.3, constant=True) == ("constant answer",)
    assert commonest_share([1, 1, 1, 0]) == 0.75
    assert commonest_share([]) == 0
    assert commonest_share([3]) == 0  # one answer is the same as no other


def test_centred_by_hand() -> None:
    assert centred(0.25, 0.25) == 0
    assert centred(1.0, 0.62) == 1
    assert centred(0.379, 0.62) == pytest.approx(-0.6342, abs=1e-4)
    with pytest.raises(ValueError, match="better than a baseline"):
        centred(0.5, 1.0)
