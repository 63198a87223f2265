import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.datasets.mad import IGNORE
from aira_lib.proxy.accuracy import accuracies, macro_accuracy, macro_by_batch, token_accuracy

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


def examples(random: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Examples that hang together: each is answered well or badly as a whole; the classes are not equally easy."""
    targets = random.integers(0, 4, size=(n, 6))
    right = random.random((n, 6)) < random.choice([0.25, 0.9], size=(n, 1)) - 0.05 * targets
    return np.where(right, targets, (targets + 1) % 4), targets


def test_intervals_cover_though_tokens_hang_together() -> None:
    """About 95 % of 400 intervals hold the truth. Tokens taken for independent would give about 76 %."""
    random = np.random.default_rng(0)
    truth = (0.25 + 0.9) / 2 - 0.05 * 1.5
    found = [accuracies(*examples(random, 60)) for _ in range(400)]
    for kind in ("token", "macro"):
        covered = sum(getattr(each, kind).low <= truth <= getattr(each, kind).high for each in found)
        assert 365 <= covered <= 396


def test_intervals_are_as_wide_as_those_of_a_bootstrap_over_examples() -> None:
    predictions, targets = examples(np.random.default_rng(1), 200)
    found = accuracies(predictions, targets)
    draws = np.random.default_rng(2).integers(0, 200, size=(2000, 200))
    for estimate, accuracy in ((found.token, token_accuracy), (found.macro, macro_accuracy)):
        assert estimate.value == accuracy(predictions, targets)
        low, high = np.quantile([accuracy(predictions[d], targets[d]) for d in draws], [0.025, 0.975])
        assert estimate.high - estimate.low == pytest.approx(high - low, rel=0.08)


def test_macro_by_batch_is_what_mad_lab_logs() -> None:
    """The mean over batches of 128, by their sizes, of the mean over the classes that a batch wants or predicts."""
    random = np.random.default_rng(5)
    targets = np.where(
        random.random((300, 2)) < 0.3, IGNORE, random.choice(40, p=np.arange(1, 41) / 820, size=(300, 2))
    )
    predictions = np.where(random.random((300, 2)) < 0.5, targets, random.integers(0, 40, (300, 2)))
    total = 0.0
    for first, last in ((0, 128), (128, 256), (256, 300)):
        pairs = [
            (p, t) for row in range(first, last) for p, t in zip(predictions[row], targets[row], strict=True) if t >= 0
        ]
        recalls = []
        for c in {c for pair in pairs for c in pair}:
            of_class = [p == t for p, t in pairs if t == c]
            recalls.append(sum(of_class) / len(of_class) if of_class else 0.0)
        total += (last - first) * sum(recalls) / len(recalls)
    found = accuracies(predictions, targets)
    assert macro_by_batch(predictions, targets) == pytest.approx(total / 300)
    assert found.macro_by_batch is not None
    assert found.macro_by_batch.value == macro_by_batch(predictions, targets)
    assert found.macro_by_batch.low < found.macro_by_batch.value < found.macro_by_batch.high
    assert found.macro_by_batch.value != pytest.approx(found.macro.value, rel=0.02)
    one = accuracies(predictions[:128], targets[:128])
    assert one.macro_by_batch == one.macro
    with pytest.raises(ValueError, match="no scored position"):
        macro_by_batch(np.zeros((1, 3), np.int64), np.full((1, 3), IGNORE))


def test_an_interval_has_a_width_where_all_is_right_or_wrong() -> None:
    targets = np.tile([0, 1, 2, IGNORE], (30, 1))
    perfect, hopeless = accuracies(targets, targets), accuracies(np.full_like(targets, 3), targets)
    assert perfect.token.high == 1.0
    # Thirty examples of thirty, by Wilson's formula: n / (n + z^2).
    assert perfect.token.low == pytest.approx(30 / (30 + 1.96**2), abs=1e-4)
    assert (hopeless.macro.low, hopeless.token.low) == (0.0, 0.0)
    assert hopeless.token.high == pytest.approx(1.96**2 / (30 + 1.96**2), abs=1e-4)
