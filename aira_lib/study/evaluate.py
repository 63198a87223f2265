"""What is measured on a final checkpoint."""

from pydantic import Field

from aira_lib.section import Section


class EvaluateSection(Section):
    """What is measured on a final checkpoint: held-out loss (paper: 1,000 samples of the validation set)."""

    samples: int = Field(1000, ge=1)
    batch_size: int = Field(16, ge=1)
