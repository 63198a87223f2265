"""Five models of Long Range Arena to compare with, each a whole file as an agent would submit it.

They import nothing of this package, and what they share is written out in each, for a submission stands alone too. All
have about as many parameters as the base Transformer, which is `softmax`.
"""

from pathlib import Path
from typing import Literal, get_args

Baseline = Literal["softmax", "local", "linear", "ssm", "chunked_global"]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)


def baseline_path(name: Baseline) -> Path:
    """Where the model.py of a baseline lies."""
    return Path(__file__).parent / f"{name}.py"
