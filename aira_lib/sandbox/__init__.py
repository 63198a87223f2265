"""Run code that an agent wrote: with limits, without network, and gone when it is over."""

from aira_lib.sandbox.artefacts import ArtefactError, collect, discard
from aira_lib.sandbox.process import Outcome, SandboxError, run_candidate
from aira_lib.sandbox.strength import isolation

__all__ = ["ArtefactError", "Outcome", "SandboxError", "collect", "discard", "isolation", "run_candidate"]
