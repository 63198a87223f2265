"""Which packages a candidate may import, in words for its prompt."""

import json
import tempfile
from functools import cache
from pathlib import Path

from aira_lib.sandbox.process import run_candidate
from aira_lib.study.agent import CandidateLimits

# What models are used to reach for, by the names under which they import it.
_OFTEN_USED = (
    "numpy", "pandas", "scipy", "sklearn", "torch", "statsmodels", "xgboost", "lightgbm", "catboost", "transformers",
    "datasets", "tokenizers", "sentence_transformers", "torchvision", "torchmetrics", "torch_geometric", "tensorflow",
    "keras", "jax", "flax", "optax", "rdkit", "sktime", "nltk", "spacy", "gensim", "networkx", "numba", "pyarrow",
    "polars", "einops", "botorch", "optuna", "sympy",
)  # fmt: skip
# Looks for them as an import would, without the seconds that imports take.
_LOOK = """
import importlib.metadata, importlib.util, json
found = {}
packages = importlib.metadata.packages_distributions()
for name in %r:
    if importlib.util.find_spec(name):
        distribution = packages.get(name, [name])[0]
        try:
            found[name] = distribution, importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            found[name] = name, ""
print(json.dumps(found))
"""


@cache
def packages_in_words() -> str:
    """Name the packages of those often used that a program finds in the sandbox, with their versions.

    Raises:
        SandboxError: no candidate can be run here.
    """
    with tempfile.TemporaryDirectory(prefix="aira-look-") as folder:
        outcome = run_candidate(_LOOK % (_OFTEN_USED,), Path(folder), CandidateLimits(seconds=60))
    try:
        found = json.loads(outcome.stdout_tail.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return "numpy and torch"  # on which this package depends
    return _listed([f"{name} {version}".strip() for name, version in found.values()])


def _listed(names: list[str]) -> str:
    return " and ".join([*([", ".join(names[:-1])] if names[1:] else []), *names[-1:]]) or "nothing else"
