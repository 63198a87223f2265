"""The kinds that the fake Kubernetes API knows from the start, as a real server has them."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    """One kind of objects.

    Attributes:
        group: Empty for the core.
        versions: Of the group, the preferred one first.
        name: In the singular, as manifests have it.
        plural: As paths have it.
        namespaced: Or of the whole cluster.
        has_status: Whether /status is a subresource: writes of the object then leave the status, and the reverse.
        immutable: Dotted paths that no update may change (422).
        schema: OpenAPI v3 of the whole object, by which it is validated and pruned; None: anything goes.
    """

    group: str
    versions: tuple[str, ...]
    name: str
    plural: str
    namespaced: bool = True
    has_status: bool = False
    immutable: tuple[str, ...] = ()
    schema: dict[str, Any] | None = None

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.versions[0]}" if self.group else self.versions[0]

    @property
    def qualified(self) -> str:
        """As messages of a server name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


def _core(name: str, plural: str, **options: Any) -> Kind:
    return Kind("", ("v1",), name, plural, **options)


_RBAC, _ADMISSION = "rbac.authorization.k8s.io", "admissionregistration.k8s.io"

BUILT_IN = (
    _core("Namespace", "namespaces", namespaced=False, has_status=True),
    _core("Node", "nodes", namespaced=False, has_status=True),
    _core("Pod", "pods", has_status=True, immutable=("spec",)),
    _core("Service", "services", has_status=True),
    _core("ServiceAccount", "serviceaccounts"),
    _core("Secret", "secrets"),
    _core("ConfigMap", "configmaps"),
    _core("Event", "events"),
    _core("ResourceQuota", "resourcequotas", has_status=True),
    _core("LimitRange", "limitranges"),
    _core("PersistentVolumeClaim", "persistentvolumeclaims", has_status=True),
    Kind(
        "batch", ("v1",), "Job", "jobs", has_status=True,
        immutable=("spec.template", "spec.selector", "spec.completionMode", "spec.completions"),
    ),
    Kind("batch", ("v1",), "CronJob", "cronjobs", has_status=True),
    Kind("apps", ("v1",), "Deployment", "deployments", has_status=True, immutable=("spec.selector",)),
    Kind("coordination.k8s.io", ("v1",), "Lease", "leases"),
    Kind(_RBAC, ("v1",), "Role", "roles"),
    Kind(_RBAC, ("v1",), "RoleBinding", "rolebindings", immutable=("roleRef",)),
    Kind(_RBAC, ("v1",), "ClusterRole", "clusterroles", namespaced=False),
    Kind(_RBAC, ("v1",), "ClusterRoleBinding", "clusterrolebindings", namespaced=False, immutable=("roleRef",)),
    Kind("networking.k8s.io", ("v1",), "NetworkPolicy", "networkpolicies"),
    Kind("policy", ("v1",), "PodDisruptionBudget", "poddisruptionbudgets", has_status=True),
    Kind("node.k8s.io", ("v1",), "RuntimeClass", "runtimeclasses", namespaced=False, immutable=("handler",)),
    Kind("scheduling.k8s.io", ("v1",), "PriorityClass", "priorityclasses", namespaced=False, immutable=("value",)),
    Kind(_ADMISSION, ("v1",), "ValidatingAdmissionPolicy", "validatingadmissionpolicies", False, True),
    Kind(_ADMISSION, ("v1",), "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", False),
    Kind("apiextensions.k8s.io", ("v1",), "CustomResourceDefinition", "customresourcedefinitions", False, True),
)  # fmt: skip
