"""The tokenizer of a model that others trained: ``tokenizer.json``, with the mark that it is used with.

That mark, of a beginning, may stand in two places: the template of the file itself, and `add_bos_token` of
``tokenizer_config.json``, which has the last word in transformers. What is kept is one file whose template puts what
they would put.
"""

import json
from pathlib import Path
from typing import Any

from aira_lib.datasets.shards.tokenizer import TrainedTokenizer
from aira_lib.errors import UserError
from aira_lib.store.files import write_file

TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"


def keep_tokenizer(folder: Path, given: Path | None, vocab_size: int, record: Path) -> dict[str, Any]:
    """Write the tokenizer of a checkpoint beside its record.

    Args:
        folder: of the checkpoint.
        given: another ``tokenizer.json``, where the folder has none.
        vocab_size: kinds of tokens that the model has.
        record: the workplace, where ``tokenizer.json`` is written.

    Returns:
        What `TrainingRun.data` says of it: `tokenizer`, its file; its digest; how many ids it has.

    Raises:
        UserError: there is none, it cannot be read, or has more ids than the model.
        MissingDependency: without the package tokenizers.
    """
    source = tokenizer_file(folder, given)
    target = record / TOKENIZER
    write_file(target, (TrainedTokenizer(str(source)).file or "").encode())
    settings = {} if given else _settings(folder)
    if isinstance(asked := settings.get("add_bos_token"), bool):
        _mark(target, _bos(settings) if asked else None, folder)
    kept = TrainedTokenizer(str(target))
    entry = kept.entry
    if kept.ids > vocab_size:
        raise UserError(
            f"{source}: has {kept.ids:,} ids, and the model {vocab_size:,}; it is the tokenizer of another model"
        )
    return {"tokenizer": TOKENIZER, "tokenizer_sha256": entry.digest, "vocab_size": entry.vocab_size}


def tokenizer_file(folder: Path, given: Path | None) -> Path:
    """Where the tokenizer of a checkpoint lies.

    Raises:
        UserError: there is none.
    """
    if given and not given.is_file():
        raise UserError(f"--tokenizer {given}: no such file; name a tokenizer.json")
    if not given and not (folder / TOKENIZER).is_file():
        raise UserError(f"{folder}: has no {TOKENIZER}, without which no text can be scored; name one with --tokenizer")
    return given or folder / TOKENIZER


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / TOKENIZER_CONFIG
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UserError(f"{path}: not JSON; fetch the checkpoint again") from None
    return found if isinstance(found, dict) else {}


def _bos(settings: dict[str, Any]) -> str | None:
    token = settings.get("bos_token")
    return token.get("content") if isinstance(token, dict) else token


def _mark(file: Path, begin: str | None, folder: Path) -> None:
    """Have the template of a tokenizer put this token, or none, before a text; behind it nothing more than it did."""
    tokenizer = TrainedTokenizer(str(file))
    before = tokenizer.entry.begin
    wanted = tokenizer.named(begin) if begin else None
    if begin and wanted is None:
        raise UserError(f"{folder / TOKENIZER_CONFIG}: its bos_token {begin!r} is not in {TOKENIZER}; fetch both again")
    if wanted == before:
        return
    content = json.loads(file.read_text(encoding="utf-8"))
    content["post_processor"] = _template(begin, wanted) if begin else None
    write_file(file, json.dumps(content, ensure_ascii=False).encode())


def _template(token: str, place: int | None) -> dict[str, Any]:
    """A template of the package tokenizers: the token, then the text."""
    text = {"Sequence": {"id": "A", "type_id": 0}}
    single = [{"SpecialToken": {"id": token, "type_id": 0}}, text]
    special = {token: {"id": token, "ids": [place], "tokens": [token]}}
    return {"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": special}
