"""The pods of a TrainJob: which there are, what they print, and which of them failed first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aira_lib.cluster.api import Kubernetes
from aira_lib.cluster.kinds import PODS, Object
from aira_lib.foreign import harmless, in_a_line
from aira_lib.launch.launcher import LAST_LINES, RETRY, Failure, how_it_ended, retryable
from aira_lib.launch.torchrun import failed_rank, lines_of
from aira_lib.launch.trainjob_manifest import NODE

TAIL_LINES = 2000
"""Of a pod's log, in which torchrun's last word and a rank's own are."""

_TAIL_BYTES = 1_000_000
_INDEX = "batch.kubernetes.io/job-completion-index"
_OUT_OF_MEMORY = "OOMKilled"


def pods_of(api: Kubernetes, name: str) -> list["NodePod"]:
    """The pods of a TrainJob that there are, by node, of one node the newest last."""
    wanted = f"jobset.sigs.k8s.io/jobset-name={name},jobset.sigs.k8s.io/replicatedjob-name={NODE}"
    pods = [NodePod(each) for each in api.find(PODS, wanted)]
    return sorted(pods, key=lambda pod: (pod.node, pod.object["metadata"].get("creationTimestamp") or ""))


@dataclass(frozen=True)
class NodePod:
    """A pod of one node, as the server has it."""

    object: Object

    @property
    def name(self) -> str:
        """Of the pod."""
        return str(self.object["metadata"]["name"])

    @property
    def node(self) -> int:
        """Which node it is, from 0."""
        meta = self.object["metadata"]
        said = (meta.get("labels") or {}).get(_INDEX) or (meta.get("annotations") or {}).get(_INDEX)
        return int(said or 0)

    @property
    def phase(self) -> str:
        """Pending, Running, Succeeded, Failed or Unknown."""
        return str((self.object.get("status") or {}).get("phase") or "Pending")

    @property
    def begun(self) -> float | None:
        """Since when its container runs, or ran (UNIX seconds); None: it never did."""
        state = self._state()
        when = (state.get("running") or state.get("terminated") or {}).get("startedAt")
        return _seconds(when) if when else None

    @property
    def exit_code(self) -> int | None:
        """Of its container; None: it runs, or nobody saw its end."""
        code = (self._state().get("terminated") or {}).get("exitCode")
        return None if code is None else int(code)

    @property
    def taken_away(self) -> str:
        """Why it was ended from outside, in words; empty where it was not."""
        status = self.object.get("status") or {}
        for condition in status.get("conditions") or []:
            if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
                return in_a_line(f"{condition.get('reason') or 'disruption'}: {condition.get('message') or ''}", 200)
        if status.get("reason") in ("Evicted", "NodeLost", "Shutdown", "Terminated", "NodeShutdown", "Preempting"):
            return in_a_line(f"{status['reason']}: {status.get('message') or ''}", 200)
        return ""

    @property
    def out_of_memory(self) -> bool:
        """Whether the kernel killed it for memory beyond its limit."""
        return (self._state().get("terminated") or {}).get("reason") == _OUT_OF_MEMORY

    @property
    def ended(self) -> float:
        """When its container ended (UNIX seconds); never, where nobody saw it."""
        when = (self._state().get("terminated") or {}).get("finishedAt")
        return _seconds(when) if when else float("inf")

    def _state(self) -> dict[str, Any]:
        statuses = (self.object.get("status") or {}).get("containerStatuses") or []
        return next((each["state"] for each in statuses if each["name"] == NODE), {})


def tail(api: Kubernetes, pod: NodePod) -> list[str]:
    """The last lines of a pod's log; none where it has none any more."""
    lines = api.log(pod.name, container=NODE, tailLines=TAIL_LINES, limitBytes=_TAIL_BYTES)
    return [harmless(line) for line in lines]


def failure_of(api: Kubernetes, pods: Sequence[NodePod], said: str) -> Failure:
    """Why a job failed, by its pods.

    Args:
        api: where they are.
        pods: of the job; there may be none any more.
        said: what the job itself says of it.
    """
    failed = [pod for pod in pods if pod.phase == "Failed"]
    if not failed:
        return Failure(reason=f"{said}; its pods are gone", retryable=True)
    # Ranks whose neighbour is gone end with RETRY, and soon: they are named where there is nobody else.
    first = min(failed, key=lambda pod: (pod.exit_code == RETRY, pod.ended))
    lines = tail(api, first)
    others = tuple(line for pod in failed if pod is not first for line in [f"{pod.name}:", *tail(api, pod)[-3:]])
    found = failed_rank("\n".join(lines))
    own = lines_of(found.local_rank, lines) if found else lines
    last = (*others[:LAST_LINES], *own[-LAST_LINES:])  # its own last word is the last
    rank = found.rank if found else None
    return _failure(first, rank, last, own)


def _failure(pod: NodePod, rank: int | None, last: tuple[str, ...], own: Sequence[str]) -> Failure:
    who = f"node {pod.node} ({pod.name})" + (f", rank {rank}" if rank is not None else "")
    code = pod.exit_code
    if pod.taken_away:
        reason = f"{who}: taken away ({pod.taken_away})"
        return Failure(reason=reason, rank=rank, exit_code=code, retryable=True, lines=last)
    if pod.out_of_memory:
        reason = f"{who}: killed for memory beyond its limit; raise memory_gib, or take more nodes"
        return Failure(reason=reason, rank=rank, exit_code=code, lines=last)
    if code is None:
        return Failure(reason=f"{who}: nobody saw how it ended", rank=rank, retryable=True, lines=last)
    signed = 128 - code if code > 128 else code
    words = next((line for line in reversed(own) if line.strip()), "") if signed >= 0 else ""
    reason = f"{who}: {how_it_ended(signed)}{': ' if words else ''}{in_a_line(words, 300)}"
    return Failure(reason=reason, rank=rank, exit_code=signed, retryable=retryable(code), lines=last)


@dataclass
class Following:
    """The log of the pod of node 0, read on from where it was left, also where another pod takes its place."""

    api: Kubernetes
    pod: str = ""
    since: datetime | None = None
    """Of the last line that was read; of lines of the same moment there may be more."""
    seen: list[str] = field(default_factory=list)
    """Lines of that moment, as they came."""

    def new(self, pods: Sequence[NodePod]) -> Iterator[str]:
        """Lines that were not read yet.

        Args:
            pods: as they are now.
        """
        of_first = [pod.name for pod in pods if pod.node == 0 and pod.phase != "Pending"]
        for name in of_first[of_first.index(self.pod) if self.pod in of_first else 0 :]:
            if name != self.pod:
                self.pod, self.since, self.seen = name, None, []
            yield from self._of_pod()

    def _of_pod(self) -> Iterator[str]:
        query = {"container": NODE, "timestamps": "true"}
        if self.since:  # the server counts in whole seconds, and nodes in a zone of their own
            query["sinceTime"] = self.since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        before = list(self.seen)
        for line in self.api.log(self.pod, **query):
            said, _, text = line.partition(" ")
            when = _moment(said)
            if when is None or (self.since and when < self.since):
                continue
            if when == self.since and line in before:
                before.remove(line)
                continue
            if when != self.since:
                self.since, self.seen, before = when, [], []
            self.seen.append(line)
            yield harmless(text)


def _moment(text: str) -> datetime | None:
    """A moment as Kubernetes writes it; None: it is none, as in what a server says instead of a log."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
