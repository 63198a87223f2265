"""Whether Kubeflow Pipelines, the bucket and MLflow answer, and what they take."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from aira_lib.cluster.kinds import Kind
from aira_lib.cluster.rest import KubeflowError, Rest, Unanswered
from aira_lib.cluster.runs import RunsApi
from aira_lib.errors import UserError
from aira_lib.remote.doctor.finding import Finding, Place
from aira_lib.store import open_store
from aira_lib.track.address import without_login

OLDEST_KUBEFLOW = (2, 16)
"""Since when tasks' containers are held to the restricted profile, and Literals are a menu of the form."""

DEFAULT_PARAMETER_BYTES = 10_000
_PARAMETERS = "MAX_PARAMETER_BYTES"
_DEPLOYMENTS = Kind("apps/v1", "deployments")
_KUBEFLOW, _STORE, _MLFLOW = "Kubeflow Pipelines", "store", "MLflow"


def kubeflow(place: Place) -> Iterator[Finding]:
    """Whether the API of Kubeflow Pipelines answers, in which version, and lets runs be listed."""
    section = place.cluster.kubeflow
    if _out_of_reach(place, section.api):
        yield _not_from_here(_KUBEFLOW, section.api)
        return
    try:
        said = Rest(section.api, Path(section.token)).read("/apis/v2beta1/healthz") or {}
        version = str(said.get("tag_name") or "unknown")
        number = re.match(r"v?(\d+)\.(\d+)", version)
        if number and (int(number[1]), int(number[2])) < OLDEST_KUBEFLOW:
            wanted = ".".join(map(str, OLDEST_KUBEFLOW))
            yield Finding("missing", _KUBEFLOW, f"{version}: upgrade it to {wanted} or newer")
        else:
            users = "knows users" if said.get("multi_user") else "knows no users: whoever reaches it may start runs"
            yield Finding("good", _KUBEFLOW, f"{version}, {users}")
        RunsApi(place.cluster).list(most=1)
    except (KubeflowError, Unanswered) as error:
        yield Finding("missing", _KUBEFLOW, str(error))
    yield from _parameter_limit(place)


def _parameter_limit(place: Place) -> Iterator[Finding]:
    """How long a study may be that is given as text: what its Deployment says, where that may be looked at."""
    name, _, rest = (urlsplit(place.cluster.kubeflow.api).hostname or "").partition(".")
    namespace, said = rest.partition(".")[0], ""
    with suppress(UserError):
        found = place.kubernetes.within(namespace).get(_DEPLOYMENTS, name) if namespace else None
        containers: list[dict[str, Any]] = found["spec"]["template"]["spec"]["containers"] if found else []
        variables = [one for each in containers for one in each.get("env", []) if one["name"] == _PARAMETERS]
        said = str(variables[0].get("value", "")) if variables else str(DEFAULT_PARAMETER_BYTES) if found else ""
    limit = f"{int(said):,}" if said.isdigit() else f"{DEFAULT_PARAMETER_BYTES:,}, unless {_PARAMETERS} is set"
    yield Finding("good", "parameters", f"a study given as text may have {limit} bytes; give longer ones by URI")


def store(place: Place) -> Iterator[Finding]:
    """Whether the bucket takes, gives, lists and lets go of an object, and refuses to make one twice."""
    name = f"doctor/{uuid4().hex}"
    try:
        bucket = open_store(place.cluster.store)
        bucket.check()
        bucket.write(name, b"aira")
        try:
            given = bucket.read(name) == b"aira" and name in bucket.list("doctor")
            problem = "" if given else "it does not give what it took"
            if given and bucket.create(name, b"again"):
                problem = "it lets an object be made twice: it heeds no If-None-Match, and two pods would harm a record"
        finally:
            bucket.remove(name)
        if not problem and bucket.exists(name):
            problem = "a deleted object is still there: give the credentials the right to delete"
    except (UserError, OSError) as error:
        known = place.inside or _has_login(place)
        yield Finding("missing", _STORE, str(error)) if known else _not_from_here(_STORE, place.cluster.store)
        return
    if problem:
        yield Finding("missing", _STORE, f"{place.cluster.store}: {problem}")
    else:
        yield Finding("good", _STORE, f"{place.cluster.store}: writes, reads, lists and deletes")


def _has_login(place: Place) -> bool:
    """Whether this process has the store's login, as pods have; a laptop may have none."""
    return place.cluster.s3 is None or any(name in os.environ for name in place.cluster.s3.variables)


def mlflow(place: Place) -> Iterator[Finding]:
    """Whether MLflow answers."""
    import urllib3

    uri = place.cluster.tracking.uri
    if uri is None:
        yield Finding("doubtful", _MLFLOW, "none is named: searches and points cannot be compared there (tracking.uri)")
        return
    if _out_of_reach(place, uri):
        yield _not_from_here(_MLFLOW, without_login(uri))
        return
    user, password = (os.environ.get(f"MLFLOW_TRACKING_{part}", "") for part in ("USERNAME", "PASSWORD"))
    headers = urllib3.make_headers(basic_auth=f"{user}:{password}") if user else {}
    try:
        pool = urllib3.PoolManager(retries=urllib3.Retry(2, backoff_factor=0.5), timeout=10.0)
        path = "/api/2.0/mlflow/experiments/search?max_results=1"
        answer = pool.request("GET", uri.rstrip("/") + path, headers=headers)
    except urllib3.exceptions.HTTPError as error:
        yield Finding("missing", _MLFLOW, f"{without_login(uri)}: {type(error).__name__}; mend tracking.uri, or MLflow")
        return
    if answer.status in (401, 403):
        own = place.cluster.mlflow is not None and not user
        text = f"{without_login(uri)} wants a login; name its Secret as mlflow"
        yield Finding("unknown" if own else "missing", _MLFLOW, text if not own else f"{text}, which is not known here")
    elif answer.status >= 300:
        yield Finding("missing", _MLFLOW, f"{without_login(uri)} answers {answer.status}: is it MLflow?")
    else:
        yield Finding("good", _MLFLOW, without_login(uri))


def _out_of_reach(place: Place, where: str) -> bool:
    """Whether an address is one of the cluster's own, and this process does not run there."""
    host = urlsplit(where).hostname or ""
    return not place.inside and (host.endswith((".svc", ".cluster.local")) or "." not in host)


def _not_from_here(area: str, where: str) -> Finding:
    return Finding("unknown", area, f"{where} cannot be looked at from here: run this in a pod of the cluster")
