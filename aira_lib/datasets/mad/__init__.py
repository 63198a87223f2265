"""The six MAD tasks: synthetic sequence problems that tell sequence models apart at small scale.

Definitions follow the mad-lab repository (github.com/athms/mad-lab; Poli et al. 2024, "Mechanistic Design and Scaling
of Hybrid Architectures"). Generators are vectorised over instances; everything they draw comes from the one
`np.random.Generator` they are handed. Each module tells its task's definition and where it departs from mad-lab.
"""

from aira_lib.datasets.mad.compression import Compression
from aira_lib.datasets.mad.copying import SelectiveCopying
from aira_lib.datasets.mad.fuzzy import FuzzyInContextRecall
from aira_lib.datasets.mad.memorization import Memorization
from aira_lib.datasets.mad.recall import InContextRecall, NoisyInContextRecall
from aira_lib.datasets.mad.settings import TASKS, benchmark_settings, settings_for
from aira_lib.datasets.mad.splits import Splits, generate, splits
from aira_lib.datasets.mad.task import IGNORE, Examples, MADTask, SplitName

__all__ = [
    "IGNORE",
    "TASKS",
    "Compression",
    "Examples",
    "FuzzyInContextRecall",
    "InContextRecall",
    "MADTask",
    "Memorization",
    "NoisyInContextRecall",
    "SelectiveCopying",
    "SplitName",
    "Splits",
    "benchmark_settings",
    "generate",
    "settings_for",
    "splits",
]
