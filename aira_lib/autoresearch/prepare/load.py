"""The data of Autoresearch as arrays, with what they are: `autoresearch_data`.

For each split `tokens.npy` holds what a model is given, uint16 [rows, T], and `labels.npy`, int32, the token that
follows each: [rows, T] for train; for the hidden splits [rows, T, 2], with how many bytes of text it stands for. A row
of T + 1 packed tokens gives both.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aira_lib.autoresearch.prepare.packing import packed
from aira_lib.autoresearch.prepare.profiles import Profile
from aira_lib.autoresearch.prepare.text import Texts, documents
from aira_lib.autoresearch.prepare.vocabulary import Vocabulary, learned, vocabulary_of
from aira_lib.contents import file_digest
from aira_lib.datasets.cached import cached_folder
from aira_lib.errors import UserError
from aira_lib.identity import package_digest
from aira_lib.records import StandIn
from aira_lib.records.row import Row, read_row

TOKENS, LABELS, TOKENIZER, ABOUT = "tokens.npy", "labels.npy", "tokenizer.json", "about.json"
_OF_TRAINING = ("budget_seconds", "clock", "compile_allowance_seconds", "paper_allowance_seconds")
SPLITS = ("train", "validation", "test")


class About(Row):
    """What prepared data are."""

    profile: str
    source: str
    stand_in: StandIn | None = None
    rows: dict[str, int]
    bytes: dict[str, int]
    tokenizer: str
    data: str


@dataclass(frozen=True)
class AutoresearchData:
    """A folder with `train`, `validation`, `test` and the tokenizer, and what they are."""

    folder: Path
    about: About
    vocabulary: Vocabulary


def autoresearch_data(
    profile: Profile, texts: Texts, say: Callable[[str], None] = lambda line: None
) -> AutoresearchData:
    """Prepared data; made once, then found in the scratch folder by what determines it.

    Args:
        profile: The sizes.
        texts: Where documents come from.
        say: Is told when the data have to be made.

    Raises:
        UserError: a shard cannot be read, or there is too little text.
        StoreError: the disk refuses.
    """
    sizes = {name: value for name, value in asdict(profile).items() if name not in _OF_TRAINING}
    says = {"profile": sizes, "source": texts.source, "contents": texts.contents()}
    says["code"] = package_digest("autoresearch/prepare")
    key = hashlib.sha256(json.dumps(says, sort_keys=True).encode()).hexdigest()

    def make(place: Path) -> None:
        say(f"{profile.name}: making it from {texts.source}, once")
        _write(place, profile, texts)

    folder = cached_folder("autoresearch", key, make)
    file = json.loads((folder / TOKENIZER).read_text(encoding="utf-8"))
    return AutoresearchData(folder, read_row(folder / ABOUT, About), vocabulary_of(file, profile.vocabulary))


def rows_of(texts: Iterable[str], vocabulary: Vocabulary, profile: Profile) -> Iterator[NDArray[np.uint16]]:
    """Packed rows [T + 1] of documents, each behind the token that begins one."""
    return packed(_begun(texts, vocabulary, profile), profile.length + 1)


def _begun(texts: Iterable[str], vocabulary: Vocabulary, profile: Profile) -> Iterator[NDArray[np.uint16]]:
    bos = np.array([profile.bos], np.uint16)
    for text in texts:
        ids = vocabulary.encode(text)
        for start in range(0, len(ids), profile.length if profile.cuts else max(1, len(ids))):
            stop = start + profile.length if profile.cuts else None
            yield np.concatenate((bos, ids[start:stop]))


def labelled(rows: NDArray[np.uint16], byte_counts: NDArray[np.int32]) -> NDArray[np.int32]:
    """The next tokens of rows [n, T + 1] and the bytes that they stand for, int32 [n, T, 2].

    Raises:
        UserError: the bytes are not all that the rows hold: a row's first token would stand for text.
    """
    labels = np.stack([rows[:, 1:].astype(np.int32), byte_counts[rows[:, 1:]]], axis=-1)
    if int(labels[..., 1].sum(dtype=np.int64)) != int(byte_counts[rows].sum(dtype=np.int64)):
        raise UserError("a row begins with text, which would not be counted; begin documents with their own token")
    return labels


def _write(place: Path, profile: Profile, texts: Texts) -> None:
    vocabulary = learned(documents(texts, "train", profile.train_bytes), profile.vocabulary, profile.vocabulary_bytes)
    (place / TOKENIZER).write_text(json.dumps(vocabulary.file, ensure_ascii=False), encoding="utf-8")
    counts: dict[str, int] = {}
    held: dict[str, int] = {}
    for split in SPLITS:
        most = profile.train_bytes if split == "train" else profile.hidden_bytes
        rows = _rows(documents(texts, split, most), vocabulary, profile, split)
        (place / split).mkdir()
        np.save(place / split / TOKENS, rows[:, :-1])
        labels = rows[:, 1:].astype(np.int32) if split == "train" else labelled(rows, vocabulary.byte_counts)
        np.save(place / split / LABELS, labels)
        counts[split], held[split] = len(rows), int(vocabulary.byte_counts[rows[:, 1:]].sum(dtype=np.int64))
    arrays = [file_digest(place / split / name) for split in SPLITS for name in (TOKENS, LABELS)]
    stand_in = StandIn(what=texts.source, instead_of=texts.instead_of) if texts.instead_of else None
    about = About(
        profile=profile.name, source=texts.source, stand_in=stand_in, rows=counts, bytes=held,
        tokenizer=vocabulary.digest, data=hashlib.sha256("".join(arrays).encode()).hexdigest(),
    )  # fmt: skip
    (place / ABOUT).write_text(about.json_line(), encoding="utf-8")


def _rows(texts: Iterator[str], vocabulary: Vocabulary, profile: Profile, split: str) -> NDArray[np.uint16]:
    row = profile.length + 1
    joined = np.fromiter(chain.from_iterable(rows_of(texts, vocabulary, profile)), np.uint16)
    if not len(joined):
        raise UserError(f"{split}: too little text for one row of {profile.length:,} tokens")
    return joined.reshape(-1, row)
