"""The text of a study, in memory and as shards: the same tokens give the same, and what does not fit is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aira_lib.architecture.scales import scale_named
from aira_lib.datasets.shards.tokenizer import ByteTokenizer
from aira_lib.datasets.study import check_shards, data_identity, study_text
from aira_lib.datasets.text import text_files_corpus
from aira_lib.errors import UserError
from aira_lib.flow.checks import check_study, check_text
from aira_lib.study import DataSection, Study
from tests.aira_lib.datasets.shards.small import END, documents_of_lengths, write_shards
from tests.builders import TINY_STUDY, small_text

NANO = scale_named("nano", 3)
SPLITS = {
    "train": [documents_of_lengths([400] * 3), documents_of_lengths([50, 300], 1)],
    "validation": [documents_of_lengths([200] * 2, 2)],
}


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path / "scratch"))


def section(folder: Path, **changes: Any) -> DataSection:
    return DataSection(name="shards", shards=str(folder), **changes)


def as_shards(folder: Path, data: DataSection) -> DataSection:
    """The text of files as shards of bytes."""
    corpus = text_files_corpus(*data.paths, max_train_bytes=60_000, max_validation_bytes=10_000)
    splits = {}
    for name, tokens in (("train", corpus.train), ("validation", corpus.validation)):
        documents = [part.tolist() for part in np.split(tokens, np.flatnonzero(tokens == 0) + 1) if len(part)]
        splits[name] = [documents[:3], documents[3:]]
    return section(write_shards(folder, splits, vocab_size=256, name="bytes"))


def test_shards_of_bytes_are_the_text_in_memory(tmp_path: Path) -> None:
    files = DataSection.model_validate(small_text(tmp_path / "text"))
    memory, shards = study_text(files), study_text(as_shards(tmp_path / "shards", files))
    for step in (0, 3, 90):
        one, other = (text.batches(NANO, 4).rows(step) for text in (memory, shards))
        assert np.array_equal(one.inputs, other.inputs)
        assert np.array_equal(one.targets, other.targets)
    assert np.array_equal(memory.validation.bounds, shards.validation.bounds)
    assert (memory.text_bytes.by, shards.text_bytes.by) == ("tokens", "tokens")
    assert shards.text_bytes.count(np.zeros((3, 5))) == 15


def test_a_tokenizer_may_be_called_bytes_as_where_shards_are_made(tmp_path: Path) -> None:
    digest = ByteTokenizer.entry.digest
    of_bytes = write_shards(tmp_path / "bytes", SPLITS, vocab_size=300, name="bytes", digest=digest)
    assert study_text(section(of_bytes, tokenizer="bytes")).text_bytes.by == "tokens"
    others = write_shards(tmp_path / "others", SPLITS)
    with pytest.raises(UserError, match=r"tokenizer: bytes: not what made the shards in .*others"):
        study_text(section(others, tokenizer="bytes"))


def test_the_record_says_what_was_read_and_how_often(tmp_path: Path) -> None:
    text = study_text(section(write_shards(tmp_path / "a", SPLITS), packing="masked"))
    scale = NANO.model_copy(update={"vocab_size": 300})
    batches = text.batches(scale, 0)
    said = text.read_in(batches, 10)
    assert said["packing"] == "masked"
    assert (said["train_tokens"], said["validation_tokens"], said["train_documents"]) == (1555, 402, 5)
    assert (said["tokenizer_sha256"], said["vocab_size"]) == ("d" * 64, 300)
    assert said["epochs"] == pytest.approx(10 * 2048 / (1555 // 128 - 1) / 128)
    assert len(said["contents_sha256"]) == 64
    assert "shards_at_once" not in said


def test_bytes_are_counted_by_the_average_where_no_tokenizer_is_known(tmp_path: Path) -> None:
    text = study_text(section(write_shards(tmp_path / "a", SPLITS)))
    assert text.text_bytes.by == "average"
    assert text.text_bytes.count(np.zeros((2, 50))) == pytest.approx(400)


def test_keys_name_contents_and_what_changes_the_order(tmp_path: Path) -> None:
    one, other = (write_shards(tmp_path / name, SPLITS) for name in "ab")
    assert data_identity(section(one)) == data_identity(section(other))
    assert set(data_identity(section(one))) == {"shards"}
    assert data_identity(section(one, packing="masked")) == {**data_identity(section(one)), "packing": "masked"}
    assert data_identity(section(one, shards_at_once=2)) == {**data_identity(section(one)), "shards_at_once": 2}
    files = DataSection.model_validate(small_text(tmp_path / "text"))
    assert set(data_identity(files)) == {"train_bytes", "validation_bytes", "text", "text_field"}
    assert set(data_identity(DataSection())) == {"train_bytes", "validation_bytes", "text"}


def test_shards_at_a_time_are_read_to_the_same_tokens(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "a", SPLITS)
    scale = NANO.model_copy(update={"vocab_size": 300, "seq_len": 16, "tokens_per_step": 64})
    batches = study_text(section(folder, shards_at_once=1)).batches(scale, 0)
    groups = [batches.order.group(turn) for turn in range(batches.order.windows)]
    assert [groups[0], groups[-1]] in ([[0], [1]], [[1], [0]])
    text = np.concatenate([np.array(document) for shard in SPLITS["train"] for document in shard])
    for step in range(batches.order.windows // 4):
        for place, row in zip(batches.order.places(np.arange(4) + 4 * step), batches.rows(step).inputs, strict=True):
            assert np.array_equal(row, text[place : place + 16])


@pytest.mark.parametrize(
    ("changes", "splits", "words"),
    [
        ({"vocab_size": 256}, SPLITS, "vocab_size 256 is smaller than the 300 kinds of tokens"),
        ({"tokens_per_step": 64}, SPLITS, "tokens_per_step 64 is not a multiple of seq_len 128"),
        ({"seq_len": 1555, "tokens_per_step": 1555}, SPLITS, "the text has 1,555 tokens, too few for windows"),
        ({"seq_len": 500, "tokens_per_step": 500}, SPLITS, "the held-out text has 402 tokens, too few"),
        ({}, {**SPLITS, "validation": []}, r"the held-out text has 0 tokens, .*smaller --validation-one-in"),
        ({}, {"train": SPLITS["train"]}, "no split 'validation'"),
    ],
)
def test_what_does_not_fit_a_scale_is_refused(tmp_path: Path, changes: dict[str, int], splits: Any, words: str) -> None:
    scale = NANO.model_copy(update={"vocab_size": 300, **changes})
    chosen = section(write_shards(tmp_path / "a", splits))
    with pytest.raises(UserError, match=words) as error:
        check_shards(chosen, [scale])
    assert "\n" not in str(error.value)
    if (changes and "1,555" in words) or "kinds" in words:
        with pytest.raises(UserError, match=words):
            study_text(chosen).batches(scale, 0)


def test_masked_packing_needs_ends(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "a", {**SPLITS, "train": [[[5] * 400, [6] * 300]]})
    scale = NANO.model_copy(update={"vocab_size": 300})
    study_text(section(folder)).batches(scale, 0)
    with pytest.raises(UserError, match="do not end with the token"):
        study_text(section(folder, packing="masked")).batches(scale, 0)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"name": "shards"}, "which needs it"),
        ({"shards": "x"}, "shards names the folder"),
        ({"name": "shards", "shards": "x", "paths": ["y"]}, "paths belong to name: files"),
        ({"name": "shards", "shards": "x", "max_train_bytes": 20_000}, "max_train_bytes says nothing of name: shards"),
        ({"tokenizer": "t.json"}, "tokenizer says nothing of name: python-stdlib"),
        ({"shards_at_once": 3}, "shards_at_once says nothing of name: python-stdlib"),
        ({"name": "shards", "shards": "x", "shards_at_once": 0}, "greater than or equal to 1"),
        ({"packing": "padded"}, "'across' or 'masked'"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(data: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DataSection.model_validate(data)


def study_on(data: dict[str, Any], **scale: Any) -> Study:
    own = {**NANO.model_dump(), "name": "own", "source": "", "vocab_size": 300, **scale}
    pretrain = {**TINY_STUDY["pretrain"], "data": data, "isotoken": {"scale": "own", "tokens": 8192, "seeds": [0]}}
    return Study.model_validate({**TINY_STUDY, "scales": {"own": own}, "pretrain": pretrain})


def test_a_study_on_shards_is_checked_here_and_not_where_it_is_read(tmp_path: Path) -> None:
    data = {"name": "shards", "shards": str(tmp_path / "a")}
    check_study(study_on(data))
    with pytest.raises(UserError, match=r"pretrain\.data\.shards: .*no token shards there"):
        check_text(study_on(data))
    write_shards(tmp_path / "a", SPLITS)
    check_text(study_on(data))
    with pytest.raises(UserError, match=r"pretrain\.data\.shards: scale own: vocab_size 200 is smaller"):
        check_text(study_on(data, vocab_size=200))
    with pytest.raises(ValueError, match="tokens_per_step 100 is not a multiple of seq_len 128"):
        study_on(data, tokens_per_step=100)
    with pytest.raises(ValueError, match="vocab_size 200 is smaller than the 256 kinds"):
        study_on({}, vocab_size=200)


def test_the_end_of_a_document_belongs_to_it(tmp_path: Path) -> None:
    text = study_text(section(write_shards(tmp_path / "a", SPLITS), packing="masked"))
    batch = text.batches(NANO.model_copy(update={"vocab_size": 300}), 0).rows(0)
    assert batch.documents is not None
    starts = np.diff(batch.documents, axis=1) == 1
    assert np.array_equal(starts, batch.inputs[:, :-1] == END)
