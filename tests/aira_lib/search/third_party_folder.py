"""A task folder as somebody else would write it: odd typings, utils.py, custom labels, raw data in a shared folder."""

import csv
import random
from pathlib import Path

NAME = "PriceRegressionMadeHousesMeanAbsoluteError"
ROWS = {"train": 50, "test": 20}

METADATA = f"""\
metric_lower_is_better: true
file_export_globs:
  - submission.csv
container_python_requirements:
  -numpy
evaluate_container_python_requirements: ["numpy"]
logging_info:
  name: {NAME}
  dataset: somebody/houses
  category: Tabular
  research_problem: Price Regression
  output_type: Regression
  config: default
  train_split: train
  test_split: test
  input_columns: [area]
  scoring_column: [price]
  shape: ({ROWS["test"]},)
  custom_gold_labels: true
  custom_rad_class: false
  metric: MeanAbsoluteError
  sota:
    - sota_paper_url: https://example.org/paper
      sota_score: 1.5
      sota_year: 2020
  dataset_paper_url: https://example.org/data
  additional_metrics: null
"""

UTILS = """\
import argparse, csv, os, sys

def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--global-shared-data-dir", required=True)
    parser.add_argument("--agent-data-mount-dir", required=True)
    parser.add_argument("--agent-log-dir")
    args = parser.parse_args()
    for name, folder in vars(args).items():
        if folder is not None and not os.path.isdir(folder):
            print(f"Error: {name}: {folder} does not exist", file=sys.stderr)
            sys.exit(1)
    return args

def raw(args, split):
    with open(os.path.join(args.global_shared_data_dir, "somebody/houses/default", split + ".csv")) as file:
        return list(csv.DictReader(file))

def save(rows, columns, folder):
    os.makedirs(folder)
    with open(os.path.join(folder, "rows.csv"), "w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
"""

PREPARE = """\
from utils import arguments, raw, save
args = arguments()
save(raw(args, "train"), ["area", "price"], args.agent_data_mount_dir + "/train")
save(raw(args, "test"), ["area"], args.agent_data_mount_dir + "/test")
"""

CUSTOM_LABELS = """\
def labels(rows):
    return [{"price": f"{float(row['price']):.3f}"} for row in rows]
"""

EVALUATE_PREPARE = """\
import shutil
from custom_labels import labels
from utils import arguments, raw, save
args = arguments()
save(labels(raw(args, "test")), ["price"], args.agent_data_mount_dir + "/test_with_labels")
shutil.copy(args.agent_log_dir + "/submission.csv", args.agent_data_mount_dir)
"""

EVALUATE = """\
import argparse, csv, json

def column(path):
    with open(path, newline="") as file:
        return [float(row["price"]) for row in csv.DictReader(file)]

parser = argparse.ArgumentParser()
parser.add_argument("--submission-file", default="submission.csv")
args = parser.parse_args()
labels = column("./data/test_with_labels/rows.csv")
try:
    predictions = column(args.submission_file)
except (KeyError, ValueError) as error:
    parser.error(f"malformed submission: {error!r}")
if len(predictions) != len(labels):
    parser.error(f"expected {len(labels)} rows, got {len(predictions)}")
print("Evaluating", len(labels), "rows")
print("--- EVALUATION RESULT ---")
print(json.dumps({"MeanAbsoluteError": sum(abs(a - b) for a, b in zip(predictions, labels)) / len(labels)}, indent=4))
"""

DESCRIPTION = f"""\
# TASK
Predict the price of a house from its area. `./data/train/rows.csv` has `area` and `price`, `./data/test/rows.csv` has
`area`. Write `submission.csv` with the header `price` and {ROWS["test"]} rows. MeanAbsoluteError, lower is better.
"""


def third_party_folder(where: Path, **changes: str) -> tuple[Path, Path]:
    """Write the task folder and the shared folder; keyword arguments replace scripts (`evaluate="..."`)."""
    folder, raw = where / "tasks" / NAME, where / "shared" / "somebody" / "houses" / "default"
    folder.mkdir(parents=True)
    raw.mkdir(parents=True)
    scripts = {
        "utils": UTILS, "prepare": PREPARE, "custom_labels": CUSTOM_LABELS, "evaluate_prepare": EVALUATE_PREPARE,
        "evaluate": EVALUATE,
    }  # fmt: skip
    for name, text in {**scripts, **changes}.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "metadata.yaml").write_text(METADATA)
    (folder / "project_description.md").write_text(DESCRIPTION)
    rng = random.Random(1)
    for split, count in ROWS.items():
        with (raw / f"{split}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["area", "price"])
            for _ in range(count):
                area = rng.uniform(20, 200)
                writer.writerow([f"{area:.4f}", f"{3 * area + rng.gauss(0, 5):.7f}"])
    return folder, where / "shared"


def raw_rows(shared: Path, split: str) -> list[dict[str, str]]:
    """The labelled rows of a split."""
    with (shared / "somebody/houses/default" / f"{split}.csv").open(newline="") as file:
        return list(csv.DictReader(file))
