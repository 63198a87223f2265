"""The tokenizer of a training as files that transformers loads: the same ids for the same text, the same first token.

Where tokens are bytes there is no file to copy: one is made whose ids are the bytes. The text of a special token in a
document was text in training, and is text here: ``split_special_tokens``.
"""

import json
from pathlib import Path
from typing import Any

from aira_lib.datasets.shards.tokenizer import TrainedTokenizer
from aira_lib.datasets.text.corpus import SEPARATOR
from aira_lib.downstream.tokens import PromptTokenizer
from aira_lib.errors import UserError
from aira_lib.exchange.file_names import TOKENIZER

TOKENIZER_CONFIG = "tokenizer_config.json"
END = "<|endoftext|>"
"""The name of a mark that ends documents, where the tokenizer has none."""
_NUL = chr(SEPARATOR)

HARD = (
    "A sentence.", "", "  two  spaces\tand a tab\n\n", "naïve café, 東京, 🙂", "line\r\nend ", "<|endoftext|></s>[CLS]",
    "x = {'a': 1}  # comment", "\ufffd\u0100",
)  # fmt: skip
"""Texts on which tokenizers that are not quite alike differ."""


def write_tokenizer(folder: Path, tokenizer: PromptTokenizer, trained: TrainedTokenizer | None, length: int) -> None:
    """Write ``tokenizer.json`` and ``tokenizer_config.json``.

    Args:
        folder: where.
        tokenizer: of the training, which says what a prompt begins with.
        trained: the tokenizer behind it; None: tokens are bytes.
        length: tokens of the model's context.

    Raises:
        UserError: the mark that ends documents has no place in the tokenizer.
    """
    file = _of_bytes() if trained is None else _of_file(trained)
    prefix, end = (None if id_ is None else _token(file, id_) for id_ in (tokenizer.prefix, tokenizer.entry.end))
    if _beginning(file) != ([] if tokenizer.prefix is None else [tokenizer.prefix]):
        _begin_with(file, prefix, tokenizer.prefix)
    file.save(str(folder / TOKENIZER))
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": prefix, "eos_token": end, "pad_token": end,
        "add_bos_token": prefix is not None, "add_eos_token": False, "split_special_tokens": True,
        "clean_up_tokenization_spaces": False, "model_max_length": length, "padding_side": "left",
    }  # fmt: skip
    written = json.dumps({name: value for name, value in settings.items() if value is not None}, indent=2)
    (folder / TOKENIZER_CONFIG).write_text(written + "\n", encoding="utf-8")


def difference(folder: Path, tokenizer: PromptTokenizer) -> str:
    """The first hard text of which transformers finds other ids than training would have had; empty: there is none.

    Texts are as in a prompt: with its first token. transformers has to be installed.
    """
    from transformers import PreTrainedTokenizerFast

    loaded = PreTrainedTokenizerFast.from_pretrained(folder)
    first = [] if tokenizer.prefix is None else [tokenizer.prefix]
    for text in HARD:
        if list(loaded(text)["input_ids"]) != first + tokenizer.encode(text):
            return text
    return ""


def _of_bytes() -> Any:
    """A tokenizer whose ids are the bytes of a text. The byte 0 is taken out of it, and stands for a document's end."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

    letters = _letters()
    vocabulary = {_NUL if byte == SEPARATOR else letters[byte]: byte for byte in range(256)}
    made = Tokenizer(models.BPE(vocabulary, []))
    made.normalizer = normalizers.Replace(_NUL, "")
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(_NUL, special=True, normalized=False)])
    return made


def _letters() -> list[str]:
    """The letter that stands for each byte in byte-level tokenizers since GPT-2: itself where it can be printed."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in shown else chr(next(others)) for byte in range(256)]


def _of_file(trained: TrainedTokenizer) -> Any:
    """A copy of a trained tokenizer, with a token for the end of documents where its file has none."""
    from tokenizers import AddedToken, Tokenizer

    made = Tokenizer.from_str(trained.file or "")
    if trained.entry.end == trained.ids:
        made.add_special_tokens([AddedToken(END, special=True, normalized=False)])
        if made.token_to_id(END) != trained.entry.end:
            raise UserError(
                f"tokenizer {trained.entry.name}: its ids have gaps, so that the end of documents "
                f"({trained.entry.end:,}) cannot be a token of its file; export a model of another tokenizer"
            )
    return made


def _token(file: Any, id_: int) -> str:
    token: str | None = file.id_to_token(id_)
    if token is None:
        raise UserError(f"the tokenizer has no token {id_:,}, which begins or ends its documents; give the shards' own")
    return token


def _beginning(file: Any) -> list[int] | None:
    """What a tokenizer puts before a text; None where it puts something behind."""
    inner, outer = (file.encode("a", add_special_tokens=special).ids for special in (False, True))
    return outer[: len(outer) - len(inner)] if outer[len(outer) - len(inner) :] == inner else None


def _begin_with(file: Any, token: str | None, id_: int | None) -> None:
    """Have a tokenizer put this token, or nothing, before a text, and nothing behind."""
    from tokenizers.processors import ByteLevel, TemplateProcessing

    if token is None:
        file.post_processor = ByteLevel(
            trim_offsets=False
        )  # it changes no ids, and without one transformers makes its own
        return
    file.post_processor = TemplateProcessing(
        single=[token, "$A"], pair=[token, "$A", "$B"], special_tokens=[(token, id_)]
    )
