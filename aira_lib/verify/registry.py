"""All checks, in the order in which they are shown."""

from collections.abc import Callable

from aira_lib.verify.check import Check
from aira_lib.verify.contradictions import contradictions_recomputed
from aira_lib.verify.patterns import (
    bases,
    chosen_layers,
    counts_of_table_11,
    counts_of_tables_9_and_10,
    depths,
    printed_patterns,
)
from aira_lib.verify.ratios import a_to_m
from aira_lib.verify.results import agent_means, averages, core_scores
from aira_lib.verify.sizes import depths_and_counts, parameters
from aira_lib.verify.spaces import score_transforms, search_spaces
from aira_lib.verify.steps import isotoken_tokens, step_counts

CHECKS: tuple[Callable[[], Check], ...] = (
    step_counts,
    isotoken_tokens,
    parameters,
    depths_and_counts,
    a_to_m,
    bases,
    printed_patterns,
    chosen_layers,
    counts_of_tables_9_and_10,
    counts_of_table_11,
    depths,
    averages,
    core_scores,
    agent_means,
    search_spaces,
    score_transforms,
    contradictions_recomputed,
)

UNCHECKED = (
    "normalized scores (NS): the worst score of any run is not printed, only phi of Table 14 can be checked",
    "isoFLOP losses, slopes and fits: the paper gives them in figures only",
    "the order of layers in the 17 rows whose printed pattern does not have L layers: only counts are printed",
    "dimensions of the small models that scored designs in the search: not in the text",
)
"""What nobody can recompute from the paper."""


def run_checks() -> list[Check]:
    """Every check, made now."""
    return [make() for make in CHECKS]
