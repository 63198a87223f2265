"""Losses by what predictions see: counted one by one, and as a score of a run has them."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aira_lib.datasets.study import study_text
from aira_lib.evaluate.positions import losses_by_position, tokens_seen
from aira_lib.evaluate.stage import evaluate
from aira_lib.evaluate.windows import held_out_starts
from aira_lib.pretrain.stage import pretrain
from aira_lib.records import Score, document_error, read_row
from aira_lib.study import EvaluateSection
from tests.aira_lib.training import tiny
from tests.builders import small_text, work_in

pytestmark = pytest.mark.usefixtures("plain_kernels")


def lower(seen: int) -> int:
    """The least number of tokens in the bin of `seen`."""
    return max(first for first in (1, 2, 3, 5, 9, 17, 33) if first <= seen)


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=5), min_size=1, max_size=4), st.booleans())
def test_a_prediction_sees_what_is_before_it_in_its_window_or_document(lengths: Any, apart: bool) -> None:
    size = min(sum(each) for each in lengths)
    documents = np.array([np.repeat(np.arange(len(each)), each)[:size] for each in lengths])
    seen = tokens_seen(*documents.shape, documents if apart else None)
    for row, windows in zip(documents.tolist(), seen.tolist(), strict=True):
        for place, count in enumerate(windows):
            assert count == (row[: place + 1].count(row[place]) if apart else place + 1)


@settings(max_examples=30)
@given(st.integers(1, 300), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_bins_hold_each_prediction_once_and_weigh_documents(predictions: int, most: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    losses, owners = random.normal(3, 1, predictions), random.integers(0, 5, predictions)
    seen = random.integers(1, most + 1, predictions)
    bins: dict[int, dict[int, list[float]]] = {}
    for loss, owner, count in zip(losses.tolist(), owners.tolist(), seen.tolist(), strict=True):
        bins.setdefault(lower(count), {}).setdefault(owner, []).append(loss)
    found = losses_by_position(losses, owners, seen)
    assert [each.first for each in found] == sorted(bins)
    assert found[-1].last == seen.max()
    for each in found:
        documents = bins[each.first].values()
        every = [loss for document in documents for loss in document]
        assert (each.tokens, each.loss) == (len(every), pytest.approx(sum(every) / len(every)))
        expected = document_error([sum(document) for document in documents], [len(document) for document in documents])
        assert each.stderr == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("packing", ["across", "masked"])
def test_a_score_says_what_more_context_is_worth(tmp_path: Path, packing: Any) -> None:
    section = tiny.section(data={**small_text(tmp_path / "text"), "packing": packing})
    pretrain(section, tiny.point(2), work_in(tmp_path / "run"))
    evaluate(EvaluateSection(samples=30, batch_size=7), section.data, tmp_path / "run", work_in(tmp_path / "score"))
    score = read_row(tmp_path / "score/score.json", Score)
    assert [(each.first, each.last) for each in score.by_position] == [
        (1, 1),
        (2, 2),
        (3, 4),
        (5, 8),
        (9, 16),
        (17, 32),
    ]
    assert sum(each.tokens for each in score.by_position) == score.tokens
    assert math.fsum(each.tokens * each.loss for each in score.by_position) / score.tokens == pytest.approx(score.loss)
    text = study_text(section.data).validation
    starts = held_out_starts(text, tiny.SCALE.seq_len, 30)
    inputs = text.windows(starts, tiny.SCALE.seq_len)
    first = len(starts)
    if packing == "masked":  # a document that begins within a window sees nothing before it
        first += int((inputs[:, :-1] == text.end).sum())
    assert score.by_position[0].tokens == first
    assert score.by_position[0].stderr is not None
