"""Counts over a journal made by hand, worked out by hand."""

import pytest

from aira_lib.autoresearch.features.counting import (
    category_counts,
    constant_counts,
    feature_counts,
    one_change_counts,
    toggle_counts,
    transition_counts,
)
from aira_lib.autoresearch.features.events import Event, Origin, attempts, events_of, improvements
from aira_lib.records import Node
from tests.aira_lib.autoresearch.features_script import FOREIGN, SCRIPT, edited

LR = ("MATRIX_LR = 0.04", "MATRIX_LR = 0.05")
RELU = ("F.relu(self.c_fc(x)).square()", "F.relu(self.c_fc(x))")
TIED = ("# the model's own", "self.lm_head.weight = self.wte.weight")
WARM = ("WARMUP = 0.0", "WARMUP = 0.1")

STEPS: list[tuple[str, float | None]] = [
    (SCRIPT, None),  # failed before anything was scored: no event to compare
    (SCRIPT, 1.50),  # the first scored step: the best starts here
    (edited(LR), 1.25),  # improves by 0.25: matrix_lr alone
    (edited(RELU), 1.30),  # no improvement; differs from the best by matrix_lr and mlp_type
    (edited(LR, RELU, TIED), 1.00),  # improves by 0.25: mlp_type and weight_tying
    (edited(LR, RELU, TIED, WARM), 0.875),  # improves by 0.125: no feature, one constant
    (edited(LR, RELU, WARM), 0.75),  # improves by 0.125: weight_tying alone, off
    (edited(LR, WARM), None),  # failed: an attempt that changed mlp_type back
    ("def broken(:", None),  # cannot be read: no attempt whose changes are known
    (FOREIGN, 0.70),  # improves by 0.05, but of what is not known
]


def nodes(steps: list[tuple[str, float | None]] = STEPS) -> list[Node]:
    return [
        Node(step=n, id=f"n{n}", operator="draft", code=code, status="failed" if score is None else "ok",
             validation=score) for n, (code, score) in enumerate(steps)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return events_of("one", nodes())


def test_improvements_are_better_than_the_best_before_and_are_compared_with_it(events: list[Event]) -> None:
    assert [(e.step, e.gain, dict(e.changed)) for e in improvements(events)] == [
        (2, 0.25, {"matrix_lr": (0.04, 0.05)}),
        (4, 0.25, {"mlp_type": ("relu2", "relu"), "weight_tying": (False, True)}),
        (5, 0.125, {}),
        (6, 0.125, {"weight_tying": (True, False)}),
        (9, pytest.approx(0.05), {}),
    ]
    assert [e.step for e in attempts(events)] == [2, 3, 4, 5, 6, 7, 9]
    assert len(next(e for e in events if e.step == 9).unresolved) == 27


def test_features(events: list[Event]) -> None:
    rows = {row.feature: row for row in feature_counts(events)}
    assert len(rows) == 27
    lr, mlp, tied = rows["matrix_lr"], rows["mlp_type"], rows["weight_tying"]
    assert (lr.gains.count, lr.gains.median, lr.solo.count, lr.solo.median, lr.tried) == (1, 0.25, 1, 0.25, 2)
    assert (mlp.gains.count, mlp.solo.count, mlp.tried) == (1, 0, 3)
    assert (tied.gains.count, tied.gains.median, tied.gains.best, tied.solo.count) == (2, 0.1875, 0.25, 1)
    assert lr.chance is not None
    assert lr.chance == (0.5, pytest.approx(0.0945, abs=1e-4), pytest.approx(0.9055, abs=1e-4))
    assert rows["depth"].chance is None
    assert {row.unresolved for row in rows.values()} == {1}
    assert [row.feature for row in feature_counts(events)][2] == "weight_tying"


def test_toggles_add_and_remove(events: list[Event]) -> None:
    rows = {row.feature: row for row in toggle_counts(events)}
    assert len(rows) == 18
    tied = rows["weight_tying"]
    assert (tied.added.count, tied.added.median, tied.removed.count, tied.removed.median) == (1, 0.25, 1, 0.125)
    assert tied.verdict == "add helps more"
    assert rows["ema"].verdict == ""
    for row in feature_counts(events):
        if row.feature in rows:
            assert rows[row.feature].added.count + rows[row.feature].removed.count == row.gains.count


def test_categories_transitions_constants_and_single_changes(events: list[Event]) -> None:
    categories = {name: (gains.count, tried) for name, gains, tried, _ in category_counts(events)}
    assert len(categories) == 7
    assert {name: counts for name, counts in categories.items() if counts != (0, 0)} == {
        "Learning rates": (1, 2), "MLP / activation": (1, 3), "Embeddings / heads": (2, 2),
    }  # fmt: skip
    went = {name: (gains.count, tried) for name, gains, tried, _ in transition_counts(events)}
    assert went == {"relu2 to relu": (1, 2), "relu to relu2": (0, 1)}
    assert [(name, gains.count, tried) for name, gains, tried, _ in constant_counts(events)] == [
        ("WARMUP", 2, 2)
    ]  # set in 5, gone in 9
    single = {name: (gains.count, gains.median, tried) for name, gains, tried, _ in one_change_counts(events)}
    assert single == {
        "matrix_lr": (1, 0.25, 1), "WARMUP": (1, 0.125, 1), "weight_tying": (1, 0.125, 1), "mlp_type": (0, None, 1),
    }  # fmt: skip


def test_with_the_baseline_as_origin_the_first_step_counts() -> None:
    found = events_of("one", nodes()[:3], Origin(SCRIPT, 1.30))
    assert [(e.step, e.gain) for e in found] == [(0, None), (1, None), (2, pytest.approx(0.05))]
    assert dict(found[2].changed) == {"matrix_lr": (0.04, 0.05)}


def test_a_score_that_is_not_finite_is_none_and_equal_scores_are_no_improvement() -> None:
    found = events_of("one", nodes([(SCRIPT, float("nan")), (SCRIPT, 1.0), (edited(LR), 1.0), (SCRIPT, float("inf"))]))
    assert [(e.step, e.gain) for e in found] == [(1, None), (2, None), (3, None)]
