"""The code of the evaluator as a digest: what is said in comments, docstrings and layout does not count.

Which modules these are is read from their imports, starting at `aira_lib.proxy.evaluation`, and from texts that name
something in one, such as "aira_lib.models.attention:Attention". Followed are the packages
that turn settings into scores. The study's format is not among them, since its values are in the key themselves, nor
are texts, which are in it by the digest of their tokens.
"""

import ast
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import aira_lib

START = "aira_lib.proxy.evaluation"
_NAMED = re.compile(r"(aira_lib(?:\.\w+)+):\w+")
PACKAGES = ("aira_lib.proxy", "aira_lib.models", "aira_lib.architecture", "aira_lib.datasets.mad")


@cache
def code_digest() -> str:
    """SHA-256 (hex) of the evaluator that this process runs."""
    return digest_of(Path(aira_lib.__file__).parent.parent)


def digest_of(root: Path) -> str:
    """SHA-256 (hex) of the evaluator in a source tree, the folder that holds `aira_lib`."""
    modules = evaluator_modules(root)
    whole = hashlib.sha256()
    for name in sorted(modules):
        whole.update(f"{name} {''.join(_meaning(modules[name]))}\n".encode())
    return whole.hexdigest()


def evaluator_modules(root: Path) -> dict[str, ast.Module]:
    """The modules of the evaluator by their dotted names."""
    found: dict[str, ast.Module] = {}
    waiting = [START]
    while waiting:
        name = waiting.pop()
        if name in found or not any(name == each or name.startswith(f"{each}.") for each in PACKAGES):
            continue
        path = _source(root, name)
        if path is not None:
            found[name] = ast.parse(path.read_bytes(), str(path))
            waiting.extend(_imported(found[name]))
    return found


def _source(root: Path, name: str) -> Path | None:
    base = root.joinpath(*name.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def _imported(module: ast.Module) -> Iterator[str]:
    """Dotted names that may be modules; those imported within functions and those named in texts included."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and (named := _NAMED.fullmatch(node.value)):
            yield named[1]


def _meaning(node: ast.AST) -> Iterator[str]:
    """A syntax tree as text that is the same for every version of Python: empty fields are left out."""
    yield f"({type(node).__name__}"
    for name, value in ast.iter_fields(node):
        values = value if isinstance(value, list) else [value]
        if name == "body" and values and _is_text(values[0]):
            values = values[1:]
        parts = [
            part for each in values if each is not None for part in (_meaning(each) if isinstance(each, ast.AST) else
            [repr(each)])
        ]  # fmt: skip
        if parts:
            yield f" {name}="
            yield from parts
    yield ")"


def _is_text(statement: object) -> bool:
    """Whether a statement is a docstring, or another text that does nothing."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
