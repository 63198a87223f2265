"""Delete the pods of candidates that nobody waits for: their deadline has passed, or the pod of their search is gone.

Kubernetes does that by owners within a namespace alone, and candidates have one of their own.
"""

import sys
from datetime import UTC, datetime

from aira_lib.cluster.api import Kubernetes, connect
from aira_lib.cluster.kinds import PODS, Object
from aira_lib.cluster.reading import cluster_here
from aira_lib.cluster.refusals import Refused
from aira_lib.cluster.section import VARIABLE
from aira_lib.errors import UserError
from aira_lib.sandbox.manifest import COMPONENT, CONTAINER, DEADLINE
from aira_lib.sandbox.parent import PLACE, UID


def sweep(kubernetes: Kubernetes, now: datetime | None = None) -> list[str]:
    """Delete them; their names.

    Args:
        kubernetes: For the namespace of candidates; pods in the namespaces of searches are looked at, where that is
            allowed.
        now: The time; None: this moment.

    Raises:
        UserError: the pods cannot be listed or deleted.
    """
    now = now or datetime.now(UTC)
    gone: dict[str, bool] = {}
    swept = []
    for pod in kubernetes.find(PODS, f"{COMPONENT}={CONTAINER}"):
        uid = pod["metadata"]["labels"].get(UID, "")
        if uid and uid not in gone:
            gone[uid] = _parent_gone(kubernetes, pod, uid)
        metadata = pod["metadata"]
        if (gone.get(uid) or _late(pod, now)) and kubernetes.delete(PODS, metadata["name"], metadata["uid"]):
            swept.append(metadata["name"])
    return swept


def sweep_here() -> list[str]:
    """Delete them on the cluster that AIRA_CLUSTER describes; their names.

    Raises:
        UserError: it describes none with pods for candidates, or the cluster refuses.
    """
    cluster = cluster_here()
    if cluster is None or cluster.candidates is None:
        raise UserError(f"{VARIABLE}: let it name the file of a cluster with a section candidates (docs/sandbox.md)")
    return sweep(connect(cluster.candidates.namespace))


def main() -> None:
    """`python -m aira_lib.sandbox.sweep`, for a job of the cluster's own."""
    try:
        swept = sweep_here()
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    print(f"{len(swept)} pods deleted", *swept, sep="\n")


def _late(pod: Object, now: datetime) -> bool:
    """Whether its deadline has passed; one without any is none that a search of ours made."""
    try:
        return datetime.fromisoformat(pod["metadata"]["annotations"][DEADLINE]) < now
    except (KeyError, ValueError, TypeError):
        return True


def _parent_gone(kubernetes: Kubernetes, pod: Object, uid: str) -> bool:
    """Whether the search's pod is no more, or has ended; where that may not be asked, it is not."""
    namespace, _, name = pod["metadata"].get("annotations", {}).get(PLACE, "").partition("/")
    if not name:
        return False
    try:
        found = kubernetes.within(namespace).get(PODS, name)
    except Refused:
        return False
    same = found is not None and found["metadata"]["uid"] == uid
    return not same or (found or {}).get("status", {}).get("phase") in ("Succeeded", "Failed")


if __name__ == "__main__":
    main()
