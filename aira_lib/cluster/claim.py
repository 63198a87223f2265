"""Doing alone what must not be done twice: a claim is a Lease of Kubernetes, of which only one process is the holder.

A Lease is created by one process, however many try. Its holder renews it before each step that counts; whoever waits
takes it over once it has not changed for as long as it was granted, by its own clock: clocks of two machines are never
compared. A claim is let go of, not deleted: what was done stays written on it, also when the thing that was made is
gone; and a Lease is small.
"""

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from uuid import uuid4

from aira_lib.cluster.api import Kubernetes
from aira_lib.cluster.kinds import LEASES, Object
from aira_lib.cluster.refusals import Refused, Unreachable
from aira_lib.errors import UserError

DONE = "aira/done"
"""An annotation: what was done, once and for all."""

SECONDS = 120
"""For which a claim is granted: longer than the longest request of its holder."""


class NotClaimed(Unreachable):
    """Another holds the claim, or took it over; the same command may get on later."""


class Claim:
    """A Lease that this process holds, or wants to; `claimed` makes one."""

    def __init__(self, kubernetes: Kubernetes, name: str, seconds: int) -> None:
        self.name, self.seconds = name, seconds
        self._kubernetes = kubernetes
        self._holder = f"{platform.node()}-{os.getpid()}-{uuid4().hex[:8]}"
        self._lease: Object = {}

    @property
    def done(self) -> str | None:
        """What was done under it; None: nothing yet."""
        return _done(self._lease)

    def look(self) -> Object | None:
        """The Lease as it is, whoever holds it."""
        return self._kubernetes.get(LEASES, self.name)

    def create(self) -> bool:
        """Take what nobody has ever held; False: somebody was faster."""
        metadata = {"name": self.name, "labels": {"app.kubernetes.io/managed-by": "aira"}}
        spec = self._spec(_now(), 0)
        body = {"apiVersion": LEASES.api, "kind": "Lease", "metadata": metadata, "spec": spec}
        try:
            self._lease = self._kubernetes.create(LEASES, body)
        except Refused as error:
            if not error.exists:
                raise
            return self._wrote(spec)
        return True

    def take_over(self, lease: Object) -> bool:
        """Take it from a holder that let go of it, or is silent; False: somebody was faster."""
        return self._replaced(lease, self._spec(_now(), lease["spec"].get("leaseTransitions", 0) + 1))

    def renew(self) -> None:
        """Hold it for as long as it is granted, from now on.

        Raises:
            NotClaimed: another took it over meanwhile.
        """
        spec = self._lease["spec"]
        if not self._replaced(self._lease, self._spec(spec["acquireTime"], spec["leaseTransitions"])):
            raise NotClaimed(f"lease {self.name}: another process took it over; start the same command again")

    def note(self, done: str) -> None:
        """Write on it what was done; it is sent as it is let go of."""
        metadata = self._lease["metadata"]
        annotations = {**(metadata.get("annotations") or {}), DONE: done}
        self._lease = {**self._lease, "metadata": {**metadata, "annotations": annotations}}

    def let_go(self) -> None:
        """Let others have it at once; where that cannot be said, they wait until it is silent for too long."""
        kept = {key: self._lease["spec"][key] for key in ("acquireTime", "leaseTransitions")}
        with suppress(UserError):
            self._replaced(self._lease, {**kept, "leaseDurationSeconds": 1, "renewTime": _now()})

    def _replaced(self, lease: Object, spec: Object) -> bool:
        """Change the Lease as it was read; False: it has changed since."""
        try:
            self._lease = self._kubernetes.replace(LEASES, self.name, {**lease, "spec": spec})
        except Refused as error:
            if not error.conflict and error.reason != "NotFound":
                raise
            return self._wrote(spec)
        return True

    def _wrote(self, spec: Object) -> bool:
        """Whether a request that is said to have come too late was carried out, and its first answer lost."""
        there = self.look()
        if there is None or any(there["spec"].get(key) != spec.get(key) for key in ("holderIdentity", "renewTime")):
            return False
        self._lease = there
        return True

    def _spec(self, acquired: str, transitions: int) -> Object:
        return {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": self.seconds,
            "acquireTime": acquired,
            "renewTime": _now(),
            "leaseTransitions": transitions,
        }


def done_before(kubernetes: Kubernetes, name: str) -> str | None:
    """What was done under the claim of a name; None: nothing, as far as is written."""
    return _done(kubernetes.get(LEASES, name) or {})


def note_done(kubernetes: Kubernetes, name: str, done: str) -> None:
    """Write what was done where its holder died before it could; where another holds it now, it is left to that one."""
    claim = Claim(kubernetes, name, SECONDS)
    lease = claim.look()
    if _done(lease or {}) or (lease and "holderIdentity" in lease["spec"]):
        return
    if claim.create() if lease is None else claim.take_over(lease):
        claim.note(done)
        claim.let_go()


@contextmanager
def claimed(
    kubernetes: Kubernetes,
    name: str,
    done: Callable[[], bool] = lambda: False,
    seconds: int = SECONDS,
    pause: float = 2.0,
) -> Iterator[Claim | None]:
    """Hold a claim, waiting for as long as a silent holder takes to lose it, twice.

    Args:
        kubernetes: for the namespace of the Lease.
        name: of the Lease: a name of what must not be done twice.
        done: whether another did it meanwhile; then nothing is claimed, and None is given.
        seconds: for which it is granted.
        pause: seconds between two looks.

    Raises:
        NotClaimed: others hold it all the time.
    """
    claim = Claim(kubernetes, name, seconds)
    if not _taken(claim, done, pause):
        yield None
        return
    try:
        yield claim
    finally:
        claim.let_go()


def _taken(claim: Claim, done: Callable[[], bool], pause: float) -> bool:
    """Take a claim; False: there is nothing left to do."""
    begun = since = time.monotonic()
    seen = ""
    while True:
        lease, now = claim.look(), time.monotonic()
        if lease is None:
            won = claim.create()
        else:
            if (version := lease["metadata"]["resourceVersion"]) != seen:
                seen, since = version, now
            held = "holderIdentity" in lease["spec"]
            granted = lease["spec"].get("leaseDurationSeconds", claim.seconds)
            won = (not held or now - since > granted) and claim.take_over(lease)
        if won:
            return True
        if done():
            return False
        if now - begun > 2 * claim.seconds:
            raise NotClaimed(f"lease {claim.name}: others hold it; start the same command again later")
        time.sleep(pause)


def _done(lease: Object) -> str | None:
    found: str | None = (lease.get("metadata", {}).get("annotations") or {}).get(DONE)
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
