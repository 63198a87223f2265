"""A score on token shards: of their very windows, bytes counted by their tokenizer, documents kept apart."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aira_lib.architecture.pattern import parse
from aira_lib.architecture.scales import scale_named
from aira_lib.datasets.shards.folder import TOKENIZER_FILE
from aira_lib.datasets.shards.tokenizer import tokenizer_of
from aira_lib.datasets.study import check_shards, data_identity, scored_identity, study_text
from aira_lib.errors import UserError
from aira_lib.evaluate.stage import evaluate
from aira_lib.evaluate.windows import documents_of_targets, held_out_starts
from aira_lib.extrapolate.stage import describe
from aira_lib.models.language_model import LanguageModel
from aira_lib.pretrain.points import pretraining_points
from aira_lib.pretrain.stage import pretrain
from aira_lib.records import PretrainPoint, Score, TrainingRun, read_row
from aira_lib.study import DataSection, EvaluateSection, PretrainSection
from aira_lib.training import checkpoint
from tests.aira_lib.datasets.shards.small import write_shards
from tests.aira_lib.datasets.shards.texts import documents, write_tokenizer
from tests.builders import work_in

SCALE = scale_named("nano", 3).model_copy(
    update={"n_layers": 2, "seq_len": 32, "tokens_per_step": 128, "vocab_size": 352}
)
SAMPLES = 40
pytestmark = pytest.mark.usefixtures("plain_kernels")


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path / "scratch"))


@dataclass
class Made:
    folder: Path
    tokenizer: str

    def section(self, **changes: Any) -> DataSection:
        return DataSection(name="shards", shards=str(self.folder), **changes)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Shards of texts by a tokenizer as Llama 3's, which is not beside them."""
    tokenizer = write_tokenizer(tmp_path, "llama")
    trained = tokenizer_of(tokenizer)
    splits = {
        split: [[trained.encode([text]).ids.tolist() for text in documents(20, seed)] for seed in seeds]
        for split, seeds in (("train", (1, 2)), ("validation", (3,)))
    }
    entry = trained.entry
    folder = write_shards(
        tmp_path / "made", splits, entry.vocab_size, name=entry.name, digest=entry.digest, begin=entry.begin,
        end=entry.end,
    )  # fmt: skip
    return Made(folder, tokenizer)


def point(steps: int) -> PretrainPoint:
    design = describe(
        "x@nano", base="x", kind="find", method="stretch", layers=parse("A-Mb"), scale=SCALE, trainable=True
    )
    section = PretrainSection.model_validate({"isotoken": {"scale": "nano", "tokens": 128 * steps, "seeds": [3]}})
    return pretraining_points(section, [design])[0]


def scored(folder: Path, data: DataSection) -> tuple[TrainingRun, Score]:
    pretrain(PretrainSection(data=data), point(2), work_in(folder / "run"))
    evaluate(EvaluateSection(samples=SAMPLES, batch_size=7), data, folder / "run", work_in(folder / "score"))
    return read_row(folder / "run" / "run.json", TrainingRun), read_row(folder / "score" / "score.json", Score)


def reference(record: Path, data: DataSection, apart: bool) -> np.ndarray:
    """Of each held-out window alone, and of each of its documents alone where they are apart: the losses in nats."""
    found = checkpoint.latest(record)
    assert found is not None
    model = LanguageModel(parse("A-Mb"), SCALE)
    model.load_state_dict(found[1]["model"])
    text = study_text(data).validation
    starts = held_out_starts(text, SCALE.seq_len, SAMPLES)
    losses = []
    for window in text.windows(starts, SCALE.seq_len + 1).astype(np.int64):
        cuts = np.flatnonzero(window[:-1] == text.end) + 1 if apart else []
        for inputs, targets in zip(np.split(window[:-1], cuts), np.split(window[1:], cuts), strict=True):
            if len(inputs):
                with torch.no_grad():
                    chances = torch.log_softmax(model(torch.from_numpy(inputs)[None])[0].double(), -1)
                losses.append(-chances[torch.arange(len(targets)), torch.from_numpy(targets)].numpy())
    return np.concatenate(losses)


@pytest.mark.parametrize("packing", ["across", "masked"])
def test_a_score_is_that_of_its_windows_and_its_bytes_are_those_of_their_text(
    made: Made, tmp_path: Path, packing: Any
) -> None:
    data = made.section(packing=packing, tokenizer=made.tokenizer)
    run, score = scored(tmp_path / packing, data)
    assert (run.data["packing"], run.data["corpus"]) == (packing, "shards")
    losses = reference(tmp_path / packing / "run", data, packing == "masked")
    assert score.loss == pytest.approx(losses.mean(), rel=1e-5)
    text = study_text(data).validation
    starts = held_out_starts(text, SCALE.seq_len, SAMPLES)
    said = tokenizer_of(made.tokenizer).decode(text.windows(starts, SCALE.seq_len + 1)[:, 1:].ravel())
    assert score.bytes_by == "tokenizer"
    # Windows begin and end within characters: of those that are cut, decoding counts a mark of three bytes.
    assert score.text_bytes == pytest.approx(len(said.encode()), rel=0.02)
    assert score.bits_per_byte == pytest.approx(losses.sum() / math.log(2) / score.text_bytes, rel=1e-5)
    owners = documents_of_targets(text, starts, SCALE.seq_len)
    assert score.document_tokens == tuple(np.unique(owners, return_counts=True)[1].tolist())


def test_the_tokenizer_beside_the_shards_counts_as_the_one_that_is_named(made: Made, tmp_path: Path) -> None:
    tokens = study_text(made.section()).validation.windows(np.array([0, 50]), 200)
    named, average = (study_text(made.section(**each)).text_bytes for each in ({"tokenizer": made.tokenizer}, {}))
    assert average.by == "average"
    (made.folder / TOKENIZER_FILE).write_text(Path(made.tokenizer).read_text())
    beside = study_text(made.section()).text_bytes
    assert (named.by, beside.by) == ("tokenizer", "tokenizer")
    assert named.count(tokens) == beside.count(tokens) != average.count(tokens)


def test_keys_of_scores_say_how_bytes_are_counted_and_those_of_training_do_not(made: Made) -> None:
    named = made.section(tokenizer=made.tokenizer)
    assert data_identity(named) == data_identity(made.section())
    assert scored_identity(named) == {**data_identity(named), "bytes_by": "tokenizer"}
    assert scored_identity(made.section())["bytes_by"] == "average"
    assert scored_identity(DataSection()) == data_identity(DataSection())


def test_another_tokenizer_is_refused(made: Made, tmp_path: Path) -> None:
    other = write_tokenizer(tmp_path / "other", "gpt2")
    for read in (lambda data: check_shards(data, [SCALE]), study_text, scored_identity):
        with pytest.raises(UserError, match=r"gpt2\.json: not what made the shards in .*llama\.json") as error:
            read(made.section(tokenizer=other))
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"no/such\.json: not a tokenizer\.json \(No such file"):
        study_text(made.section(tokenizer="no/such.json"))
    (tmp_path / "text.json").write_text("not JSON")
    with pytest.raises(UserError, match=r"text\.json: not a tokenizer\.json \(it is no JSON\)"):
        study_text(made.section(tokenizer=str(tmp_path / "text.json")))
    (made.folder / TOKENIZER_FILE).write_text(Path(other).read_text())
    with pytest.raises(UserError, match=r"tokenizer\.json: not the tokenizer that made the shards"):
        study_text(made.section()).text_bytes.count(np.zeros(3, np.int64))
