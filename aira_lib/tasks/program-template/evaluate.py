"""Score predictions as AIRS-Bench does; taken in the place of a function where program.yaml says score: evaluate.py."""

import argparse
import json
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--submission-file", type=Path, default=Path("data/predictions.npy"))
    given = parser.parse_args()
    labels = np.load("data/test_with_labels/labels.npy")
    scores = np.load(given.submission_file)
    if scores.shape != (len(labels), 2):
        parser.error(f"scores of two classes are asked for, in {len(labels)} rows; found the shape {scores.shape}")
    print("\n--- EVALUATION RESULT ---")
    print(json.dumps({"Accuracy": float(np.mean(scores.argmax(axis=1) == labels))}))
