"""Prompts have the tokens that a training had for the same text at the beginning of a document."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aira_lib.datasets.shards.adopt import adopt
from aira_lib.datasets.shards.plan import Preparation
from aira_lib.datasets.shards.prepare import prepare
from aira_lib.datasets.shards.tokenizer import tokenizer_of
from aira_lib.datasets.study import study_text
from aira_lib.downstream.tokens import PromptTokenizer, prompt_tokenizer
from aira_lib.errors import UserError
from aira_lib.records import TrainingRun
from aira_lib.store import open_store
from aira_lib.study import DataSection
from tests.aira_lib.datasets.shards.test_adopt import foreign
from tests.aira_lib.datasets.shards.texts import documents, lines, write_tokenizer
from tests.aira_lib.training import tiny

HARD = [
    "  two spaces first", "\ttab\r\nand\nlines \n", "a\0b", "half \ud83d of a pair", "cafe\u0301 caf\u00e9",
    "<|end_of_text|>", "x<|begin_of_text|>y <|endoftext|>", "1234567", "It's WE'LL", "\u00a0\u3000wide",
    "a" * 300, " " * 40 + "x",
]  # fmt: skip
TEXTS = [*HARD, *documents(40)]


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path / "scratch"))


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    (tmp_path / "text.jsonl").write_bytes(lines(TEXTS))
    return tmp_path / "text.jsonl"


def shards(texts: Path, tokenizer: str, name: str = "out", **settings: Any) -> DataSection:
    """Shards of the texts, and the section that names them."""
    output = texts.parent / name
    asked = Preparation((str(texts),), tokenizer=tokenizer, validation_one_in=10)
    prepare(asked, str(output), 1, lambda progress: None)
    return DataSection(name="shards", shards=str(output), **settings)


def files(texts: Path, **settings: Any) -> DataSection:
    return DataSection(name="files", paths=(str(texts),), **settings)


def trained(data: DataSection) -> TrainingRun:
    """The record of a training on this text."""
    told = {**study_text(data).provenance, "packing": data.packing}
    return TrainingRun(point=tiny.point(1), final_train_loss=1.0, steps=1, tokens=1, flops=1.0, status="ok", data=told)


def require_those_of_training(data: DataSection, tokens: PromptTokenizer, before: int) -> None:
    """Each document of the training text, from `before` tokens before it to its end, is the prompt of a text."""
    source = study_text(data).train
    prefix = [] if tokens.prefix is None else [tokens.prefix]
    prompts = {(*prefix, *tokens.encode(text)) for text in TEXTS}
    bounds, whole = source.bounds.tolist(), source.windows(np.array([0]), source.n_tokens)[0].tolist()
    seen = {tuple(whole[begin - before : end - 1]) for begin, end in pairwise(bounds)}
    assert len(seen) == len(bounds) - 1 > 25
    assert seen <= prompts


@pytest.mark.parametrize(
    ("kind", "packing", "before"),
    [
        ("bytes", "across", 1),
        ("llama", "across", 0),
        ("llama", "masked", 0),
        ("gpt2", "across", 1),
        ("neox", "masked", 0),
    ],
)
def test_a_prompt_has_the_tokens_of_a_documents_beginning(texts: Path, kind: str, packing: Any, before: int) -> None:
    named = "bytes" if kind == "bytes" else write_tokenizer(texts.parent, kind)
    data = shards(texts, named, packing=packing)
    tokens = prompt_tokenizer(trained(data), data)
    assert (tokens.prefix is None) == (packing == "masked" and kind != "llama")
    require_those_of_training(data, tokens, before)
    for text in ("The café.", " 1234 漢字"):
        assert tokens.decode([*tokens.encode(text), tokens.entry.end]) == text


@pytest.mark.parametrize(("packing", "before"), [("across", 1), ("masked", 0)])
def test_text_that_is_read_as_bytes(texts: Path, packing: Any, before: int) -> None:
    data = files(texts, packing=packing)
    tokens = prompt_tokenizer(trained(data), data)
    require_those_of_training(data, tokens, before)
    assert (tokens.entry.name, tokens.before) == ("bytes", 0)


@pytest.mark.parametrize("begun", [True, False])
def test_adopted_shards_begin_as_their_documents_do(texts: Path, begun: bool) -> None:
    """What another tool wrote with Llama's tokenizer has its mark of a beginning, or has not."""
    named = write_tokenizer(texts.parent, "llama")
    data = shards(texts, named)
    store, folder = open_store(data.shards), Path(data.shards)
    made_by = tokenizer_of(named)
    end, begin = made_by.entry.end, made_by.entry.begin
    if begun:
        for name in ("manifest.json", "tokenizer.json"):
            (folder / name).unlink()
    else:
        folder = texts.parent / "foreign"
        ids = [[*made_by.encode([text]).ids.tolist()[1:-1], end] for text in documents(30)]
        foreign(folder, "train", ids)
        foreign(folder, "valid", ids[:2])
        store = open_store(str(folder))
    adopt(store, named)
    adopted = DataSection(name="shards", shards=str(folder))
    tokens = prompt_tokenizer(trained(adopted), adopted)
    assert (tokens.prefix, tokens.before) == ((begin, begin) if begun else (end, end))
    require_those_of_training(adopted, tokens, 0 if begun else 1)


def test_another_tokenizer_than_the_trainings_is_one_line(texts: Path) -> None:
    llama = shards(texts, write_tokenizer(texts.parent, "llama"))
    gpt2 = shards(texts, write_tokenizer(texts.parent, "gpt2"), "other")
    bytes_ = files(texts)
    for run, data, line in (
        (llama, gpt2, r"the shards in .*other are of the tokenizer gpt2\.json .* was trained with llama\.json"),
        (llama, bytes_, r"name: files is not what .* was trained on \(shards\); give the data section"),
        (bytes_, llama, r"name: shards is not what .* was trained on"),
    ):
        with pytest.raises(UserError, match=line) as error:
            prompt_tokenizer(trained(run), data)
        assert "\n" not in str(error.value)
    (Path(llama.shards) / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"tokenizer\.json: .*the tokenizer that made the shards"):
        prompt_tokenizer(trained(llama), llama)
    named = llama.model_copy(update={"tokenizer": str(texts.parent / "llama.json")})
    assert prompt_tokenizer(trained(llama), named).encode("x y")


def test_an_imported_models_tokenizer_lies_in_its_record(tmp_path: Path) -> None:
    name = Path(write_tokenizer(tmp_path, "llama")).name
    made_by = tokenizer_of(str(tmp_path / name))
    told = {"corpus": "imported", "tokenizer": name, "tokenizer_sha256": made_by.entry.digest}
    run = TrainingRun(point=tiny.point(1), final_train_loss=None, steps=0, tokens=0, flops=0.0, status="ok", data=told)
    tokens = prompt_tokenizer(run, DataSection(), tmp_path)
    assert [tokens.prefix, *tokens.encode("some text"), tokens.entry.end] == made_by.encode(["some text"]).ids.tolist()
    (tmp_path / name).write_text(Path(write_tokenizer(tmp_path / "other", "gpt2")).read_text())
    with pytest.raises(UserError, match=r"llama\.json: not the tokenizer that the model was imported with"):
        prompt_tokenizer(run, DataSection(), tmp_path)
    for record in (None, tmp_path / "elsewhere"):
        with pytest.raises(UserError, match="no tokenizer beside the imported model"):
            prompt_tokenizer(run, DataSection(), record)
