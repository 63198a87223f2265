"""ListOps as rows: drawn, or from files as Long Range Arena has them, and written as such.

    basic_train.tsv  basic_val.tsv  basic_test.tsv

in a folder `listops-1000` of LRA's archive: a header, then an expression, a tab and its value on each line.
"""

import csv
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aira_lib.errors import UserError, writing
from aira_lib.lra.data.ladder import ladder
from aira_lib.lra.data.listops import GRAMMARS, Expression, generate, text_form
from aira_lib.lra.data.rows import Row, Rows
from aira_lib.lra.data.sizes import LraSize, Size
from aira_lib.lra.data.splits import sampled
from aira_lib.lra.data.tokens import OTHER, operator_ids

FILES = {"train": "basic_train.tsv", "validation": "basic_val.tsv", "test": "basic_test.tsv"}
WHERE = (
    "name the folder listops-1000 of lra_release.gz (google-research/long-range-arena), or one that "
    "`aira data lra write listops --tsv` made; source generated needs no data"
)
_VALUES = set(map(str, range(10)))


def read_tsv(path: Path) -> list[Expression]:
    """The expressions of a file as Long Range Arena has them: a header, then an expression, a tab and its value a line.

    Raises:
        UserError: it cannot be read, or is no such file; the line is named.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file, delimiter="\t")
            if next(lines, None) != ["Source", "Target"]:
                raise UserError(f"{path}: not ListOps: its first line is not Source and Target with a tab between them")
            return [_read(path, number, line) for number, line in enumerate(lines, 2)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not ListOps as tab-separated text ({error}); {WHERE}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {WHERE}") from None


def _read(path: Path, number: int, line: list[str]) -> Expression:
    if len(line) != 2 or line[1] not in _VALUES or not line[0].strip(" ()"):
        raise UserError(f"{path}: line {number} is not an expression, a tab and a digit; fetch the file anew")
    return Expression(operator_ids(line[0]), int(line[1]))


def write_tsv(path: Path, expressions: Iterable[Expression]) -> None:
    """Write a file as `read_tsv` reads it, and LRA's own programs do.

    Raises:
        StoreError: the disk refuses.
    """
    with writing(path), path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, delimiter="\t")
        lines.writerow(["Source", "Target"])
        lines.writerows([text_form(ids), value] for ids, value in expressions)


def generated(size: Size, seed: int, name: LraSize) -> Rows:
    """Drawn expressions: the first of them for training, then those for validation and test.

    Raises:
        UserError: there are hardly so many of this size's grammar.
    """
    found = generate(size.train + size.validation + size.test, seed, GRAMMARS[name])
    cut = size.train + size.validation
    return _rows(found[: size.train], found[size.train : cut], found[cut:], asdict(GRAMMARS[name]))


def _rows(train: list[Expression], validation: list[Expression], test: list[Expression], facts: dict[str, Any]) -> Rows:
    train_rows, validation_rows, test_rows = (
        [Row((ids,), value) for ids, value in expressions] for expressions in (train, validation, test)
    )
    return Rows(train_rows, validation_rows, test_rows, facts, ladder(train, test))


def from_files(folder: Path, size: Size, seed: int) -> Rows:
    """The expressions of LRA's files in a folder; one that is longer than a row has no answer, and is left out.

    Raises:
        UserError: a file is not there, damaged, or has none that is short enough.
    """
    taken: dict[str, list[Expression]] = {}
    left_out = other = 0
    for split, name in FILES.items():
        read = read_tsv(folder / name)
        short = [each for each in read if len(each.ids) <= size.max_len]
        if not short:
            raise UserError(f"{folder / name}: no expression of {size.max_len} tokens or fewer; choose the size paper")
        left_out += len(read) - len(short)
        other += sum(OTHER in each.ids for each in short)
        most = len(short) if size.whole else getattr(size, split)
        taken[split] = [short[i] for i in sampled([each.value for each in short], most, seed)]
    facts = {"expressions_too_long": left_out, "expressions_with_other_tokens": other}
    return _rows(taken["train"], taken["validation"], taken["test"], facts)
