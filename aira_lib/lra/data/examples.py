"""Examples of a split, by themselves: trainings in the sandbox see this, and nothing that makes or reads data."""

from dataclasses import dataclass

from aira_lib.lra.data.tokens import Ids


@dataclass(frozen=True)
class LraSplit:
    """Examples: `inputs`, one int32 array [n, max_len] or two (Retrieval), and `labels`, int32 [n]."""

    inputs: tuple[Ids, ...]
    labels: Ids

    def __len__(self) -> int:
        return len(self.labels)
