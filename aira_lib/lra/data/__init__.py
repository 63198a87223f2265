"""The data of Long Range Arena's tasks Text, ListOps and Retrieval, in numpy, without TensorFlow.

Readers of the real files, generators where there are none, tokens by fixed tables, splits that share no text, and what
shallow readings reach. `lra_data` is the way to it; each module tells its source's definition, and where it departs
from the original (google-research/long-range-arena), whose defects are named there.
"""

from aira_lib.lra.data.about import About
from aira_lib.lra.data.ceilings import Ceiling
from aira_lib.lra.data.examples import LraSplit
from aira_lib.lra.data.load import ABOUT, LraData, lra_data, read_data
from aira_lib.lra.data.sizes import SIZES, TASKS, LraSize, LraTask, Size, size_of

__all__ = [
    "ABOUT",
    "SIZES",
    "TASKS",
    "About",
    "Ceiling",
    "LraData",
    "LraSize",
    "LraSplit",
    "LraTask",
    "Size",
    "lra_data",
    "read_data",
    "size_of",
]
