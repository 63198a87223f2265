"""What decides the bits of a training, in one text."""

import hashlib
import json
from dataclasses import asdict

import flax
import jax
import numpy as np
import optax

from aira_lib.lra.data.examples import LraSplit
from aira_lib.lra.interface import OFFERED
from aira_lib.lra.program import Program
from aira_lib.lra.settings import TrainingSettings

_NOT_OF_THE_RESULT = {"most_validations", "reports", "seconds", "checkpoint_seconds"}
_ROWS_AT_ONCE = 4096


def fingerprint(program: Program, examples: LraSplit, settings: TrainingSettings) -> str:
    """A digest of the submitted file, its configuration, settings, rows, and of what computes them.

    Files that a submission imports are not read: a folder is of one submission.
    """
    said = {
        "source": hashlib.sha256(program.submission.path.read_bytes()).hexdigest(),
        "problem": asdict(program.submission.problem),
        "configuration": asdict(program.configuration),
        "fields": {name: getattr(program.module, name, None) for name in OFFERED},
        "settings": {name: value for name, value in asdict(settings).items() if name not in _NOT_OF_THE_RESULT},
        "rows": digest_of(examples),
        "versions": [jax.__version__, flax.__version__, optax.__version__, jax.default_backend()],
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=repr).encode()).hexdigest()


def digest_of(examples: LraSplit) -> str:
    """Of all inputs and labels, by shape and content."""
    digest = hashlib.sha256()
    for array in (*examples.inputs, examples.labels):
        digest.update(repr(array.shape).encode())
        for start in range(0, len(array), _ROWS_AT_ONCE):
            digest.update(np.ascontiguousarray(array[start : start + _ROWS_AT_ONCE], np.int32).tobytes())
    return digest.hexdigest()
