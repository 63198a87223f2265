"""Compile the pipeline of a study's searches for a cluster: agents search, the finds are archived and aggregated."""

from pipelines.cluster import SEARCH
from pipelines.compiling import main_of

if __name__ == "__main__":
    main_of(SEARCH, __doc__)
