"""Distances from the centre tell the rings apart."""

import numpy as np


def initial(seed: int) -> dict[str, np.ndarray]:
    """Zeros: the problem is convex."""
    return {"weight": np.zeros((3, 2), np.float32), "bias": np.zeros(2, np.float32)}


def features(inputs: np.ndarray) -> np.ndarray:
    """The coordinates and the distance from the centre."""
    return np.concatenate([inputs, np.linalg.norm(inputs, axis=1, keepdims=True)], axis=1)
