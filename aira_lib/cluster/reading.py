"""Read what is said of a cluster, with one line for the first thing that is wrong, as a study is read."""

import os
import re
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from aira_lib.cluster.section import VARIABLE, Cluster
from aira_lib.errors import SpecError
from aira_lib.study.reading import load_section

_BUCKET = re.compile(r"s3://[a-zA-Z0-9][a-zA-Z0-9._-]+(/(?!\.\.?(/|$))[^/\\\s?#]+)*/?")

_NAMESPACE = re.compile(r"(?!.{64})[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(
    r"(^|_)(API_?KEY|ACCESS_KEY|SECRETS?|TOKEN|CREDENTIALS?|PASSW(OR)?D)(_ID)?$|_KEY$|_SECRET_", re.IGNORECASE
)
"""In names of variables; those of a file, or an address, where one is kept, go on."""

BY_DIGEST = re.compile(r"^[A-Za-z0-9][\w.:/-]*@sha256:[0-9a-f]{64}$", re.ASCII)


def load_cluster(path: Path) -> Cluster:
    """Read the file of a cluster (YAML or JSON).

    Raises:
        UserError: it cannot be read.
        SpecError: it cannot be understood, its store is on one machine, an image is not named by digest, Kubernetes
            would not take a name, or a value looks like a secret.
    """
    cluster = load_section(path, Cluster, "cluster", "docs/install.md")
    check_store(cluster.store, f"{path}: store")
    for name in ("cpu", "train", "eval", "sandbox"):
        check_image(getattr(cluster.images, name), f"{path}: images.{name}")
    _check_names(cluster, path)
    _check_nothing_secret(cluster, path)
    return cluster


def cluster_here() -> Cluster | None:
    """What is said of the cluster that this process runs in; None outside of one.

    Raises:
        SpecError: see `load_cluster`.
    """
    path = os.environ.get(VARIABLE)
    return _loaded(Path(path)) if path else None


_loaded = cache(load_cluster)


def check_image(image: str, place: str) -> None:
    """Refuse an image that may be another tomorrow.

    Raises:
        SpecError: it is not named by digest; the line begins with `place`.
    """
    if not BY_DIGEST.match(image):
        raise SpecError(
            f"{place}: {image!r} is not named by digest, and a tag may mean another image tomorrow; give "
            "REGISTRY/NAME@sha256:... (`podman image inspect --format '{{.Digest}}' IMAGE` after a push)"
        )


def _check_names(cluster: Cluster, path: Path) -> None:
    """Refuse names that Kubernetes would refuse, in the middle of a study."""
    namespace = cluster.kubeflow.namespace  # empty in the chart's values, where it means the release's
    if not _NAMESPACE.fullmatch(namespace):
        raise SpecError(f"{path}: kubeflow.namespace: {namespace!r} is no namespace; use small letters, digits, dashes")
    secrets = {"s3": cluster.s3, "mlflow": cluster.mlflow, "models": cluster.models}
    variables = {f"{key}.variables": each.variables for key, each in secrets.items() if each}
    for place, of in {"environment": cluster.environment, **variables}.items():
        if wrong := next((name for name in of if not _VARIABLE.fullmatch(name)), None):
            raise SpecError(f"{path}: {place}: {wrong!r} is no name of a variable; use letters, digits and underscores")


def _check_nothing_secret(cluster: Cluster, path: Path) -> None:
    """Refuse what looks like a secret: the file is in a ConfigMap and its values in pipelines, for all to read."""
    if wrong := next((name for name in cluster.environment if _SECRET.search(name)), None):
        raise SpecError(
            f"{path}: environment: {wrong} looks like a secret, and everybody reads this file; keep it in a Secret, "
            "and name that in s3, mlflow or models"
        )
    for place, uri in (("tracking.uri", cluster.tracking.uri), ("kubeflow.api", cluster.kubeflow.api)):
        if uri and "@" in urlsplit(uri).netloc:
            raise SpecError(f"{path}: {place}: a login is no part of an address; keep it in a Secret")


def check_store(store: str, place: str) -> None:
    """Refuse a store that each pod would have for itself.

    Raises:
        SpecError: it is a folder, or no bucket; the line begins with `place`.
    """
    if not store.startswith("s3://"):
        raise SpecError(f"{place}: {store!r} is a folder, and each pod would have its own; name s3://BUCKET/PREFIX")
    if not _BUCKET.fullmatch(store):
        raise SpecError(f"{place}: {store!r} is no bucket with a prefix; write s3://BUCKET/PREFIX")
