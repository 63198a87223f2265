"""The AAN corpus (Radev et al. 2013), LRA's Retrieval: does one paper cite the other?

    new_aan_pairs.{train,eval,test}.tsv

No header, no quoting; a line is a label ("0.0" or "1.0"), two ids and two texts, with tabs between them. Only the ids
may be passed on (issues #45 and #52 of google-research/long-range-arena), so the texts have to be a user's own. Of each
text the first 10,000 bytes are read, as in the original.
"""

from pathlib import Path

from aira_lib.errors import UserError
from aira_lib.lra.data.rows import Row, Rows
from aira_lib.lra.data.sizes import Size
from aira_lib.lra.data.splits import sampled

FILES = {"train": "new_aan_pairs.train.tsv", "validation": "new_aan_pairs.eval.tsv", "test": "new_aan_pairs.test.tsv"}
READ = 10_000
_LABELS = {b"0.0": 0, b"1.0": 1, b"0": 0, b"1": 1}
WHERE = (
    "name a folder with them: lra_release.gz of google-research/long-range-arena has them under tsv_data, as long as "
    "it is served; source shared-record needs no data, man-pages the manual pages of Debian"
)


def aan(folder: Path, size: Size, seed: int) -> Rows:
    """The pairs in a folder, at most so many as the size says unless it wants all.

    Raises:
        UserError: a file is not there, or a line is not as it should be.
    """
    taken: dict[str, list[Row]] = {}
    for split, name in FILES.items():
        rows = read_pairs(folder / name, size.max_len)
        most = len(rows) if size.whole else getattr(size, split)
        taken[split] = [rows[i] for i in sampled([row.label for row in rows], most, seed)]
    return Rows(taken["train"], taken["validation"], taken["test"])


def read_pairs(path: Path, max_len: int) -> list[Row]:
    """The pairs of a file; of a text that is longer than `max_len` one byte more than that is kept, to tell it.

    Raises:
        UserError: it is not there, or a line is not as it should be.
    """
    length = min(READ, max_len + 1)
    try:
        with path.open("rb") as file:
            rows = [_pair(path, number, line, length) for number, line in enumerate(file, 1) if line.strip()]
    except FileNotFoundError:
        raise UserError(f"{path}: no pairs of AAN here; {WHERE}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if not rows:
        raise UserError(f"{path}: holds no pairs; {WHERE}")
    return rows


def _pair(path: Path, number: int, line: bytes, length: int) -> Row:
    parts = line.rstrip(b"\r\n").split(b"\t")
    if len(parts) != 5 or parts[0] not in _LABELS:
        raise UserError(
            f"{path}: line {number} is not a label 0.0 or 1.0, two ids and two texts, with tabs between them"
        )
    return Row((parts[3][:length], parts[4][:length]), _LABELS[parts[0]])
