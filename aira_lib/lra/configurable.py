"""The configurable set-up: constants of a submitted file, read from its text and never by running it.

A constant is a plain assignment of a number at the top of the file: `LR = 1e-3`. The paper's Table 13 lists what agents
explored; those ranges, widened to round numbers, are the bounds here. Work is bounded besides, or set-ups would not
compare: tokens of a training are at most four times those of the task's own configuration. The seed is the harness's.
"""

import ast
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from aira_lib.foreign import in_a_line
from aira_lib.lra.configuration import Configuration
from aira_lib.lra.data.sizes import LraTask
from aira_lib.lra.refused import Refused

MOST_WORK = 4
"""Times the tokens of the task's own configuration that a configurable training may read."""

VARIABLES = {
    "SEQ_LEN": "max_length",
    "MAX_LENGTH": "max_length",
    "LR": "learning_rate",
    "LEARNING_RATE": "learning_rate",
    "BATCH_SIZE": "batch_size",
    "NUM_TRAIN_STEPS": "num_train_steps",
    "TRAIN_STEPS": "num_train_steps",
    "NUM_LAYERS": "num_layers",
    "NUM_HEADS": "num_heads",
    "EMB_DIM": "emb_dim",
    "EMBED_DIM": "emb_dim",
    "QKV_DIM": "qkv_dim",
    "MLP_DIM": "mlp_dim",
    "WEIGHT_DECAY": "weight_decay",
    "WARMUP_STEPS": "warmup",
    "WARMUP": "warmup",
    "EVAL_FREQUENCY": "eval_frequency",
    "EVAL_FREQ": "eval_frequency",
}
"""Names of constants, Table 12's aliases among them, and what they set."""

_SEED = ("RANDOM_SEED", "SEED")
_ALL_TASKS: dict[str, tuple[float, float]] = {
    "learning_rate": (1e-5, 1e-2),
    "num_layers": (1, 12),
    "num_heads": (1, 16),
    "emb_dim": (8, 512),
    "qkv_dim": (8, 512),
    "mlp_dim": (16, 2048),
    "weight_decay": (0.0, 0.1),
    "warmup": (0, 8000),
    "eval_frequency": (1, 4000),
}
BOUNDS: dict[LraTask, dict[str, tuple[float, float]]] = {
    "text": {"max_length": (32, 4096), "batch_size": (1, 64), "num_train_steps": (1, 30_000), **_ALL_TASKS},
    "listops": {"max_length": (32, 4096), "batch_size": (1, 128), "num_train_steps": (1, 20_000), **_ALL_TASKS},
    "retrieval": {"max_length": (32, 8192), "batch_size": (1, 32), "num_train_steps": (1, 15_000), **_ALL_TASKS},
}
"""Least and greatest value of every key that a submission may set, both allowed."""


def configured(source: str, task: LraTask, own: Configuration, longest: int | None = None) -> Configuration:
    """The configuration that a submitted file asks for: the task's own but for its constants.

    Args:
        source: The file's text.
        task: Whose bounds hold.
        own: The task's own configuration.
        longest: Length of the rows that there are, where an input may not be longer.

    Raises:
        Refused: with the constant, its line and what would do.
    """
    asked: dict[str, tuple[str, float]] = {}
    for name, line, value in _constants(source):
        key = VARIABLES[name]
        if key in asked:
            raise Refused(f"line {line}: {name} sets what {asked[key][0]} has set; leave one of them")
        asked[key] = (name, _bounded(name, line, value, isinstance(getattr(own, key), int), BOUNDS[task][key]))
    values: dict[str, Any] = {key: value for key, (_, value) in asked.items()}
    chosen = replace(own, **values)
    if longest is not None and chosen.max_length > longest:
        raise Refused(f"{asked['max_length'][0]} = {chosen.max_length}: rows here have {longest} places at most")
    if chosen.work > MOST_WORK * own.work:
        raise Refused(
            f"BATCH_SIZE x SEQ_LEN x NUM_TRAIN_STEPS is {chosen.work:,}, and at most {MOST_WORK * own.work:,} "
            f"({MOST_WORK} times the task's own) is allowed; make one of them smaller"
        )
    return chosen


def _constants(source: str) -> Iterator[tuple[str, int, Any]]:
    """Name, line and value of every constant that counts.

    A name that is bound at the top of the file in any other way is refused: what the model then reads would not be what
    the training was told.
    """
    try:
        module = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Refused(f"the file is no Python: {in_a_line(str(error), 200)}") from None
    for statement in module.body:
        for name, line in _bound(statement):
            if name in _SEED:
                raise Refused(f"line {line}: {name} is the harness's to set; take it out")
            if name in VARIABLES:
                yield name, line, _literal(name, statement)
    for node in ast.walk(module):
        if isinstance(node, ast.Global) and (names := {*VARIABLES, *_SEED} & {*node.names}):
            raise Refused(f"line {node.lineno}: {min(names)} is set in a function; assign a number at the top instead")


def _bound(statement: ast.stmt) -> Iterator[tuple[str, int]]:
    """Names that a statement at the top of a file binds there: bodies of functions and classes have their own."""
    nodes: deque[ast.AST] = deque([statement])
    while nodes:
        node = nodes.popleft()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            yield node.id, node.lineno
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0], node.lineno
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif not isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            nodes += ast.iter_child_nodes(node)


def _literal(name: str, statement: ast.stmt) -> Any:
    """The number of `NAME = number` or `NAME: type = number`."""
    target: ast.expr | None = None
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
    elif isinstance(statement, ast.AnnAssign):
        target = statement.target
    if isinstance(target, ast.Name) and isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value:
        try:
            return ast.literal_eval(statement.value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            pass
    raise Refused(f"line {statement.lineno}: {name} has to be a plain number, as in `{name} = 8`: it is read, not run")


def _bounded(name: str, line: int, value: Any, whole: bool, bounds: tuple[float, float]) -> float:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        kind = "a whole number" if whole else "a number"
        raise Refused(f"line {line}: {name} = {in_a_line(repr(value), 40)}: {kind} is needed")
    least, most = bounds
    if not least <= value <= most:
        raise Refused(f"line {line}: {name} = {in_a_line(repr(value), 40)}: from {least:g} to {most:g} is allowed")
    return int(value) if whole else float(value)
