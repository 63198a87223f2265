"""The rights that AIRA's service accounts need on a cluster, and no others: the chart grants them, doctor looks.

Kubeflow Pipelines in multi-user mode checks calls of its own API as rights on `pipelines.kubeflow.org`, which is no
group of the API server; elsewhere nobody asks after those.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from aira_lib.cluster.section import Cluster

SUBMITTER = "aira-submitter"
"""The service account of jobs that start runs from files."""

SWEEP = "aira-sweep"
"""The service account of the job that removes candidates' pods whose search is gone."""

ARTIFACT_SECRET = "mlpipeline-minio-artifact"
"""The login of Kubeflow's own store of artifacts, as its stock installation names it."""

KUBEFLOW = "pipelines.kubeflow.org"


@dataclass(frozen=True)
class Rule:
    """A rule of a Role.

    Attributes:
        group: Of the API; empty for the core.
        resources: With subresources, as pods/log.
        verbs: What may be done.
        names: Of the only objects that are meant; none: all.
    """

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Role:
    """A Role in one namespace, of one service account of the namespace of the runs."""

    name: str
    namespace: str
    account: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Right:
    """One thing that an account may do, as a SubjectAccessReview asks after it."""

    namespace: str
    verb: str
    group: str
    resource: str
    name: str = ""

    def __str__(self) -> str:
        """As `kubectl auth can-i` has it."""
        whole = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {whole}{'/' + self.name if self.name else ''} in {self.namespace}"


PODS = (
    Rule("", ("pods",), ("get", "list", "watch")),
    Rule("", ("pods/log",), ("get",)),
    Rule("", ("events",), ("list",)),
)
"""To see what became of pods."""

_FINDING = (
    Rule(KUBEFLOW, ("pipelines",), ("get", "list")),
    Rule(KUBEFLOW, ("experiments",), ("create", "get", "list")),  # the runs' experiment is made with the first run
)

SUBMITTING = (
    Rule("coordination.k8s.io", ("leases",), ("create", "get", "update")),
    Rule(KUBEFLOW, ("runs",), ("create", "get", "list", "terminate")),
    *_FINDING,
    Rule("argoproj.io", ("workflows",), ("list",)),
)
"""To start a run once, whoever else starts it."""

RUNNING = (
    # Kubeflow's driver and launcher: their settings and their own pod; Argo's executor: what a task gave.
    Rule("", ("configmaps",), ("get",), ("kfp-launcher",)),
    Rule("argoproj.io", ("workflowtaskresults",), ("create", "patch")),
    # The Workflow that a training ends with, and Workflows of runs whose answer was lost.
    Rule("argoproj.io", ("workflows",), ("get", "list")),
    *PODS,
    Rule(KUBEFLOW, ("runs",), ("create", "get", "list", "terminate")),
    *_FINDING,
)
"""To run tasks that start further runs and wait for them."""

TRAINING = (
    Rule("trainer.kubeflow.org", ("trainjobs",), ("create", "delete", "get", "list", "patch", "watch")),
    Rule("trainer.kubeflow.org", ("trainingruntimes",), ("get", "list")),
)
"""To train on several nodes."""

CANDIDATES = (
    Rule("", ("pods",), ("create", "delete", "get", "list", "watch")),
    Rule("", ("pods/exec",), ("create", "get")),
    Rule("", ("pods/log",), ("get",)),
    Rule("", ("events",), ("list",)),
)
"""To run programs of agents in pods of their own, in their namespace."""


def roles(cluster: Cluster, artifact_secret: str = ARTIFACT_SECRET) -> tuple[Role, ...]:
    """The roles that a cluster's settings call for.

    Args:
        cluster: what is said of it.
        artifact_secret: login of Kubeflow's store of artifacts, which its launcher reads.
    """
    runs, account = cluster.kubeflow.namespace, cluster.kubeflow.service_account
    launcher = Rule("", ("secrets",), ("get",), (artifact_secret,))
    training = TRAINING if cluster.training else ()
    found = [
        Role("aira-pipeline", runs, account, (*RUNNING, launcher, *training)),
        Role("aira-submitter", runs, SUBMITTER, SUBMITTING),
    ]
    if cluster.candidates:
        there = cluster.candidates.namespace
        found += [
            Role("aira-candidates", there, account, CANDIDATES),
            Role("aira-sweep", runs, SWEEP, (Rule("", ("pods",), ("get", "list")),)),
            Role("aira-sweep", there, SWEEP, (Rule("", ("pods",), ("delete", "list")),)),
        ]
    return tuple(found)


def rights(role: Role) -> Iterator[Right]:
    """All that a role allows, one by one."""
    for rule in role.rules:
        for resource in rule.resources:
            for verb in rule.verbs:
                for name in rule.names or ("",):
                    yield Right(role.namespace, verb, rule.group, resource, name)
