"""Write gold_submission.csv, a perfect submission. Needed only where the raw test column is not one itself."""

import argparse
from pathlib import Path

from utils import raw_data, write_table

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--global-shared-data-dir", type=Path, required=True)
    parser.add_argument("--output-directory", type=Path, required=True)
    given = parser.parse_args()
    gold = raw_data(given.global_shared_data_dir, "test")
    write_table(gold, ["parity"], given.output_directory / "gold_submission.csv")
