"""From settings and a seed to examples, and to training, validation and test splits that share nothing."""

from dataclasses import dataclass

import numpy as np

from aira_lib.datasets.mad.task import Examples, MADTask, SplitName
from aira_lib.errors import UserError

_TOKENS_AT_ONCE = 2**20  # bounds the memory of a draw; part of what fixes the order of draws
_REDRAWS = 50


@dataclass(frozen=True)
class Splits:
    """Examples of one task.

    `pool` is the whole training set with training targets: the rows of `train`, then those of `validation`.
    """

    train: Examples
    validation: Examples
    test: Examples
    pool: Examples


def generate(settings: MADTask, n: int, rng: np.random.Generator, split: SplitName) -> Examples:
    """Draw n instances of a task, int64 [n, L] inputs and targets; the generator alone fixes them.

    "train" and "test" are mad-lab's; they differ for the three recall tasks, where training targets are the next token
    of every position and test targets the marked answers alone (and fuzzy test keys have the largest size).
    "validation" is what the paper's 70:30 split needs: rows as in training, targets as in test. From equal generators,
    "train" and "validation" draw the same inputs.
    """
    rows = max(1, _TOKENS_AT_ONCE // settings.seq_len)
    blocks = [settings.draw(min(rows, n - done), rng, split) for done in range(0, n, rows)]
    if not blocks:
        empty = np.empty((0, settings.length), np.int64)
        return Examples(empty, empty.copy())
    return Examples(np.concatenate([b.inputs for b in blocks]), np.concatenate([b.targets for b in blocks]))


def splits(settings: MADTask, n_train: int, n_test: int, validation_fraction: float, seed: int) -> Splits:
    """The splits of one task from one seed (an integer of at least 0).

    The last `validation_fraction` of the `n_train` training examples is held out (paper: 30 %) and scored like the
    test, by answers alone, so that validation and test fitness mean the same. No row of inputs occurs twice in all
    splits: repetitions are drawn anew. Memorization is exempt, its splits share the map by definition.

    Raises:
        UserError: a split would be empty, or the task has too few distinct instances.
    """
    n_validation = check_sizes(settings, n_train, n_test, validation_fraction)
    pool_seed, test_seed = np.random.SeedSequence(seed).spawn(2)
    taken: set[bytes] = set()
    pool = _distinct(settings, n_train, np.random.default_rng(pool_seed), "train", taken)
    test = _distinct(settings, n_test, np.random.default_rng(test_seed), "test", taken)
    # The same generator draws the same rows again, now with their answers.
    taken.clear()
    answers = _distinct(settings, n_train, np.random.default_rng(pool_seed), "validation", taken)
    cut = n_train - n_validation
    return Splits(train=pool[:cut], validation=answers[cut:], test=test, pool=pool)


def check_sizes(settings: MADTask, n_train: int, n_test: int, validation_fraction: float) -> int:
    """The number of validation examples.

    Raises:
        UserError: a split would be empty.
    """
    n_validation = round(n_train * validation_fraction)
    if not 0 < n_validation < n_train or n_test < 1:
        raise UserError(
            f"MAD task {settings.name}: {n_train} training examples with validation_fraction {validation_fraction} "
            f"and {n_test} test examples leave a split empty; raise train_examples or test_examples"
        )
    return n_validation


def _distinct(settings: MADTask, n: int, rng: np.random.Generator, split: SplitName, taken: set[bytes]) -> Examples:
    """Draw n examples whose inputs are not in `taken` nor equal to each other's; add them to `taken`."""
    if settings.rows_may_repeat:
        return generate(settings, n, rng, split)
    parts: list[Examples] = []
    missing = n
    for _ in range(_REDRAWS):
        drawn = generate(settings, missing, rng, split)
        new = np.array([i for i, row in enumerate(drawn.inputs) if not _known(row.tobytes(), taken)], dtype=np.intp)
        parts.append(drawn[new])
        missing -= len(new)
        if not missing:
            return Examples(np.concatenate([p.inputs for p in parts]), np.concatenate([p.targets for p in parts]))
    raise UserError(
        f"MAD task {settings.name}: vocab_size {settings.vocab_size} and seq_len {settings.seq_len} give too few "
        f"distinct sequences for {n} {split} examples; raise one of them or ask for fewer"
    )


def _known(row: bytes, taken: set[bytes]) -> bool:
    if row in taken:
        return True
    taken.add(row)
    return False
