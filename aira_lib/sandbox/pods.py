"""Run a candidate in a pod of its own: the strength of isolation that a cluster gives, where `candidates` is set.

One pod a candidate: one that ends by itself takes a second or two to start, which is little beside what candidates do,
and no candidate finds anything of another. What holds within the pod is what holds anywhere (see process.py), by the
same code, and the outcome is the same. Besides that nothing is there: no key, no token, no record, no other process.

A pod that the cluster takes away is no fault of its candidate, which is run once more; after that the search stops. One
whose search dies hears nothing any more and ends by itself within minutes; what is left of it a sweep deletes.
"""

import contextlib
import functools
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aira_lib.cluster.api import Kubernetes, connect
from aira_lib.cluster.kinds import PODS
from aira_lib.cluster.refusals import Refused, Unreachable
from aira_lib.cluster.section import Cluster
from aira_lib.cluster.stream import Ended, Stream
from aira_lib.errors import UserError
from aira_lib.foreign import in_a_line
from aira_lib.sandbox.bundle import START
from aira_lib.sandbox.ending import outcome_of_pod
from aira_lib.sandbox.manifest import CONTAINER, HOME, Need, manifest
from aira_lib.sandbox.parent import Parent, parent_here
from aira_lib.sandbox.process import Outcome, SandboxError
from aira_lib.sandbox.sending import Lost, Work
from aira_lib.sandbox.servers import METADATA_SERVICE, cluster_api
from aira_lib.sandbox.starting import PodLost, start
from aira_lib.sandbox.sweep import sweep
from aira_lib.sandbox.talk import Tampered, talk
from aira_lib.study import CandidateLimits

_GONE = (400, 404, 409)  # what the server says of a pod that no command can be executed in any more
_KILLED = 137

TRIES = 2
"""Pods for one candidate, where the cluster takes them away."""

MOST_INPUT_GIB = 16
"""GiB of files that are copied into a pod at most."""


class ClusterLost(SandboxError):
    """The cluster took a candidate's pods away, one after another; the same command may get on later."""

    exit_code = 75


@dataclass(frozen=True)
class Pods:
    """Where candidates' pods are made.

    Attributes:
        cluster: With a section `candidates`.
        kubernetes: For the namespace of that section.
        parent: The pod of this search.
        place: The path in a pod of a work directory: the same as here, for programs may have been told this one.
        home: A folder in a pod for the supervisor and for inputs.
        unreachable: Addresses that no candidate may reach, by which a network that is not cut is told.
    """

    cluster: Cluster
    kubernetes: Kubernetes
    parent: Parent | None
    place: Callable[[Path], str] = str
    home: str = HOME
    unreachable: Sequence[tuple[str, int]] = field(default_factory=lambda: _servers())

    def run(
        self,
        code: str,
        workdir: Path,
        limits: CandidateLimits,
        seconds: float,
        readonly: Mapping[str, Path],
        outputs: Sequence[str],
    ) -> Outcome:
        """Run a program as `run_candidate` does.

        Args:
            code: See there.
            workdir: See there; of what the candidate leaves only `outputs` come into it.
            limits: See there.
            seconds: Wall time from the program's start.
            readonly: See there.
            outputs: Names of files, and patterns, in the work directory.

        Raises:
            SandboxError: no candidate could be run.
        """
        section = self.cluster.candidates
        assert section is not None
        allowed = min(seconds, section.deadline_seconds)
        work = Work(
            code, workdir, self.home, limits.model_dump(), allowed, readonly, outputs, self.unreachable,
        )  # fmt: skip
        need = Need(limits, work.seconds, _input_bytes(workdir, readonly), self.place(workdir))
        why = ""
        for _ in range(TRIES):
            try:
                return self._once(work, need)
            except (PodLost, Unreachable, Refused) as lost:
                if isinstance(lost, Refused) and lost.exit_code != Unreachable.exit_code:
                    raise
                why = str(lost)
        raise ClusterLost(f"the cluster lost {TRIES} pods of a candidate, one after another: {why}; try again later")

    def _once(self, work: Work, need: Need) -> Outcome:
        name = f"candidate-{uuid.uuid4().hex[:20]}"
        pod = manifest(name, need, self.cluster, self.parent)
        section = self.cluster.candidates
        assert section is not None
        try:
            start(self.kubernetes, pod, section.start_seconds)
            return self._talked(name, work)
        finally:
            with contextlib.suppress(UserError):  # its deadline and the sweep are there for that
                self.kubernetes.delete(PODS, name)

    def _talked(self, name: str, work: Work) -> Outcome:
        """Have the candidate run in a pod that runs."""
        command = ["python", "-I", "-B", "-c", START, f"{work.home}/sources"]
        with self._stream(name, command) as stream:
            try:
                return talk(stream, work, self.place(work.workdir))
            except Tampered as why:
                said = f"what its supervisor said cannot be believed: {why}"
                return Outcome("error", None, "", "", 0.0, said)
            except Lost as lost:
                begun, ended = lost.begun, _told(stream)
                if begun is None:
                    raise self._not_begun(ended, stream.stderr) from None
        limits = CandidateLimits.model_validate(work.limits)
        return outcome_of_pod(self.kubernetes, name, ended, limits, time.monotonic() - begun)

    def _stream(self, name: str, command: Sequence[str]) -> Stream:
        try:
            return Stream(self.kubernetes, name, CONTAINER, command)
        except Refused as error:
            if error.code in _GONE:
                raise PodLost(str(error)) from None
            raise

    def _not_begun(self, ended: Ended | None, stderr: bytes) -> Exception:
        """Why a supervisor gave up before its candidate began: the image is at fault, or the pod was taken away."""
        if ended is None or ended.code in (None, _KILLED):
            return PodLost("its supervisor was lost before it began")
        *_, last = ["it says nothing", *filter(None, map(in_a_line, stderr.decode("utf-8", "replace").splitlines()))]
        image = self.cluster.images.sandbox
        return SandboxError(f"the supervisor of candidates does not start (exit code {ended.code}): {last} ({image})")


@functools.cache
def pods_of(cluster_file: str) -> Pods:
    """The pods of this cluster, once a process; what searches that died left there is swept away.

    Args:
        cluster_file: What AIRA_CLUSTER names.
    """
    from aira_lib.cluster.reading import load_cluster

    cluster = load_cluster(Path(cluster_file))
    assert cluster.candidates is not None
    here = connect()
    pods = Pods(cluster, here.within(cluster.candidates.namespace), parent_here(here))
    sweep(pods.kubernetes)
    return pods


def _told(stream: Stream) -> Ended | None:
    """How a supervisor ended, which is said after the last of its output."""
    end = time.monotonic() + 5
    while stream.ended is None and time.monotonic() < end:
        stream.read(0.5)
    return stream.ended


def _servers() -> list[tuple[str, int]]:
    api = cluster_api()
    return [*([api] if api else []), METADATA_SERVICE]


def _input_bytes(workdir: Path, readonly: Mapping[str, Path]) -> int:
    """Bytes of all files that go along.

    Raises:
        SandboxError: they are too many for a pod.
    """
    total = 0
    for top in (workdir, *readonly.values()):
        for path in (top, *top.rglob("*")) if top.is_dir() else (top,):
            total += path.stat().st_size if path.is_file() and not path.is_symlink() else 0
    if total > MOST_INPUT_GIB << 30:
        raise SandboxError(
            f"inputs of {total / 2**30:.0f} GiB are too large to be copied into a candidate's pod (at most "
            f"{MOST_INPUT_GIB} GiB); give the task a smaller share of its data"
        )
    return total
