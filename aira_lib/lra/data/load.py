"""The data of a task as arrays, with what it is: `lra_data`."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from aira_lib.contents import file_digest
from aira_lib.datasets.cached import cached_folder
from aira_lib.identity import package_digest
from aira_lib.lra.data.about import SPLITS, About, about_of
from aira_lib.lra.data.ceilings import Ceiling
from aira_lib.lra.data.examples import LraSplit
from aira_lib.lra.data.rows import Row, Rows
from aira_lib.lra.data.sizes import LraSize, LraTask, Size, size_of
from aira_lib.lra.data.sources import source_named
from aira_lib.lra.data.tokens import Ids, padded_bytes, padded_ids
from aira_lib.records import StandIn
from aira_lib.records.row import read_row

ABOUT = "about.json"
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class LraData:
    """The splits of a task, and what they are. The arrays lie on disk and are read as they are used."""

    train: LraSplit
    validation: LraSplit
    test: LraSplit
    about: About
    folder: Path

    @property
    def stand_in(self) -> StandIn | None:
        """What stands in the place of the benchmark's data."""
        return self.about.stand_in

    @property
    def ceilings(self) -> tuple[Ceiling, ...]:
        """What shallow readings reach on the test."""
        return self.about.ceilings


def lra_data(
    task: LraTask,
    size: LraSize = "laptop",
    source: str = "",
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
) -> LraData:
    """The data of a task; made once, then found in the scratch folder by what determines it.

    Args:
        task: text, listops or retrieval.
        size: paper, laptop or smoke (see `sizes`).
        source: NAME or NAME:FOLDER (see `sources`); "" is the one that needs no files.
        seed: of what is generated, drawn or held out; at least 0.
        say: is told when the data have to be made.

    Raises:
        UserError: no such task, size or source, or its files are missing or damaged.
        StoreError: the disk refuses.
    """
    asked = size_of(task, size)
    origin, folder = source_named(task, source)
    paths = [path for path in origin.files(folder) if path.is_file()] if origin.files else []
    read = [[path.relative_to(folder).as_posix(), file_digest(path)] for path in paths]
    contents = hashlib.sha256(json.dumps(read).encode()).hexdigest()
    says = {"task": task, "size": asdict(asked), "of": size, "source": origin.name, "seed": seed, "contents": contents}
    key = hashlib.sha256(json.dumps({**says, "code": package_digest("lra/data")}, sort_keys=True).encode()).hexdigest()

    def make(place: Path) -> None:
        say(f"{task}, size {size}: making it from {origin.name}, once")
        rows = origin.build(folder, asked, size, seed)
        arrays = _write(rows, place, asked, padded_ids if task == "listops" else padded_bytes)
        about = about_of(rows, origin, size, asked, seed, contents if read else "", arrays)
        (place / ABOUT).write_text(about.json_line(), encoding="utf-8")

    return read_data(cached_folder("lra", key, make))


def read_data(folder: Path) -> LraData:
    """The data in a folder that `lra_data` made, or that was copied from one.

    Raises:
        OSError, ValueError: there is none.
    """
    about = read_row(folder / ABOUT, About)
    train, validation, test = (_split(folder / name) for name in SPLITS)
    return LraData(train, validation, test, about, folder)


def input_files(n: int) -> list[str]:
    """The names of the files with the inputs of a split: one text a row, or two."""
    return ["inputs.npy"] if n == 1 else [f"inputs{i + 1}.npy" for i in range(n)]


def _split(folder: Path) -> LraSplit:
    names = input_files(1 if (folder / "inputs.npy").exists() else 2)
    arrays = [np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in names]
    return LraSplit(tuple(arrays), np.load(folder / "labels.npy", allow_pickle=False))


def _write(rows: Rows, place: Path, size: Size, to_ids: Callable[[Sequence[bytes], int], Ids]) -> dict[str, str]:
    """Write the arrays of all splits; their digests by their names in the folder."""
    written: dict[str, str] = {}
    for split in SPLITS:
        part: list[Row] = getattr(rows, split)
        (place / split).mkdir()
        np.save(place / split / "labels.npy", np.array([row.label for row in part], dtype=np.int32))
        names = input_files(len(part[0].texts))
        for i, name in enumerate(names):
            array = open_memmap(place / split / name, mode="w+", dtype=np.int32, shape=(len(part), size.max_len))
            for start in range(0, len(part), _ROWS_AT_ONCE):
                some = part[start : start + _ROWS_AT_ONCE]
                array[start : start + len(some)] = to_ids([row.texts[i] for row in some], size.max_len)
            array.flush()
        for name in ("labels.npy", *names):
            written[f"{split}/{name}"] = file_digest(place / split / name)
    return written
