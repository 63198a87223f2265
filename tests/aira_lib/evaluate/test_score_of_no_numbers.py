"""Weights may be finite while losses are not: such a run is scored as one that diverged."""

from pathlib import Path

import pytest
import torch

from aira_lib.evaluate.stage import evaluate
from aira_lib.models.language_model import LanguageModel
from aira_lib.pretrain.stage import pretrain
from aira_lib.records import Score, read_row
from aira_lib.study import EvaluateSection
from tests.aira_lib.training import tiny
from tests.builders import work_in

pytestmark = pytest.mark.usefixtures("plain_kernels")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_losses_that_are_not_finite_are_no_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    section = tiny.section()
    pretrain(section, tiny.point(1), work_in(tmp_path / "run"))
    original = LanguageModel.token_losses

    def spoiled(self: LanguageModel, tokens: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        losses = original(self, tokens, *others)
        losses[-1, -1] = value
        return losses

    monkeypatch.setattr(LanguageModel, "token_losses", spoiled)
    evaluate(EvaluateSection(samples=4), section.data, tmp_path / "run", work_in(tmp_path / "score"))
    score = read_row(tmp_path / "score/score.json", Score)
    assert (score.status, score.loss, score.bits_per_byte, score.document_sums) == ("diverged", None, None, ())
