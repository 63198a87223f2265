"""What determines a record of times, beside the designs: its settings, and the machine that is measured."""

from collections.abc import Iterable
from typing import Any

from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.identity import computes, machine, versions_of
from aira_lib.study import LatencySection, changed


def latency_identity(section: LatencySection, primitives: Iterable[str], threads: int) -> dict[str, Any]:
    """The part of the key; without PyTorch where the device is a CPU.

    Args:
        section: what is measured.
        primitives: those that the study's designs may have.
        threads: of the stage.
    """
    return {
        "latency": changed(section),
        "code": versions_of("models", "latency"),
        "computes": computes(),
        "machine": machine(threads),
        **PRIMITIVES.in_key(primitives),
    }
