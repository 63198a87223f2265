"""A task folder whose rows are pairs that are encoded apart: whether two points lie on the same side of a line.

Both points of a pair bear the same mark in their second number, by which one that sees both could tell the other.
"""

from pathlib import Path

import yaml

from aira_lib.tasks.airs import new_task_folder

_PREPARE = """
import numpy as np
from utils import data_folders, save, split
if __name__ == "__main__":
    mount = data_folders().agent_data_mount_dir
    for name in ("train", "validation", "test"):
        one, other, labels = split(name)
        save(mount / name, inputs1=one, inputs2=other, **({} if name == "test" else {"labels": labels}))
"""
_SPLIT = """
def split(name):
    rng = np.random.default_rng(_SEEDS[name])
    points = rng.normal(0, 1, (2, ROWS[name], 3)).astype(np.float32)
    one, other = points
    other[:, 1] = one[:, 1]
    return one, other, ((one[:, 0] > 0) == (other[:, 0] > 0)).astype(np.int64)
"""
_LABELS = """
from utils import data_folders, save, split
if __name__ == "__main__":
    save(data_folders().agent_data_mount_dir / "test_with_labels", labels=split("test")[2])
"""
_TRAIN = """
from pathlib import Path
import numpy as np
import model
from aira_lib.tensors import write_tensors
Path("weights.safetensors").write_bytes(write_tensors({"none": np.zeros(1, np.float32)}))
"""
_ENCODE = """
import json
import numpy as np
import model
told = json.load(open("run.json"))
rows = np.load("data/inputs/inputs.npy")
assert told["part"] == "encode" and told["rows"] == len(rows), told
np.save("encodings.npy", model.encode(rows))
"""
_CLASSIFY = """
import json
import numpy as np
import model
assert json.load(open("run.json"))["row"] == {"inputs1.npy": [3], "inputs2.npy": [3]}
np.save("predictions.npy", model.classify(*(np.load(f"data/inputs/inputs{side}.npy") for side in (1, 2))))
"""
HONEST = """
import numpy as np

def encode(points):
    return np.sign(points[:, :1]).astype(np.float32)

def classify(one, other):
    return np.concatenate([-one * other, one * other], axis=1)
"""


def pair_folder(path: Path) -> Path:
    """Write the folder."""
    folder = new_task_folder(path, "program")
    scripts = {"prepare": _PREPARE, "evaluate_prepare": _LABELS, "train": _TRAIN, "encode": _ENCODE, "infer": _CLASSIFY}
    for name, text in scripts.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "utils.py").open("a").write(_SPLIT)
    program = folder / "program.yaml"
    said = yaml.safe_load(program.read_text())
    said["encode"] = {"script": "encode.py", "files": ["inputs1.npy", "inputs2.npy"], "width": 2}
    program.write_text(yaml.safe_dump(said))
    return folder
