"""Read what is said of a cluster, with one line for the first thing that is wrong, as a study is read."""

import os
import re
from functools import cache
from pathlib import Path

from pydantic import ValidationError

from aira_lib.cluster.section import VARIABLE, Cluster
from aira_lib.errors import SpecError, read_named
from aira_lib.study.reading import first_problem, plain_data

BY_DIGEST = re.compile(r"^[^\s@]+@sha256:[0-9a-f]{64}$")


def load_cluster(path: Path) -> Cluster:
    """Read the file of a cluster (YAML or JSON).

    Raises:
        UserError: it cannot be read.
        SpecError: it cannot be understood, its store is on one machine, or an image is not named by digest.
    """
    data = plain_data(read_named(path, "a cluster (docs/install.md)"), str(path))
    if not isinstance(data, dict):
        raise SpecError(f"{path}: a cluster is a mapping of keys to values, not {type(data).__name__}")
    try:
        cluster = Cluster.model_validate(data)
    except ValidationError as error:
        raise SpecError(f"{path}: {first_problem(error, Cluster)}") from None
    check_store(cluster.store, f"{path}: store")
    for name in ("cpu", "train", "eval", "sandbox"):
        check_image(getattr(cluster.images, name), f"{path}: images.{name}")
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


def check_store(store: str, place: str) -> None:
    """Refuse a store that each pod would have for itself.

    Raises:
        SpecError: it is a folder; the line begins with `place`.
    """
    if not store.startswith("s3://"):
        raise SpecError(f"{place}: {store!r} is a folder, and each pod would have its own; name s3://BUCKET/PREFIX")
