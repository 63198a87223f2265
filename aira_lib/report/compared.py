"""The numbers of a report by which runs of studies are compared in a table of Kubeflow, from its `summary.json`."""

from collections.abc import Mapping
from typing import Any

NUMBERS = {
    "best_proxy_validation": ("best_find", "validation"),
    "best_proxy_test": ("best_find", "test"),
    "best_loss_nats_per_token": ("best_pretrained", "loss_nats_per_token"),
    "best_bits_per_byte": ("best_pretrained", "bits_per_byte"),
    "difference_to_baseline": ("best_pretrained", "difference_to_baseline"),
    "baseline_loss_nats_per_token": ("baseline", "loss_nats_per_token"),
    "best_six_accuracy": ("best_downstream", "six_acc"),
    "best_core_14": ("best_downstream", "core_14"),
    "core_14_difference_to_baseline": ("best_downstream", "core_14_difference"),
    "best_program_validation": ("best_program", "validation"),
    "best_program_test": ("best_program", "test"),
    "best_program_gain": ("best_program", "gain"),
    "best_program_described_work_exponent": ("best_program", "growth"),
    "searches": ("counts", "searches"),
    "candidates": ("counts", "nodes"),
    "distinct_designs": ("counts", "distinct_designs"),
    "pretraining_runs": ("counts", "runs"),
}
"""Name in the table -> where in the summary."""


def compared(summary: Mapping[str, Any]) -> dict[str, float]:
    """The numbers that a summary has; those that the study did not measure are left out."""
    found = {name: (summary.get(part) or {}).get(key) for name, (part, key) in NUMBERS.items()}
    return {name: float(value) for name, value in found.items() if value is not None}
