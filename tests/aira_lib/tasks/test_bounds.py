"""Which numbers count as a score, by the metadata, and the benchmark's normalised score."""

import math
from pathlib import Path
from typing import Any

import pytest

from aira_lib.tasks.airs import load_task_folder
from aira_lib.tasks.airs.bounds import beyond_optimum, implausible, normalised_score
from aira_lib.tasks.airs.metadata import Metadata
from tests.aira_lib.tasks.made_folders import change_metadata, made_folder


def metadata(where: Path, **info: Any) -> Metadata:
    folder = made_folder(where)
    lower = info.pop("lower", False)
    changes = {f"logging_info.{name}": value for name, value in info.items()}
    change_metadata(folder, {"metric_lower_is_better": lower, **changes})
    return load_task_folder(folder).metadata


def test_an_accuracy_in_percent_is_better_than_perfect(tmp_path: Path) -> None:
    known = metadata(tmp_path)
    assert "97.3 is better than a perfect Accuracy, 1 (optimal_score)" in implausible(97.3, known)
    for fine in (1.0, 1.0 + 1e-9, 0.5, 0.0, -0.5):
        assert implausible(fine, known) == ""
    for odd in (1.01, 1e308, -1e308, -1e6):
        assert implausible(odd, known)


def test_an_error_below_zero_or_absurdly_large_was_not_measured(tmp_path: Path) -> None:
    known = metadata(tmp_path, lower=True, optimal_score=0.0, estimated_worst_score=30.0)
    assert [bool(implausible(score, known)) for score in (-1e-3, 0.0, 29.0, 3e4, 3.1e4, 1e308)] == [
        True, False, False, False, True, True,
    ]  # fmt: skip
    assert beyond_optimum(1e308, known) == ""  # a scorer that measured it is believed: it is bad, no more


def test_without_bounds_any_number_counts(tmp_path: Path) -> None:
    known = metadata(tmp_path, optimal_score=..., estimated_worst_score=...)
    assert implausible(1e308, known) == ""
    assert normalised_score(0.5, known) is None


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        # The paper's best agents on Long Range Arena, by phi(s) = -log10 |s - 1| (facts of its tables).
        (0.6379, 1.0), (0.0, 0.0), (-0.5, 0.0),
        (0.5050, 0.305394 / 0.441171),
        (1.0, 3.0 / 0.441171),
    ],
)  # fmt: skip
def test_the_normalised_score_is_the_benchmarks(score: float, expected: float, tmp_path: Path) -> None:
    sota = [{"sota_paper_url": "https://example.org", "sota_score": 0.6379}]
    known = metadata(tmp_path, sota=sota, estimated_worst_score=0.0)
    assert normalised_score(score, known) == pytest.approx(expected, rel=1e-4)


def test_a_normalised_error(tmp_path: Path) -> None:
    sota = [{"sota_paper_url": "https://example.org", "sota_score": 0.01}]
    known = metadata(tmp_path, lower=True, sota=sota, optimal_score=0.0, estimated_worst_score=100.0)
    assert normalised_score(1.0, known) == pytest.approx(0.5)
    assert normalised_score(0.0, known) == 100.0
    assert math.isfinite(normalised_score(1e-300, known) or 0.0)
