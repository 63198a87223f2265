"""Score submission.csv against ./data/test_with_labels; a malformed submission ends with exit code 2."""

import argparse
import json
from pathlib import Path

from utils import read_column


def accuracy(predictions: list[str], labels: list[str]) -> float:
    """Share of the predictions that equal their label."""
    return sum(a == b for a, b in zip(predictions, labels, strict=True)) / len(labels)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--submission-file", type=Path, default=Path("submission.csv"))
    given = parser.parse_args()
    labels = read_column(Path("data/test_with_labels/data.csv"), "parity")
    try:
        predictions = read_column(given.submission_file, "parity")
        if len(predictions) != len(labels):
            raise ValueError(f"submission.csv has {len(predictions)} rows, but the test data have {len(labels)}")
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print("\n--- EVALUATION RESULT ---")
    print(json.dumps({"Accuracy": accuracy(predictions, labels)}, indent=2))
