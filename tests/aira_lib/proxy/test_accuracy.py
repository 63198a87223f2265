import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.datasets.mad import IGNORE
from aira_lib.proxy import macro_accuracy, token_accuracy

pairs = st.lists(st.tuples(st.integers(0, 5), st.sampled_from([IGNORE, 0, 1, 2, 3, 7])), min_size=1, max_size=40)


@given(pairs.filter(lambda rows: any(t != IGNORE for _, t in rows)))
def test_both_accuracies_by_definition(rows: list[tuple[int, int]]) -> None:
    scored = [(p, t) for p, t in rows if t != IGNORE]
    recalls = []
    for c in {c for row in scored for c in row}:
        of_class = [p == t for p, t in scored if t == c]
        recalls.append(sum(of_class) / len(of_class) if of_class else 0.0)
    predictions, targets = np.array(rows).T
    assert token_accuracy(predictions, targets) == pytest.approx(sum(p == t for p, t in scored) / len(scored))
    assert macro_accuracy(predictions, targets) == pytest.approx(sum(recalls) / len(recalls))


def test_a_class_predicted_but_never_wanted_counts_as_zero() -> None:
    targets = np.array([[0, 1, 2, 0, 1, 2, 0, 1, 2]])
    predictions = targets.copy()
    predictions[0, 0] = 3
    assert token_accuracy(predictions, targets) == pytest.approx(8 / 9)
    assert macro_accuracy(predictions, targets) == pytest.approx((2 / 3 + 1 + 1 + 0) / 4)


@pytest.mark.parametrize("accuracy", [token_accuracy, macro_accuracy])
def test_nothing_scored_is_refused(accuracy: object) -> None:
    with pytest.raises(ValueError, match="no scored position"):
        accuracy(np.zeros((1, 3), np.int64), np.full((1, 3), IGNORE))  # type: ignore[operator]
