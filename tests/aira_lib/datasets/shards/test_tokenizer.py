"""Tokenizers of shards: tiktoken against the package `tokenizers`, marks, and what does not convert."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from aira_lib.datasets.shards.byte_pairs import HARD_CASES, BytePairs, CannotConvert, proven, token_bytes
from aira_lib.datasets.shards.tokenizer import ByteTokenizer, digest_of, quickest, tokenizer_of
from aira_lib.errors import UserError
from tests.aira_lib.datasets.shards.texts import documents, tokenizer_json, write_tokenizer

KINDS = ("gpt2", "llama", "neox")


def exact(kind: str) -> Tokenizer:
    """The package's own, told that text is text."""
    loaded = Tokenizer.from_str(tokenizer_json(kind))
    loaded.no_truncation()
    loaded.encode_special_tokens = True
    return loaded


FAST = {kind: BytePairs(json.loads(tokenizer_json(kind))) for kind in KINDS}
EXACT = {kind: exact(kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.one_of(st.text(), st.text(alphabet="  \n\t'aZ19é\u0301<|endoftext|>漢👍🏽-", max_size=80)))
def test_tiktoken_gives_the_ids_of_the_package_on_any_text(kind: str, text: str) -> None:
    ids = EXACT[kind].encode(text, add_special_tokens=False).ids
    assert FAST[kind].encode(text).tolist() == ids


@pytest.mark.parametrize("kind", KINDS)
def test_what_converts_is_proven_and_used(kind: str, tmp_path: Path) -> None:
    name, texts = write_tokenizer(tmp_path, kind), documents(20)
    assert quickest(name, texts) == ("tiktoken", "")
    fast, slow = tokenizer_of(name, "tiktoken"), tokenizer_of(name)
    assert (fast.engine, slow.engine, fast.entry) == ("tiktoken", "tokenizers", slow.entry)
    encoded, other = fast.encode([*texts, *HARD_CASES]), slow.encode([*texts, *HARD_CASES])
    assert encoded.ids.dtype == other.ids.dtype == np.dtype("<u2")
    assert encoded.ids.tolist() == other.ids.tolist()
    assert encoded.lengths.tolist() == other.lengths.tolist()
    assert encoded.lengths.sum() == len(encoded.ids)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_tokens_become_the_text_again_and_its_bytes_are_counted(kind: str, tmp_path: Path) -> None:
    tokenizer, texts = tokenizer_of(write_tokenizer(tmp_path, kind)), [*documents(5), *HARD_CASES]
    encoded = tokenizer.encode(texts)
    assert tokenizer.decode(encoded.ids) == "".join(texts)
    assert tokenizer.text_bytes(encoded.ids) == len("".join(texts).encode())


def test_marks_are_those_of_the_file(tmp_path: Path) -> None:
    llama = tokenizer_of(write_tokenizer(tmp_path, "llama"))
    assert (llama.entry.begin, llama.entry.end) == (0, 1)
    assert llama.encode(["", "a"]).ids[:3].tolist() == [0, 1, 0]
    gpt2 = tokenizer_of(write_tokenizer(tmp_path, "gpt2"))
    assert (gpt2.entry.begin, gpt2.entry.end, gpt2.entry.vocab_size) == (None, 0, 350)
    assert 0 not in gpt2.encode(["<|endoftext|>"]).ids[:-1].tolist(), "a mark in a document is text"


def test_a_file_without_an_end_gets_one_behind_its_ids(tmp_path: Path) -> None:
    made = Tokenizer(models.BPE(vocab={"a": 0, "b": 7}, merges=[]))
    made.save(str(tmp_path / "tokenizer.json"))
    entry = tokenizer_of(str(tmp_path / "tokenizer.json")).entry
    assert (entry.end, entry.vocab_size) == (8, 9)


def test_a_digest_is_of_the_canonical_json(tmp_path: Path) -> None:
    name = write_tokenizer(tmp_path, "gpt2")
    content = json.loads(Path(name).read_text())
    digest = tokenizer_of(name).entry.digest
    turned = {**dict(reversed(content.items())), "truncation": None}
    assert content["truncation"], "a file that cuts texts makes the ids of one that does not"
    Path(name).write_text(json.dumps(turned, indent=4))
    assert tokenizer_of(name).entry.digest == digest == digest_of(turned)
    assert ByteTokenizer().entry.digest == hashlib.sha256(b"bytes").hexdigest()


def test_bytes_are_bytes() -> None:
    encoded = ByteTokenizer().encode(["é", "", "ab"])
    assert bytes(encoded.ids.tolist()) == "é\0\0ab\0".encode()
    assert encoded.lengths.tolist() == [3, 1, 3]
    assert len(ByteTokenizer().encode([]).lengths) == 0


def changed(**entries: Any) -> dict[str, Any]:
    content = json.loads(tokenizer_json("gpt2"))
    model = entries.pop("model", {})
    return {**content, **entries, "model": {**content["model"], **model}}


def without_a_byte() -> dict[str, Any]:
    content = changed()
    del content["model"]["vocab"]["Ā"]
    return content


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (changed(model={"type": "Unigram"}), "its model is Unigram"),
        (changed(model={"byte_fallback": True}), "byte_fallback"),
        (changed(model={"dropout": 0.1}), "dropout"),
        (changed(normalizer={"type": "Lowercase"}), "Lowercase"),
        (changed(pre_tokenizer=None), "splits text by nothing"),
        (changed(pre_tokenizer={"type": "ByteLevel", "add_prefix_space": True, "use_regex": True}), "a space before"),
        (changed(pre_tokenizer={"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}), "does not split"),
        (changed(added_tokens=[{"id": 350, "content": "x", "lstrip": True, "special": False}]), "ways of its own"),
        (changed(model={"merges": json.loads(tokenizer_json("gpt2"))["model"]["merges"][::-1]}), "do not rise"),
        (without_a_byte(), "lacks 1 of the 256 bytes"),
    ],
)
def test_what_does_not_convert_says_why(content: dict[str, Any], why: str) -> None:
    with pytest.raises(CannotConvert, match=why):
        BytePairs(content)


def test_ids_that_differ_are_found() -> None:
    # This one splits numbers otherwise than it says to tiktoken: the hard cases hold digits.
    content = changed()
    split = {"type": "Split", "pattern": {"Regex": r"\p{N}+|\P{N}+"}, "behavior": "Isolated", "invert": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False, "trim_offsets": True}
    content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, level]}
    fast, other = BytePairs(content), EXACT["gpt2"]
    assert "ids differ on" in proven(fast, lambda text: other.encode(text, add_special_tokens=False).ids, [])


def test_what_is_too_long_for_tiktoken_is_left_to_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = tokenizer_of(write_tokenizer(tmp_path, "gpt2"), "tiktoken")
    with pytest.raises(ValueError, match=r"[Rr]egex"):
        FAST["gpt2"].encode("x" + " " * 1_000_000 + "y")

    def refuse(self: BytePairs, text: str) -> None:
        raise ValueError("Regex error")

    monkeypatch.setattr(BytePairs, "encode", refuse)
    assert (
        tokenizer.encode(["a b"]).ids.tolist()
        == tokenizer_of(write_tokenizer(tmp_path, "gpt2")).encode(["a b"]).ids.tolist()
    )


def test_what_is_not_byte_level_has_no_bytes() -> None:
    assert token_bytes(changed(pre_tokenizer=None, decoder=None)) is None
    made = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    assert token_bytes(json.loads(made.to_str())) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', "\xff"])
def test_what_is_no_tokenizer_is_one_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match=r"t\.json") as error:
        tokenizer_of(str(tmp_path / "t.json"))
    assert "\n" not in str(error.value)
