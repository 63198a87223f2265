"""What the values of the chart `charts/aira` may be: its `values.schema.json` is made from this.

`cluster` is the library's own `Cluster`, so that what the chart takes is what the pods read; `Values` adds what the
chart makes around it.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from aira_lib.cluster.section import Cluster
from aira_lib.section import Section

Labels = dict[str, str]
Quantities = dict[str, str | int]
"""Resource -> Kubernetes quantity, such as `{"requests.nvidia.com/gpu": 32}`."""

Port = Annotated[int, Field(ge=1, le=65535)]
PodSecurity = Literal["privileged", "baseline", "restricted"]

DIGEST = r"^[A-Za-z0-9][A-Za-z0-9_.:/-]*@sha256:[0-9a-f]{64}$"
STORE = r"^s3://[a-zA-Z0-9][a-zA-Z0-9._-]+(/([^/.\\\s?#][^/\\\s?#]*|\.[^/.\\\s?#][^/\\\s?#]*))*/?$"


class NamespaceSection(Section):
    """A namespace: whether the chart makes it, and the Pod Security Standard that it is held to."""

    create: bool
    podSecurity: PodSecurity


class NamespacesSection(Section):
    """The two namespaces: of the runs, and of agents' programs."""

    runs: NamespaceSection
    candidates: NamespaceSection


class AccountsSection(Section):
    """Service accounts and what they may do.

    Attributes:
        create: Make the accounts.
        roles: Make their Roles and RoleBindings.
        others: Further accounts of the runs' namespace that have the tasks' Roles.
        annotations: Of the accounts `pipeline`, `submitter` and `training`, for roles of a cloud.
        imagePullSecrets: Names of Secrets in both namespaces with the registry's login.
        podDefault: Make the PodDefault that gives tasks a token for Kubeflow's API.
        artifactSecret: Secret with which Kubeflow's launcher keeps artifacts.
    """

    create: bool
    roles: bool
    others: tuple[str, ...]
    annotations: dict[Literal["pipeline", "submitter", "training"], Labels]
    imagePullSecrets: tuple[str, ...]
    podDefault: bool
    artifactSecret: str


class QuotaSection(Section):
    """ResourceQuota and LimitRange of a namespace; empty: none is made.

    Attributes:
        hard: Of the ResourceQuota.
        default: Limits of containers that say none, such as Kubeflow's own; they are their requests, too.
        max: Of one container.
    """

    hard: Quantities = {}
    default: Quantities = {}
    max: Quantities = {}


class QuotasSection(Section):
    """Of both namespaces."""

    runs: QuotaSection
    candidates: QuotaSection


class Destination(Section):
    """Where pods may send to: addresses, or pods of a namespace.

    Attributes:
        cidr: Addresses, such as 10.0.0.1/32.
        namespace: Its name; all its pods, unless `pods` says which.
        pods: Labels of these pods.
    """

    cidr: str | None = None
    namespace: str | None = None
    pods: Labels = {}


class OpeningSection(Section):
    """An opening in the policies: to where, on which ports (of pods, not of services)."""

    to: tuple[Destination, ...]
    ports: tuple[Port, ...]


class NetworkSection(Section):
    """Network policies: nothing is let in or out but what is named here.

    Attributes:
        enabled: Make them.
        scope: `namespace` holds all pods of the runs' namespace, `aira` those that AIRA labels, where others share it.
        dns: Names.
        kubernetesApi: The API server, by its own addresses: policies are applied behind its service's.
        kubeflow: Kubeflow Pipelines' API, its metadata and its object store.
        s3: The store.
        mlflow: The tracking server.
        models: Providers of language models, or a proxy before them; searches alone reach them.
    """

    enabled: bool
    scope: Literal["namespace", "aira"]
    dns: OpeningSection
    kubernetesApi: OpeningSection
    kubeflow: OpeningSection
    s3: OpeningSection
    mlflow: OpeningSection
    models: OpeningSection


class SweepSection(Section):
    """Deletes pods of candidates whose search is gone.

    Attributes:
        enabled: Make the CronJob.
        schedule: Of cron.
        resources: Requests and limits of its container.
    """

    enabled: bool
    schedule: str
    resources: Quantities


class CandidatesSection(Section):
    """What guards the namespace of agents' programs (where `cluster.candidates` says that there is one).

    Attributes:
        admission: The ValidatingAdmissionPolicy that refuses any pod which is not as hardened as AIRA's own.
        formerImages: Images that it takes beside `cluster.images.sandbox`.
        sweep: See there.
    """

    admission: bool
    formerImages: tuple[Annotated[str, Field(pattern=DIGEST)], ...]
    sweep: SweepSection


class RuntimeSection(Section):
    """The TrainingRuntime (where `cluster.training` says that there is one).

    Attributes:
        create: Make it.
        maxRestarts: Of a training whose process or node died; it goes on from its checkpoint.
        gracePeriodSeconds: From the order to end to the kill: time to write a checkpoint.
        addCapabilities: Such as IPC_LOCK, which RDMA wants.
        environment: Of its containers, such as NCCL's variables.
    """

    create: bool
    maxRestarts: Annotated[int, Field(ge=0)]
    gracePeriodSeconds: Annotated[int, Field(ge=1)]
    addCapabilities: tuple[str, ...]
    environment: Labels


class QueueSection(Section):
    """The LocalQueue of Kueue named by `cluster.training.queue`.

    Attributes:
        create: Make it.
        clusterQueue: To which it leads.
    """

    create: bool
    clusterQueue: str


class PipelinesSection(Section):
    """Pipeline and PipelineVersion objects, where Kubeflow Pipelines keeps its pipelines in Kubernetes.

    Attributes:
        create: Make them.
        manifests: Name -> text of a file that `aira compile --cluster FILE --kubernetes` wrote for this cluster.
    """

    create: bool
    manifests: dict[str, str]


class Values(Section):
    """The values of the chart."""

    cluster: Cluster
    team: Annotated[str, Field(pattern=r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$")]
    labels: Labels
    capabilityChecks: bool
    namespaces: NamespacesSection
    accounts: AccountsSection
    quotas: QuotasSection
    network: NetworkSection
    candidates: CandidatesSection
    runtime: RuntimeSection
    queue: QueueSection
    pipelines: PipelinesSection


def schema() -> dict[str, Any]:
    """The JSON schema of the values; images by digest and a store in S3 are asked for here already."""
    found = _without_titles(Values.model_json_schema())
    definitions = found["$defs"]
    for name in ("cpu", "train", "eval", "sandbox"):
        definitions["Images"]["properties"][name]["pattern"] = DIGEST
    definitions["Cluster"]["properties"]["store"]["pattern"] = STORE
    definitions["Destination"]["oneOf"] = [{"required": ["cidr"]}, {"required": ["namespace"]}]
    # Helm itself hands `global` to every chart.
    found["properties"]["global"] = {"type": "object"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}


def _without_titles(part: Any) -> Any:
    """Less the titles that pydantic makes of names."""
    if isinstance(part, list):
        return [_without_titles(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {key: _without_titles(value) for key, value in part.items() if key != "title" or not isinstance(value, str)}
