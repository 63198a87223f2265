"""The rows of the CPU's profile: of parquet shards, or of the stand-in."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from aira_lib.autoresearch.prepare.load import LABELS, SPLITS, TOKENS, AutoresearchData, autoresearch_data
from aira_lib.autoresearch.prepare.profiles import profile_of
from aira_lib.autoresearch.prepare.services import HOLDERS
from aira_lib.autoresearch.prepare.text import texts_in
from aira_lib.rescoring.text import Text, Tokens


def prepared_text(shards: Path | None, say: Callable[[str], None]) -> tuple[Text, str]:
    """What scripts are trained and scored on, and in words what it is of.

    Args:
        shards: A folder with parquet shards; None: the stand-in.
        say: Is told when the data have to be made.

    Raises:
        UserError: a shard cannot be read, or there is too little text.
    """
    profile = profile_of("cpu")
    data = autoresearch_data(profile, texts_in(shards), say)
    train, validation, unseen = (_rows(data, split) for split in SPLITS)
    tokenizer = json.dumps(data.vocabulary.file, ensure_ascii=False)
    text = Text(train, validation, unseen, data.vocabulary.raw, profile.bos, tokenizer, HOLDERS)
    return text, f"text: {data.about.stand_in or data.about.source}"


def _rows(data: AutoresearchData, split: str) -> Tokens:
    """Packed rows [n, T + 1]: what a model is given, and the token after its last one."""
    tokens, labels = (np.load(data.folder / split / name, allow_pickle=False) for name in (TOKENS, LABELS))
    last = labels[:, -1:] if labels.ndim == 2 else labels[:, -1:, 0]
    return np.concatenate([tokens, last.astype(np.uint16)], axis=1)
