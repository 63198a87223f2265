"""The tokenizer of a model that others trained, its ``tokenizer.json``.

The mark of a beginning is what the file's template puts before a text. `add_bos_token` of ``tokenizer_config.json`` has
no say where there is a ``tokenizer.json``, in transformers 5 either.
"""

from pathlib import Path
from typing import Any

from aira_lib.datasets.shards.tokenizer import TrainedTokenizer
from aira_lib.errors import UserError
from aira_lib.exchange.file_names import TOKENIZER
from aira_lib.store.files import write_file


def tokenizer_file(folder: Path, given: Path | None) -> Path:
    """Where the tokenizer of a checkpoint lies: in its folder, unless another is given.

    Raises:
        UserError: there is none.
    """
    if given and not given.is_file():
        raise UserError(f"--tokenizer {given}: no such file; name a {TOKENIZER}")
    if not given and not (folder / TOKENIZER).is_file():
        raise UserError(f"{folder}: has no {TOKENIZER}, without which no text can be scored; name one with --tokenizer")
    return given or folder / TOKENIZER


def keep_tokenizer(source: Path, vocab_size: int, end: int | None, record: Path) -> dict[str, Any]:
    """Write a tokenizer beside a record, in its canonical form.

    Args:
        source: the ``tokenizer.json``.
        vocab_size: kinds of tokens that the model has.
        end: the token that ends a text, where the file has none that is known to.
        record: the workplace.

    Returns:
        What `TrainingRun.data` says of it: `tokenizer`, its file; its digest; how many ids it has; the end of texts.

    Raises:
        UserError: it cannot be read, or has more ids than the model.
        MissingDependency: without the package tokenizers.
    """
    found = TrainedTokenizer(str(source))
    if found.ids > vocab_size:
        raise UserError(
            f"{source}: has {found.ids:,} ids, and the model {vocab_size:,}; it is the tokenizer of another model"
        )
    write_file(record / TOKENIZER, (found.file or "").encode())
    end = found.entry.end if found.entry.end < found.ids else end
    marks = {} if end is None else {"end": end}
    return {"tokenizer": TOKENIZER, "tokenizer_sha256": found.entry.digest, "vocab_size": found.ids, **marks}
