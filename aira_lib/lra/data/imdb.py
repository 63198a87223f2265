"""IMDB's reviews (Maas et al. 2011), LRA's Text: as the archive's folders, or as records of TensorFlow Datasets.

    aclImdb/{train,test}/{neg,pos}/*.txt
    imdb_reviews/plain_text/1.0.0/imdb_reviews-{train,test}.tfrecord-00000-of-00001

Reviews without a label are passed over. LRA validates on the test; here a tenth of the training rows is held out.
"""

from pathlib import Path

from aira_lib.errors import UserError
from aira_lib.lra.data.rows import Row, Rows
from aira_lib.lra.data.sizes import VALIDATION_SHARE, Size
from aira_lib.lra.data.splits import held_out, sampled, text_hash
from aira_lib.lra.data.tfrecord import Features, read_examples

_LABELS = {"neg": 0, "pos": 1}
_SPLITS = ("train", "test")
WHERE = (
    "unpack aclImdb_v1.tar.gz (ai.stanford.edu/~amaas/data/sentiment) or let TensorFlow Datasets prepare imdb_reviews, "
    "and name that folder; source reversals needs no data"
)


def imdb(folder: Path, size: Size, seed: int) -> Rows:
    """The reviews below a folder, split and cut to a size.

    Raises:
        UserError: there are none, or a file is damaged.
    """
    given = {split: read_split(folder, split) for split in _SPLITS}
    labels = [row.label for row in given["train"]]
    hashes = [text_hash(row.texts[0][: size.max_len]) for row in given["train"]]
    validation = set(held_out(labels, hashes, VALIDATION_SHARE, seed))
    parts = {
        "train": [row for i, row in enumerate(given["train"]) if i not in validation],
        "validation": [row for i, row in enumerate(given["train"]) if i in validation],
        "test": given["test"],
    }
    taken = {name: _taken(rows, size, getattr(size, name), seed) for name, rows in parts.items()}
    facts = {
        "train_rows_given": len(labels),
        "test_rows_given": len(given["test"]),
        "train_rows_that_repeat": len(labels) - len(set(hashes)),
    }
    return Rows(taken["train"], taken["validation"], taken["test"], facts)


def _taken(rows: list[Row], size: Size, most: int, seed: int) -> list[Row]:
    order = sampled([row.label for row in rows], len(rows) if size.whole else most, seed)
    return [rows[i] for i in order]


def read_split(folder: Path, split: str) -> list[Row]:
    """The labelled reviews of a split, "train" or "test", in the order of their files' names.

    Raises:
        UserError: there are none below the folder, or a file is damaged.
    """
    files = split_files(folder, split)
    if not files:
        raise UserError(f"{folder}: no IMDB reviews of the split {split} here; {WHERE}")
    if files[0].suffix != ".txt":
        return [_of_example(path, example) for path in files for example in read_examples(path)]
    try:
        return [Row((path.read_bytes(),), _LABELS[path.parent.name]) for path in files]
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from None


def split_files(folder: Path, split: str) -> list[Path]:
    """The files that hold a split, by name: records where there are any, else one file a review.

    Raises:
        UserError: of several files of records one is missing.
    """
    if records := sorted(folder.rglob(f"imdb_reviews-{split}.tfrecord-*-of-*")):
        return _one_version(records)
    root = folder if (folder / split).is_dir() else folder / "aclImdb"
    return [path for name in _LABELS for path in sorted((root / split / name).glob("*.txt"))]


def _one_version(records: list[Path]) -> list[Path]:
    """The files of the first folder: beside plain_text may lie other forms of the same reviews."""
    found = [path for path in records if path.parent == records[0].parent]
    whole = int(found[0].name.rpartition("-")[2])
    if len(found) != whole:
        raise UserError(f"{found[0].parent}: {len(found)} of {whole} files {found[0].name} and so on; fetch the others")
    return found


def _of_example(path: Path, example: Features) -> Row:
    match example:
        case {"text": [bytes(text)], "label": [0 | 1 as label]}:
            return Row((text,), label)
    raise UserError(
        f"{path}: an example without text and a label of 0 or 1; name the records of imdb_reviews/plain_text"
    )


def imdb_files(folder: Path) -> list[Path]:
    """All files that are read, by name."""
    return [path for split in _SPLITS for path in split_files(folder, split)]
