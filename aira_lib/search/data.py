"""What a candidate finds in its work directory: the training split of every proxy task, and nothing held out."""

from pathlib import Path

import numpy as np

from aira_lib.datasets.mad import splits
from aira_lib.proxy.cost import task_settings
from aira_lib.spec import ProxySection

FOLDER = "data"


def write_train_data(proxy: ProxySection, folder: Path) -> None:
    """Write `train/<task>.npz` (int64 arrays `inputs` and `targets`) below a new folder, for each proxy task.

    The rows are those on which the proxy trains a design before it scores its validation fitness.
    """
    train = folder / "train"
    train.mkdir(parents=True)
    for task in proxy.tasks:
        settings = task_settings(proxy, task)
        data = splits(settings, proxy.train_examples, proxy.test_examples, proxy.validation_fraction, proxy.seed)
        np.savez(train / f"{task}.npz", inputs=data.train.inputs, targets=data.train.targets)


def data_overview(folder: Path) -> str:
    """Describe the files of a data folder to an agent: name, shape, range of tokens."""
    lines = [_line(path, folder) for path in sorted(folder.rglob("*.npz"))]
    return "\n".join([*lines, "Read one with numpy.load. A target of -100 is not scored. The files are read-only."])


def _line(path: Path, folder: Path) -> str:
    with np.load(path) as arrays:
        rows, length = arrays["inputs"].shape
        tokens = int(arrays["inputs"].max()) + 1
    name = path.relative_to(folder)
    return f"- ./{FOLDER}/{name}: `inputs` and `targets`, int64, {rows} rows of {length} tokens from 0 to {tokens - 1}"
