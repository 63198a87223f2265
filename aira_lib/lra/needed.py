"""The packages that training and answering need, asked for before any of them is imported."""

from importlib.util import find_spec

from aira_lib.errors import MissingDependency

_PACKAGES = ("jax", "flax", "optax", "safetensors")


def require_packages() -> None:
    """Make sure that models of Long Range Arena can be trained here.

    Raises:
        MissingDependency: a package is not installed; the line has the command that installs it.
    """
    if not all(map(find_spec, _PACKAGES)):
        raise MissingDependency("training for Long Range Arena", "jax")
