"""Tasks by name, and the difficulties of mad-lab's benchmark."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aira_lib.datasets.mad.compression import Compression
from aira_lib.datasets.mad.copying import SelectiveCopying
from aira_lib.datasets.mad.fuzzy import FuzzyInContextRecall
from aira_lib.datasets.mad.memorization import Memorization
from aira_lib.datasets.mad.recall import InContextRecall, NoisyInContextRecall
from aira_lib.datasets.mad.task import MADTask
from aira_lib.errors import UserError, nearest
from aira_lib.study import MADTaskName

TASKS: dict[MADTaskName, type[MADTask]] = {
    task.name: task
    for task in (
        InContextRecall,
        NoisyInContextRecall,
        FuzzyInContextRecall,
        SelectiveCopying,
        Compression,
        Memorization,
    )
}

_LONGER = (256, 512, 1024)
_VOCABULARIES = (32, 64, 128)
_FEWER_EXAMPLES = (6400, 3200, 1600, 800)

# mad-lab's sweeps: from the baseline, one factor at a time (configs/tasks of the repository).
_SWEEPS: dict[MADTaskName, Mapping[str, tuple[Any, ...]]] = {
    "in-context-recall": {"vocab_size": _VOCABULARIES, "seq_len": _LONGER},
    "noisy-in-context-recall": {"vocab_size": (48, 80, 144), "seq_len": _LONGER, "frac_noise": (0.4, 0.6, 0.8)},
    "fuzzy-in-context-recall": {"vocab_size": _VOCABULARIES, "seq_len": _LONGER},
    "selective-copying": {"vocab_size": _VOCABULARIES, "seq_len": (512, 1024), "n_tokens_to_copy": (32, 64, 96)},
    "compression": {"vocab_size": _VOCABULARIES, "seq_len": (64, 128, 256)},
    "memorization": {"vocab_size": (512, 1024, 2048, 4096, 8192)},
}


def settings_for(
    name: str, vocab_size: int | None = None, seq_len: int | None = None, n_tokens_to_copy: int | None = None
) -> MADTask:
    """The settings of a task by name; None keeps mad-lab's baseline value.

    Raises:
        UserError: no such task, a setting the task does not have, or one that its definition cannot meet.
    """
    if name not in TASKS:
        raise UserError(f"unknown MAD task {name!r}{nearest(name, TASKS)}")
    given = {"vocab_size": vocab_size, "seq_len": seq_len, "n_tokens_to_copy": n_tokens_to_copy}
    chosen = {field: value for field, value in given.items() if value is not None}
    task: type[MADTask] = TASKS[name]
    if "n_tokens_to_copy" in chosen and task is not SelectiveCopying:
        raise UserError(f"MAD task {name}: n_tokens_to_copy is a setting of selective-copying only; leave it out")
    return task(**chosen)


def benchmark_settings(name: MADTaskName) -> list[tuple[MADTask, int]]:
    """mad-lab's benchmark of a task: the baseline, then every sweep, each with its number of training examples.

    66 settings over the six tasks. The AIRA paper does not state which it uses.
    """
    baseline = TASKS[name]()
    if name == "memorization":
        examples: tuple[int, ...] = (256,)
    else:
        examples = (12_800, *_FEWER_EXAMPLES)
    harder = [replace(baseline, **{field: value}) for field, values in _SWEEPS[name].items() for value in values]
    return [(baseline, examples[0]), *((task, examples[0]) for task in harder), *((baseline, n) for n in examples[1:])]
