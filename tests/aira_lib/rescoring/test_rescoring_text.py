"""The rows that scripts are scored on, and the module `prepare` as scripts use it."""

import dataclasses
import importlib
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aira_lib.autoresearch.prepare.load import autoresearch_data
from aira_lib.autoresearch.prepare.profiles import profile_of
from aira_lib.autoresearch.prepare.text import texts_in
from aira_lib.errors import UserError
from aira_lib.rescoring import prepared
from aira_lib.rescoring.text import Mode, Text, require_fitting
from tests.aira_lib.autoresearch.test_autoresearch_prepare import SMALL, TEXT, shards
from tests.aira_lib.rescoring.claiming_scripts import LENGTH, VOCABULARY, small_text

__all__ = ["shards"]


@pytest.fixture
def laid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Lays a text out and imports the module `prepare` that lies there."""
    found: list[str] = []

    def lay(text: Text, mode: Mode = "claim") -> Any:
        monkeypatch.syspath_prepend(str(text.lay(tmp_path / f"{mode}{len(found)}", mode, 7.0)))
        found.append(mode)
        sys.modules.pop("prepare", None)
        return importlib.import_module("prepare")

    yield lay
    sys.modules.pop("prepare", None)


def test_rows_are_those_that_were_packed(shards: Path, laid: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "profile_of", lambda name: SMALL)
    text, of = prepared.prepared_text(shards, lambda line: None)
    require_fitting(text)
    data = autoresearch_data(SMALL, texts_in(shards))
    assert text.validation.shape == (data.about.rows["validation"], SMALL.length + 1)
    for split, rows in (("train", text.train), ("validation", text.validation), ("test", text.unseen)):
        assert int(text.token_bytes[rows[:, 1:]].sum()) == data.about.bytes[split]
        assert np.array_equal(rows[:, :-1], np.load(data.folder / split / "tokens.npy"))
    assert "5 parquet shards" in of

    tokenizer = laid(text).Tokenizer.from_directory()
    ids = tokenizer.encode(TEXT, prepend=tokenizer.get_bos_token_id())
    assert ids == [SMALL.bos, *data.vocabulary.encode(TEXT).tolist()]
    assert tokenizer.decode(ids) == TEXT
    assert tokenizer.encode([TEXT, TEXT]) == [ids[1:], ids[1:]]
    assert tokenizer.get_vocab_size() == profile_of("cpu").vocabulary - 1_024 + SMALL.vocabulary


def test_batches_come_in_order_and_again(laid: Any) -> None:
    text = small_text()
    module = laid(text)
    batches = list(islice(module.make_dataloader(None, 24, LENGTH, "train"), 6))
    asked = np.concatenate([x.numpy() for x, _, _ in batches])
    assert np.array_equal(asked, np.resize(text.train[:, :-1], asked.shape))
    for x, y, _ in batches:
        assert np.array_equal(x[:, 1:], y[:, :-1])
    assert [epoch for _, _, epoch in batches] == [1, 1, 1, 2, 2, 2]
    assert (module.MAX_SEQ_LEN, module.TIME_BUDGET, module.VOCAB_SIZE) == (LENGTH, 7.0, VOCABULARY)
    with pytest.raises(ValueError, match="'train' or 'val'"):
        next(module.make_dataloader(None, 1, LENGTH, "test"))


def test_rows_of_another_length_are_the_text_cut_anew(laid: Any) -> None:
    text = small_text()
    x, y, _ = next(laid(text).make_dataloader(None, 4, 7, "val"))
    joined = np.concatenate([x.numpy(), y.numpy()[:, -1:]], axis=1).reshape(-1)
    assert np.array_equal(joined, text.validation.reshape(-1)[: 4 * 8])


def test_who_answers_finds_no_targets(tmp_path: Path, laid: Any) -> None:
    text = small_text()
    module = laid(text, "answer")
    place = Path(module.__file__).parent
    assert not (place / "validation.npy").exists()
    held = b"".join(path.read_bytes() for path in place.rglob("*.npy"))
    assert text.train[0].tobytes() in held
    for rows in (text.validation, text.unseen):
        assert not any(row[1:].tobytes() in held for row in rows)
    x, _, _ = next(module.make_dataloader(None, 1, LENGTH, "val"))
    assert np.array_equal(x.numpy()[0], text.train[0, :-1])


def test_rows_that_do_not_belong_together_are_refused() -> None:
    text = small_text()
    require_fitting(text)
    with pytest.raises(UserError, match="rows of unseen have 16 tokens"):
        require_fitting(dataclasses.replace(text, unseen=text.unseen[:, :-1]))
    with pytest.raises(UserError, match="none of a vocabulary of 10"):
        require_fitting(dataclasses.replace(text, pieces=text.pieces[:10]))
