"""Compile the pipeline that scales up, for a cluster: of a study whose searches are done, everything after them.

It finds the searches in the store, refuses a study of which too many are missing, and starts none: so trainings can be
planned, changed and started by people who must not spend tokens of language models.
"""

from pipelines.cluster import SCALE
from pipelines.compiling import main_of

if __name__ == "__main__":
    main_of(SCALE, __doc__)
