"""The pod that candidates' pods belong to: the one of their search, by which a sweep knows whether anybody waits."""

import os
from dataclasses import dataclass

from aira_lib.cluster.api import Kubernetes
from aira_lib.cluster.kinds import PODS

UID = "aira/parent-uid"
"""Label of candidates' pods."""

PLACE = "aira/parent"
"""Annotation of candidates' pods: namespace and name of the parent, which is too long for a label at times."""


@dataclass(frozen=True)
class Parent:
    """A pod, by what does not change of it."""

    namespace: str
    name: str
    uid: str

    @property
    def place(self) -> str:
        """As the annotation has it."""
        return f"{self.namespace}/{self.name}"


def parent_here(kubernetes: Kubernetes) -> Parent | None:
    """The pod that this process runs in; None outside of one, or where it cannot be found out which it is.

    Args:
        kubernetes: For the namespace of this pod.
    """
    if "KUBERNETES_SERVICE_HOST" not in os.environ:
        return None
    # Kubeflow Pipelines tells each of its pods both; elsewhere the host is called as the pod.
    name, uid = os.environ.get("KFP_POD_NAME") or os.environ.get("HOSTNAME", ""), os.environ.get("KFP_POD_UID")
    if name and not uid:
        found = kubernetes.get(PODS, name)
        uid = found["metadata"]["uid"] if found else None
    return Parent(kubernetes.namespace, name, uid) if name and uid else None
