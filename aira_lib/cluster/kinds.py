"""Kinds of objects of Kubernetes, as far as AIRA asks for them."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

Object = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """Objects of one kind.

    Attributes:
        api: As `apiVersion` has it: v1, batch/v1.
        plural: As paths and roles have it: pods.
        namespaced: Whether they lie in namespaces.
    """

    api: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str, name: str = "", sub: str = "") -> str:
        """The path of all of them, of one, or of a part of it such as its log."""
        place = ["namespaces", namespace] if self.namespaced else []
        words = ["apis" if "/" in self.api else "api", self.api, *place, self.plural, name, sub]
        return "/" + "/".join(quote(word) for word in words if word)


PODS = Kind("v1", "pods")
EVENTS = Kind("v1", "events")
LEASES = Kind("coordination.k8s.io/v1", "leases")
WORKFLOWS = Kind("argoproj.io/v1alpha1", "workflows")
TRAIN_JOBS = Kind("trainer.kubeflow.org/v1alpha1", "trainjobs")
