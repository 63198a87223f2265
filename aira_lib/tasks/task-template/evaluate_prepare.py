"""Put the test labels and the agent's submission where evaluate.py finds them."""

import shutil

from utils import data_folders, raw_data, write_table

if __name__ == "__main__":
    given = data_folders()
    mount = given.agent_data_mount_dir
    write_table(raw_data(given.global_shared_data_dir, "test"), ["parity"], mount / "test_with_labels" / "data.csv")
    shutil.copyfile(given.agent_log_dir / "submission.csv", mount / "submission.csv")
