"""What a candidate finds in its work directory: the training split of all proxy data, and nothing held out."""

from pathlib import Path

import numpy as np

from aira_lib.study import ProxySection
from aira_lib.tasks.designs.scripts import write_train_split

FOLDER = "data"


def write_train_data(proxy: ProxySection, folder: Path) -> None:
    """Write `train/<task>.npz` (integer arrays `inputs` and `targets`) below a new folder, for each proxy task or text.

    The rows are those on which the proxy trains a design before it scores its validation fitness.
    """
    folder.mkdir(parents=True)
    write_train_split(proxy, folder / "train")


def data_overview(folder: Path) -> str:
    """Describe the files of a data folder to an agent: name, shape, range of tokens."""
    lines = [_line(path, folder) for path in sorted(folder.rglob("*.npz"))]
    lines += [f"- ./{FOLDER}/{path.relative_to(folder)}: the words by token" for path in folder.rglob("words.json")]
    return "\n".join([*lines, "Read one with numpy.load. A target of -100 is not scored. The files are read-only."])


def _line(path: Path, folder: Path) -> str:
    with np.load(path) as arrays:
        rows, length = arrays["inputs"].shape
        tokens, kind = int(arrays["inputs"].max()), arrays["inputs"].dtype
    name = path.relative_to(folder)
    return f"- ./{FOLDER}/{name}: `inputs` and `targets`, {kind}, {rows} rows of {length} tokens from 0 to {tokens}"
