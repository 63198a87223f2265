"""Texts and tokenizers of the tests of shards."""

import json
import random
from functools import cache
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

WORDS = (
    "the",
    "a",
    "model",
    "token",
    "café",
    "naïve",
    "漢字",
    "1234",
    "3.14",
    "it's",
    "WE'LL",
    "data\tshard",
    "",
    "f(x):",
)
LLAMA = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)


def documents(count: int, seed: int = 0) -> list[str]:
    """Distinct documents of one to some hundred words."""
    rng = random.Random(seed)
    return [f"{seed}/{n}: " + " ".join(rng.choices(WORDS, k=rng.randint(1, 200))) for n in range(count)]


def lines(texts: list[str], field: str = "text") -> bytes:
    return "".join(json.dumps({field: text, "url": "x"}) + "\n" for text in texts).encode()


@cache
def tokenizer_json(kind: str) -> str:
    """A small byte-level tokenizer trained here: as GPT-2's, as Llama 3's (template, expression), as GPT-NeoX's."""
    made = Tokenizer(models.BPE())
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind != "llama")
    split = pre_tokenizers.Split(Regex(LLAMA), "isolated")
    made.pre_tokenizer = pre_tokenizers.Sequence([split, level]) if kind == "llama" else level
    if kind == "neox":
        made.normalizer = normalizers.NFC()
    marks = ["<|begin_of_text|>", "<|end_of_text|>"] if kind == "llama" else ["<|endoftext|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=350, special_tokens=marks, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    made.train_from_iterator(documents(60, seed=9), trainer)
    if kind == "llama":
        made.post_processor = processors.TemplateProcessing(
            single=f"{marks[0]} $A", special_tokens=[(marks[0], made.token_to_id(marks[0]))]
        )
    if kind == "neox":
        made.add_tokens([AddedToken(" " * n, normalized=True) for n in range(24, 1, -1)])
    made.enable_truncation(8)  # as many published files have it; what is trained on must not be cut
    return str(made.to_str())


def write_tokenizer(folder: Path, kind: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kind}.json"
    path.write_text(tokenizer_json(kind), encoding="utf-8")
    return str(path)
