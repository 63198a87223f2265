"""How long and how many: the sizes of Long Range Arena, those of a laptop, and those of a trial.

`paper` is the benchmark (google-research/long-range-arena): 1,000 bytes of Text, 2,000 tokens of ListOps, 4,000 bytes
of each document of Retrieval. Results of S4 and what followed it are for 4,096, 2,048 and 4,000: name the length when
comparing. `laptop` and `smoke` have the same definitions, shorter and fewer. The paper does not state sizes below its
own; these are ours.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from aira_lib.errors import UserError, nearest

LraTask = Literal["text", "listops", "retrieval"]
LraSize = Literal["paper", "laptop", "smoke"]
TASKS: tuple[LraTask, ...] = get_args(LraTask)
SIZES: tuple[LraSize, ...] = get_args(LraSize)

VALIDATION_SHARE = 0.1
"""Of the training rows of a source that comes without a validation split."""


@dataclass(frozen=True)
class Size:
    """How much of a task.

    Attributes:
        max_len: length of a row: what is longer is cut behind, what is shorter is filled up with 0.
        train: rows for training, validation not among them.
        validation: rows that steer.
        test: rows of the final test.
        whole: whether files are taken whole; else at most so many rows of each split.
    """

    max_len: int
    train: int
    validation: int
    test: int
    whole: bool = False


_SIZES: dict[tuple[LraTask, LraSize], Size] = {
    ("text", "paper"): Size(1000, 22_500, 2_500, 25_000, whole=True),
    ("text", "laptop"): Size(512, 9_000, 1_000, 2_000),
    ("text", "smoke"): Size(128, 540, 60, 200),
    ("listops", "paper"): Size(2000, 96_000, 2_000, 2_000, whole=True),
    ("listops", "laptop"): Size(200, 20_000, 1_000, 2_000),
    ("listops", "smoke"): Size(64, 600, 100, 200),
    # AAN has 147,086, 18,090 and 17,437 pairs; generated ones are as many as a disk likes.
    ("retrieval", "paper"): Size(4000, 40_000, 5_000, 5_000, whole=True),
    ("retrieval", "laptop"): Size(256, 9_000, 1_000, 2_000),
    ("retrieval", "smoke"): Size(96, 600, 100, 200),
}


def size_of(task: str, size: str) -> Size:
    """The size of a task by name.

    Raises:
        UserError: no such task or size.
    """
    if task not in TASKS:
        raise UserError(f"unknown task of Long Range Arena {task!r}{nearest(task, TASKS)}")
    if size not in SIZES:
        raise UserError(f"unknown size {size!r}{nearest(size, SIZES)}")
    return _SIZES[task, size]
