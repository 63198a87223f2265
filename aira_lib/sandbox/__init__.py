"""Run code that an agent wrote: with limits, without network, on files of its own, and gone when it is over."""

from aira_lib.sandbox.artefacts import ArtefactError, collect, discard
from aira_lib.sandbox.candidate import cores_of_candidate, gives_gpu, isolation, run_candidate, start_candidate
from aira_lib.sandbox.launch import closes_files
from aira_lib.sandbox.process import Outcome, SandboxError, Started
from aira_lib.sandbox.reach import check_reach, within_reach
from aira_lib.sandbox.strength import refusals

__all__ = [
    "ArtefactError",
    "Outcome",
    "SandboxError",
    "Started",
    "check_reach",
    "closes_files",
    "collect",
    "cores_of_candidate",
    "discard",
    "gives_gpu",
    "isolation",
    "refusals",
    "run_candidate",
    "start_candidate",
    "within_reach",
]
