"""The packages that a task folder's scripts and candidates compute with, by their installed versions."""

import ast
import platform
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version

from aira_lib.naming import distribution_name
from aira_lib.tasks.airs.folder import TaskFolder


def package_versions(folder: TaskFolder) -> dict[str, str | None]:
    """Versions of Python and of what the metadata require and the scripts import; None: it is not installed.

    Candidates may import anything that is installed, but are told of what the metadata name.
    """
    wanted = set(map(_name, _required(folder)))
    versions = {name: installed(name) for name in wanted} | versions_of_modules(imported_modules(folder))
    return {"python": platform.python_version()} | dict(sorted(versions.items()))


def versions_of_modules(modules: Iterable[str]) -> dict[str, str | None]:
    """Versions of the packages that hold some modules, by top-level name; neither Python's own nor unknown ones."""
    foreign = {name for name in modules if name not in sys.stdlib_module_names}
    wanted = {_name(package) for name in foreign for package in _packages().get(name, ())}
    return {name: installed(name) for name in sorted(wanted)}


def installed(requirement: str) -> str | None:
    """The installed version of what a requirement such as "numpy>=2" names, None if there is none."""
    try:
        return version(_name(requirement))
    except (PackageNotFoundError, ValueError):
        return None


def _required(folder: TaskFolder) -> Iterator[str]:
    metadata = folder.metadata
    yield from metadata.container_python_requirements
    yield from metadata.evaluate_container_python_requirements
    yield from metadata.prepare_code_python_requirements


def _name(requirement: str) -> str:
    """The name that a requirement begins with, as an index of packages knows it."""
    found = re.match(r"[A-Za-z0-9._-]*", requirement)
    return distribution_name(found[0] if found else requirement)


def imported_modules(folder: TaskFolder) -> set[str]:
    """Top-level names of the modules that a folder's scripts import."""
    modules: set[str] = set()
    for path in folder.path.rglob("*.py"):
        try:
            modules.update(_modules(ast.parse(path.read_bytes())))
        except (OSError, SyntaxError, ValueError):
            continue  # its own way to fail is to be run
    return modules


def _modules(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@cache
def _packages() -> dict[str, list[str]]:
    return dict(packages_distributions())
