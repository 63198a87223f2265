"""Which packages a candidate may import, in words for its prompt."""

import json
import tempfile
from functools import cache
from pathlib import Path

from aira_lib.naming import distribution_name
from aira_lib.sandbox.candidate import run_candidate
from aira_lib.sandbox.process import SandboxError
from aira_lib.study.agent import CandidateLimits

# What models are used to reach for, by the names under which they import it.
_OFTEN_USED = (
    "numpy", "pandas", "scipy", "sklearn", "torch", "statsmodels", "xgboost", "lightgbm", "catboost", "transformers",
    "datasets", "tokenizers", "sentence_transformers", "torchvision", "torchmetrics", "torch_geometric", "tensorflow",
    "keras", "jax", "flax", "optax", "rdkit", "sktime", "nltk", "spacy", "gensim", "networkx", "numba", "pyarrow",
    "polars", "einops", "botorch", "optuna", "sympy",
)  # fmt: skip
# Looks for them as an import would, without the seconds that imports take; for further ones by their own names.
_LOOK = """
import importlib.metadata, importlib.util, json, re
found, further = {}, {}
packages = importlib.metadata.packages_distributions()
for name in %r:
    if importlib.util.find_spec(name):
        distribution = packages.get(name, [name])[0]
        try:
            found[name] = distribution, importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            found[name] = name, ""
plain = lambda name: re.sub("[-_.]+", "-", name).lower()
for name in %r:
    try:
        metadata = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        continue
    modules = [module for module, of in packages.items() if plain(name) in map(plain, of) and module[0] != "_"]
    modules = sorted(filter(importlib.util.find_spec, modules))
    if modules:
        further[name] = metadata["Name"], metadata["Version"], modules
print(json.dumps([found, further]))
"""
_MOST_MODULES = 3


@cache
def packages_in_words(further: tuple[str, ...] = ()) -> str:
    """Name the packages that a program finds in the sandbox, of those often used and further ones, with their versions.

    Args:
        further: Installed packages by the names under which they are installed.

    Raises:
        SandboxError: no candidate can be run here, or the sandbox does not show a further package.
    """
    further = tuple(sorted(further, key=distribution_name))
    with tempfile.TemporaryDirectory(prefix="aira-look-") as folder:
        outcome = run_candidate(_LOOK % (_OFTEN_USED, further), Path(folder), CandidateLimits(seconds=60))
    try:
        found, seen = json.loads(outcome.stdout_tail.strip().splitlines()[-1])
    except (ValueError, IndexError):
        found, seen = {name: (name, "") for name in ("numpy", "torch")}, {}  # on which this package depends
    named = {distribution_name(name): f"{name} {version}".strip() for name, version in found.values()}
    for name in further:
        if name not in seen:
            raise SandboxError(f"task.packages: {name!r}: programs in the sandbox do not find it; leave it out")
        named.setdefault(distribution_name(name), _named(*seen[name]))
    return _listed([*named.values()])


def _named(name: str, version: str, modules: list[str]) -> str:
    """A package with its version, and how it is imported where its name does not say so."""
    said = "" if distribution_name(modules[0]) == distribution_name(name) else f" ({_imported(modules)})"
    return f"{name} {version}{said}"


def _imported(modules: list[str]) -> str:
    return f"import {', '.join(modules[:_MOST_MODULES])}{', ...' if len(modules) > _MOST_MODULES else ''}"


def _listed(names: list[str]) -> str:
    return " and ".join([*([", ".join(names[:-1])] if names[1:] else []), *names[-1:]]) or "nothing else"
