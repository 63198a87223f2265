"""The scripts that are to be scored again: one file, or every program of a search's journal."""

import ast
from dataclasses import dataclass
from pathlib import Path

from aira_lib.errors import UserError
from aira_lib.foreign import in_a_line
from aira_lib.records import Node, read_rows

JOURNAL = "journal.jsonl"
_MOST_BYTES = 4 * 2**20

# Of torch.cuda: what does nothing, or says that there is none, where there is no GPU.
_HARMLESS = frozenset({
    "device_count", "empty_cache", "is_available", "manual_seed", "manual_seed_all", "max_memory_allocated",
    "memory_allocated", "max_memory_reserved",
})  # fmt: skip
_OF_GPUS = frozenset({"flash_attn", "kernels", "liger_kernel", "triton"})


@dataclass(frozen=True)
class Script:
    """A script and what it is called in what is printed."""

    name: str
    code: str


def read_scripts(path: Path) -> tuple[Script, ...]:
    """The scripts of a .py file, of a journal, or of the folder of a search's record.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    path = path / JOURNAL if path.is_dir() else path
    if not path.is_file():
        raise UserError(f"{path}: there is no such file; name a train.py or the journal.jsonl of a search")
    if path.suffix != ".jsonl":
        if path.stat().st_size > _MOST_BYTES:
            raise UserError(f"{path}: more than 4 MiB, which is no script")
        try:
            return (Script(path.name, path.read_text(encoding="utf-8")),)
        except UnicodeDecodeError:
            raise UserError(f"{path}: no text in UTF-8, so no script") from None
    try:
        nodes = read_rows(path, Node)
    except ValueError as error:
        raise UserError(f"{path}: no journal of a search: {in_a_line(str(error), 160)}") from None
    found = tuple(Script(f"step {node.step}", node.code) for node in nodes if node.code.strip())
    if not found:
        raise UserError(f"{path}: no node of this journal has code")
    return found


def why_not(code: str) -> str:
    """What keeps a script from being run here, in one line; empty where nothing is seen that does."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"no Python: {error}"
    if not any(_is_named(node, "evaluate_bpb") for node in ast.walk(tree)):
        return "it has no evaluate_bpb of prepare, as scripts of the original's interface do"
    return _needs_gpu(tree)


def _needs_gpu(tree: ast.Module) -> str:
    """The first thing that fails without a GPU, unless the script asks whether there is one."""
    if any(_is_named(node, "is_available") for node in ast.walk(tree)):
        return ""
    needs = [(node.lineno, what) for node in ast.walk(tree) if isinstance(node, ast.stmt | ast.expr)
             and (what := _of_gpu(node))]  # fmt: skip
    if not needs:
        return ""
    line, what = min(needs)
    return f"needs a GPU (line {line}: {what}); it is run by the CPU's profile here"


def _of_gpu(node: ast.AST) -> str:
    if isinstance(node, ast.Import):
        return next((f"import {each.name}" for each in node.names if each.name.split(".")[0] in _OF_GPUS), "")
    if isinstance(node, ast.ImportFrom):
        return f"from {node.module} import" if (node.module or "").split(".")[0] in _OF_GPUS else ""
    if not isinstance(node, ast.Call):
        return ""
    called = ast.unparse(node.func)
    if called.startswith("torch.cuda.") and called.split(".")[2] not in _HARMLESS:
        return called
    if called.endswith(".cuda"):
        return ".cuda()"
    places = [*node.args, *(each.value for each in node.keywords if each.arg == "device")]
    if called.rpartition(".")[2] == "autocast":
        return ""
    told = (each.value for each in places if isinstance(each, ast.Constant) and isinstance(each.value, str))
    on = next((each for each in told if each.startswith("cuda")), "")
    return f'"{on}" in {called}' if on and called != "print" else ""


def _is_named(node: ast.AST, name: str) -> bool:
    names = {"id", "attr", "name"}  # of a name, of an attribute, of what is imported
    return any(getattr(node, each, None) == name for each in names.intersection(node._fields))
