"""Compile the pipeline of a study's searches for a cluster: agents search, the finds are archived and aggregated."""

from pipelines.cluster import Form
from pipelines.compiling import main_of

FORM = Form(
    "aira-search",
    "aira-search",
    "Let agents search for architectures; archive and aggregate what they find.",
    "aggregate",
)

if __name__ == "__main__":
    main_of(FORM, __doc__)
