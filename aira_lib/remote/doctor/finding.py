"""What a check found."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from aira_lib.cluster.api import Kubernetes
from aira_lib.cluster.refusals import Refused
from aira_lib.cluster.section import Cluster
from aira_lib.errors import UserError

Level = Literal["good", "missing", "doubtful", "unknown"]


@dataclass(frozen=True)
class Finding:
    """One line of doctor's.

    Attributes:
        level: good; missing, which some study cannot do without; doubtful, which somebody should look at; unknown.
        area: What it is about.
        text: What was found, and what to do where that is anything but good.
    """

    level: Level
    area: str
    text: str


@dataclass(frozen=True)
class Place:
    """What is examined: a cluster's file, its API, and whether this process runs within it."""

    cluster: Cluster
    kubernetes: Kubernetes
    inside: bool


def unseen(area: str, error: UserError, what: str = "it") -> Finding:
    """The finding of what could not be looked at."""
    if isinstance(error, Refused) and error.code == 403:
        return Finding(
            "unknown", area, f"{what} may not be looked at with these rights: have an administrator run this"
        )
    return Finding("unknown", area, f"{what} cannot be looked at: {error}")


Check = Callable[[Place], Iterator[Finding]]
