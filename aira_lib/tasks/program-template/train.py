"""Train what was submitted on the labelled rows, in a sandbox, and leave the weights. Submitted code runs in here."""

import json
from pathlib import Path

import numpy as np
from loading import features_of, submitted

from aira_lib.tensors import write_tensors


def labelled(train_on: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The rows to train on, and their labels."""
    folders = [Path("data", name) for name in train_on]
    inputs, labels = (
        np.concatenate([np.load(each / f"{name}.npy") for each in folders]) for name in ("inputs", "labels")
    )
    return inputs, labels


def trained(weights: dict, features: np.ndarray, labels: np.ndarray, steps: int, learning_rate: float) -> dict:
    """Weights after gradient descent on the mean cross-entropy."""
    weight, bias = weights["weight"].astype(np.float32), weights["bias"].astype(np.float32)
    for step in range(steps):
        scores = features @ weight + bias
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        if step % 50 == 0:
            print(f"step {step}: loss {-np.log(shares[np.arange(len(labels)), labels]).mean():.4f}", flush=True)
        shares[np.arange(len(labels)), labels] -= 1
        weight = weight - learning_rate * features.T @ shares / len(labels)
        bias = bias - learning_rate * shares.mean(axis=0)
    return {"weight": weight, "bias": bias}


if __name__ == "__main__":
    told = json.loads(Path("run.json").read_text())
    inputs, labels = labelled(told["train_on"])
    model = submitted()
    weights = trained(model.initial(told["seed"]), features_of(model, inputs), labels, **told["settings"])
    Path("weights.safetensors").write_bytes(write_tensors(weights))
