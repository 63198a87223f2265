"""What a reading that sees less than a task demands reaches on its test: said beside every score of the task.

A score above a ceiling shows that more was read than that; one below it shows nothing about long range.
"""

import math

from aira_lib.records import Row


class Ceiling(Row):
    """The accuracy of one shallow reading.

    Attributes:
        name: which reading.
        accuracy: share of test examples that it gets right, 0 to 1.
        examples: of the test that it was measured on.
    """

    name: str
    accuracy: float
    examples: int

    @property
    def standard_error(self) -> float:
        """Of the accuracy, by the binomial distribution."""
        return math.sqrt(self.accuracy * (1 - self.accuracy) / self.examples)

    def __str__(self) -> str:
        return f"{self.name} {self.accuracy:.1%}"
