"""Run one candidate where this machine, or this cluster, isolates it best."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aira_lib.cluster.reading import cluster_here
from aira_lib.cluster.section import VARIABLE
from aira_lib.device import cores
from aira_lib.sandbox import strength
from aira_lib.sandbox.gpu import gpu_of_machine
from aira_lib.sandbox.launch import Isolation, closes_files
from aira_lib.sandbox.process import Outcome, Started, out_of_time, run_here, start_here
from aira_lib.study import CandidateLimits

if TYPE_CHECKING:
    from aira_lib.sandbox.pods import Pods


def isolation() -> Isolation:
    """Of candidates: "pod" where the cluster that we run in gives them pods of their own; else this machine's best.

    Raises:
        SpecError: what is said of the cluster cannot be understood.
    """
    return "pod" if _in_pods() else strength.isolation()


def run_candidate(
    code: str,
    workdir: Path,
    limits: CandidateLimits,
    seconds: float | None = None,
    readonly: Mapping[str, Path] | None = None,
    outputs: Sequence[str] = (),
    hides: Sequence[str] = (),
) -> Outcome:
    """Run a Python program in a work directory and wait for its end.

    Args:
        code: The program's source; it runs as `python -s -P -B`, with the packages of this environment, or of the
            image for candidates.
        workdir: An existing folder for this candidate alone; it is the current directory and the home. Files that lie
            in it are seen by the candidate.
        limits: What the candidate may use.
        seconds: Wall time if less than `limits.seconds`, such as what is left of the run. It is the program's: files
            that go to a pod, and a pod that waits for a node, take none of it.
        readonly: Files and folders by the relative name under which the candidate finds them, unchangeable where
            the view of the file system is closed, a write-protected copy elsewhere.
        outputs: Files that are wanted of the candidate, by relative name or pattern (as of `fnmatch`). Of a candidate
            in a pod the work directory holds nothing else afterwards; elsewhere it holds all that was written.
        hides: Names of packages that the candidate does not see, wherever a copy lies, where the view of the file
            system is closed. A pod has what its image has.

    Raises:
        SandboxError: no candidate could be run.
    """
    allowed = limits.seconds if seconds is None else min(limits.seconds, seconds)
    if allowed <= 0:
        return out_of_time()
    if not _in_pods():
        return run_here(code, workdir, limits, allowed, readonly, hides)
    return _pods().run(code, workdir.resolve(), limits, allowed, readonly or {}, outputs)


def start_candidate(
    code: str,
    workdir: Path,
    limits: CandidateLimits,
    readonly: Mapping[str, Path] | None = None,
    hides: Sequence[str] = (),
) -> Started | None:
    """Start a program that waits for a line of its standard input, which it gets once its outcome is asked for.

    Files and folders that it finds read-only may be written until then, though not replaced. The rest is as for
    `run_candidate`.

    Returns:
        None in pods, which are not to stand idle, and where the view of the file system is open and files are copied.

    Raises:
        SandboxError: no candidate could be run.
    """
    if not closes_files(isolation()) or _in_pods():
        return None
    return start_here(code, workdir, limits, limits.seconds, readonly, hides, waits=True)


def gives_gpu(limits: CandidateLimits) -> bool:
    """Whether a candidate with these limits finds a GPU."""
    return limits.gpu and (_in_pods() or bool(gpu_of_machine(limits.gpu_memory_fraction).devices))


def cores_of_candidate() -> int:
    """Processor cores that a candidate may use."""
    cluster = cluster_here()
    return max(1, int(cluster.candidates.cores)) if cluster and cluster.candidates else cores()


def _in_pods() -> bool:
    cluster = cluster_here()
    return cluster is not None and cluster.candidates is not None


def _pods() -> "Pods":
    from aira_lib.sandbox.pods import pods_of  # needs packages that a laptop need not have

    return pods_of(os.environ[VARIABLE])
