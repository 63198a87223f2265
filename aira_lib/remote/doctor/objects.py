"""Objects that must be there by name: secrets with their keys, of which no value is looked at, and AIRA's own file."""

from collections.abc import Iterator

from aira_lib.cluster.kinds import Kind
from aira_lib.cluster.refusals import Refused
from aira_lib.cluster.section import SecretReference
from aira_lib.errors import nearest
from aira_lib.remote.doctor.finding import Finding, Place, unseen

_SECRETS, _CONFIG_MAPS = Kind("v1", "secrets"), Kind("v1", "configmaps")
_NAMESPACES = Kind("v1", "namespaces", False)
FILE = "aira-cluster"
"""The ConfigMap that pods find the cluster's file in."""


def namespaces(place: Place) -> Iterator[Finding]:
    """Whether the namespaces are there."""
    wanted = [place.cluster.kubeflow.namespace]
    wanted += [place.cluster.candidates.namespace] if place.cluster.candidates else []
    for name in wanted:
        try:
            there = place.kubernetes.get(_NAMESPACES, name)
        except Refused as error:
            yield unseen("namespaces", error, name)
            continue
        text = f"there is none called {name}: make it, or name another in the cluster's file"
        yield Finding("good", "namespaces", name) if there else Finding("missing", "namespaces", text)


def secrets(place: Place) -> Iterator[Finding]:
    """Whether each Secret that the cluster's file names is there and has the keys."""
    for part in ("s3", "mlflow", "models"):
        reference: SecretReference | None = getattr(place.cluster, part)
        if reference:
            yield _secret(place, part, reference)


def _secret(place: Place, part: str, reference: SecretReference) -> Finding:
    runs = place.cluster.kubeflow.namespace
    try:
        found = place.kubernetes.within(runs).get(_SECRETS, reference.name)
    except Refused as error:
        return unseen("secrets", error, reference.name)
    if found is None:
        return Finding("missing", "secrets", f"{part}: there is no Secret {reference.name} in {runs}: make it")
    keys = set(found.get("data") or {})
    for variable, key in reference.variables.items():
        if key not in keys:
            text = f"{part}: Secret {reference.name} has no key {key!r} for {variable}{nearest(key, keys)}: add it"
            return Finding("missing", "secrets", text)
    return Finding("good", "secrets", f"{part}: {reference.name} has its {len(reference.variables)} keys")


def own_file(place: Place) -> Iterator[Finding]:
    """Whether pods find the same file as was given here."""
    import yaml

    from aira_lib.cluster.section import Cluster

    runs = place.cluster.kubeflow.namespace
    found = place.kubernetes.within(runs).get(_CONFIG_MAPS, FILE)
    text = (found or {}).get("data", {}).get("cluster.yaml")
    if text is None:
        missing = f"there is no ConfigMap {FILE} with cluster.yaml in {runs}: charts/aira makes it"
        yield Finding("missing", "cluster's file", missing)
        return
    try:
        same = Cluster.model_validate(yaml.safe_load(text)) == place.cluster
    except (ValueError, yaml.YAMLError):
        same = False
    differs = f"ConfigMap {FILE} in {runs} says something else than this file: install charts/aira with the same values"
    yield Finding("good", "cluster's file", FILE) if same else Finding("doubtful", "cluster's file", differs)
