"""The score of a training script: its time, the causality of its model, and bits per byte; `measure` of program.yaml.

How the model is asked, and what its answers may not depend on, says `aira_lib.autoresearch.questions`.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aira_lib.asking import Arrays, Ask, Measurement, NotValid
from aira_lib.autoresearch.bpb import bits_per_byte
from aira_lib.autoresearch.questions import PROBE_ROWS, TOKENS, TOLERANCE, Rows, answers_of

Setting = bool | int | float | str
_LATE = "the training took longer than its budget"
_DEPENDS = "predictions depend on more than the text before them"


def measure(
    ask: Ask, inputs: Arrays, labels: NDArray[Any], rng: np.random.Generator, settings: Mapping[str, Setting]
) -> Measurement:
    """Score a trained model.

    Args:
        ask: Gives logits [n, T, vocabulary] of tokens [n, T].
        inputs: `tokens.npy` [rows, T].
        labels: [rows, T, 2]: the token that follows, and its UTF-8 bytes.
        rng: For the order and the probes.
        settings: `budget_seconds`, `clock` (wall or cpu), `compile_allowance_seconds`, `count` (honest or paper),
            `paper_allowance_seconds`, `probe_rows` and `tolerance` (nats).

    Raises:
        NotValid: the budget was passed, or a probe found something.
    """
    _require_in_time(ask.measures, settings)
    rows = Rows(np.asarray(inputs[TOKENS]), labels[..., 0])
    probe_rows, tolerance = int(settings.get("probe_rows", PROBE_ROWS)), float(settings.get("tolerance", TOLERANCE))
    answers = answers_of(ask, rows, rng, probe_rows, tolerance)
    if answers.wrong:
        raise NotValid(answers.wrong, _DEPENDS)
    found = bits_per_byte(answers.nats, labels[..., 1])
    return Measurement(found.value, {"bpb_stderr": found.standard_error, "bytes": found.bytes, "tokens": found.tokens})


def _require_in_time(measured: Mapping[str, float], settings: Mapping[str, Setting]) -> None:
    """Refuse a training that took longer than it may, by the harness's clock: from its start to its end.

    The original leaves its first steps, and all that is before them, uncounted, which only the script itself can tell
    apart from what counts; what stops it in the end is that whoever runs it gives up after twice the budget. With
    `count: paper` that is so here: a script counts as it likes within `paper_allowance_seconds` on top of the budget,
    by default as much again. Such scores compare with none that were counted.
    """
    budget, paper = float(settings.get("budget_seconds", math.inf)), settings.get("count", "honest") == "paper"
    allowance = ("paper_allowance_seconds", budget) if paper else ("compile_allowance_seconds", 0)
    beside = float(settings.get(*allowance))
    cpu = settings.get("clock") == "cpu" and "train_cpu_seconds" in measured
    used = measured["train_cpu_seconds" if cpu else "train_seconds"]
    if used > budget + beside:
        clocks = {"seconds": "train_seconds", "cpu seconds": "train_cpu_seconds"}
        both = ", ".join(f"{name} {measured[key]:.1f}" for name, key in clocks.items() if key in measured)
        of_it = f", {beside:g} s of it for start-up and first steps (count: paper)" if paper else ""
        raise NotValid(
            f"the training took {used:.1f} s of {'processor' if cpu else 'wall'} time, from its start to its end, and "
            f"{budget + beside:g} s are allowed{of_it} ({both}); imports, compilation and the writing of weights "
            "count, too", _LATE,
        )  # fmt: skip
