"""Load what was submitted, and say in one line what is wrong with it."""

import importlib
import sys
from types import ModuleType

import numpy as np

FUNCTIONS = ("initial", "features")


def submitted() -> ModuleType:
    """The submitted module, with its functions."""
    model = importlib.import_module("model")
    missing = [name for name in FUNCTIONS if not callable(getattr(model, name, None))]
    if missing:
        sys.exit(f"model.py: there is no function {missing[0]}")
    return model


def features_of(model: ModuleType, inputs: np.ndarray) -> np.ndarray:
    """The submitted features of some rows, float32 [n, k]."""
    made = np.asarray(model.features(inputs), np.float32)
    if made.ndim != 2 or len(made) != len(inputs):
        sys.exit(f"model.py: features must be [{len(inputs)}, k], not {list(made.shape)}")
    return made
