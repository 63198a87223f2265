"""A task's data written out: arrays with what they are, ListOps as LRA's own files; and rows as people read them."""

import shutil
from pathlib import Path

import numpy as np

from aira_lib.errors import UserError, writing
from aira_lib.lra.data.about import SPLITS
from aira_lib.lra.data.examples import LraSplit
from aira_lib.lra.data.listops import Expression
from aira_lib.lra.data.listops_rows import FILES, write_tsv
from aira_lib.lra.data.load import ABOUT, LraData
from aira_lib.lra.data.tokens import PAD, Ids, operator_names, text_of


def write_arrays(data: LraData, folder: Path) -> None:
    """Copy the arrays of all splits (`train/inputs.npy`, `train/labels.npy`, ...) and what they are into a new folder.

    Raises:
        UserError: something lies in the folder.
        StoreError: the disk refuses.
    """
    _refuse_full(folder)
    with writing(folder):
        for split in SPLITS:
            shutil.copytree(data.folder / split, folder / split)
        shutil.copyfile(data.folder / ABOUT, folder / ABOUT)


def write_listops(data: LraData, folder: Path) -> None:
    """Write expressions as LRA's own files into a new folder.

    Raises:
        UserError: the task is not ListOps, or something lies in the folder.
        StoreError: the disk refuses.
    """
    if data.about.task != "listops":
        raise UserError(f"{data.about.task} is not ListOps, which alone is written as TSV; leave out --tsv")
    _refuse_full(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    parts: dict[str, LraSplit] = {split: getattr(data, split) for split in SPLITS}
    for split, part in parts.items():
        ids = (bytes(row[row > PAD].astype(np.uint8)) for row in part.inputs[0])
        rows = zip(ids, part.labels.tolist(), strict=True)
        write_tsv(folder / FILES[split], (Expression(*row) for row in rows))


def shown_text(task: str, row: Ids) -> str:
    """A row of ids as people read it: bytes as text, an expression without its parentheses."""
    if task == "listops":
        return " ".join(operator_names(row[row > PAD].tolist()))
    return text_of(row).decode("utf-8", "replace")


def _refuse_full(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: something lies there; name a new folder")
