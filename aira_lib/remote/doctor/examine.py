"""`aira doctor --cluster`: all checks of a cluster, one after another, printed as they come."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from aira_lib.cluster.api import Kubernetes, connect
from aira_lib.cluster.section import Cluster
from aira_lib.errors import UserError
from aira_lib.remote.doctor.access import account_rights
from aira_lib.remote.doctor.finding import Check, Finding, Level, Place, unseen
from aira_lib.remote.doctor.installed import kubernetes_version, trainer, workflows
from aira_lib.remote.doctor.isolation import candidates
from aira_lib.remote.doctor.objects import namespaces, own_file, secrets
from aira_lib.remote.doctor.room import nodes, quotas
from aira_lib.remote.doctor.services import kubeflow, mlflow, store

CHECKS: Sequence[Check] = (
    kubernetes_version, namespaces, own_file, workflows, kubeflow, trainer, account_rights, quotas, nodes, secrets,
    store, mlflow, candidates,
)  # fmt: skip
_PATIENCE = 5.0
_COLOURS: dict[Level, str] = {"good": "green", "missing": "red", "doubtful": "yellow", "unknown": "dim"}


def findings(cluster: Cluster, kubernetes: Kubernetes) -> Iterator[Finding]:
    """What all checks find. One that is refused, or not answered, is unknown, and the others go on.

    Raises:
        UserError: the server cannot be reached at all.
    """
    connection = replace(kubernetes.connection, patience=_PATIENCE)
    inside = "KUBERNETES_SERVICE_HOST" in os.environ
    place = Place(cluster, Kubernetes(connection, cluster.kubeflow.namespace), inside)
    connection.request("GET", "/version")
    for check in CHECKS:
        try:
            yield from check(place)
        except UserError as error:
            yield unseen(check.__name__.replace("_", " "), error)


def examine(cluster: Cluster) -> int:
    """Print the findings; returns 1 where something that some study needs is missing, else 0.

    Raises:
        UserError: there is no cluster, or it cannot be reached.
    """
    console, table = Console(), Table("area", "is", "remark", title="This cluster", title_justify="left")
    found = list(findings(cluster, connect()))
    for each in found:
        table.add_row(escape(each.area), f"[{_COLOURS[each.level]}]{each.level}[/]", escape(each.text))
    console.print(table)
    return int(any(each.level == "missing" for each in found))
