"""Write each component's README.md from its metadata, signature and docstring: `python -m components.document`."""

import ast
from pathlib import Path

import yaml

FOLDER = Path(__file__).parent


def readme(folder: Path) -> str:
    """The README of the component in a folder."""
    metadata = yaml.safe_load((folder / "metadata.yaml").read_text(encoding="utf-8"))
    tree = ast.parse((folder / "component.py").read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    head = [f"# {metadata['name']}", "", str(ast.get_docstring(tree)), "", f"Stability: {metadata['stability']}."]
    tail = ["", "This page is made from `component.py` and `metadata.yaml` by `python -m components.document`.", ""]
    return "\n".join([*head, *(line for function in functions for line in _section(function)), *tail])


def _section(function: ast.FunctionDef) -> list[str]:
    about, _, arguments = (ast.get_docstring(function) or "").partition("Args:")
    described = dict(line.strip().split(": ", 1) for line in arguments.strip().splitlines() if ": " in line)
    rows = [
        f"| {argument.arg} | `{ast.unparse(argument.annotation)}` | {described.get(argument.arg, '')} |"
        for argument in function.args.args
        if argument.annotation
    ]
    table = ["| parameter | type | meaning |", "| --- | --- | --- |", *rows]
    gives = f"Returns `{ast.unparse(function.returns)}`." if function.returns else ""
    return ["", f"## {function.name}", "", about.strip(), "", *table, "", gives]


def folders() -> list[Path]:
    """The folders of all components."""
    return sorted(path.parent for path in FOLDER.glob("*/component.py"))


if __name__ == "__main__":
    for each in folders():
        (each / "README.md").write_text(readme(each), encoding="utf-8")
