"""Write what the agent may see: labelled training data, and test data without the scoring column."""

from utils import data_folders, raw_data, write_table

if __name__ == "__main__":
    given = data_folders()
    train, test = (raw_data(given.global_shared_data_dir, split) for split in ("train", "test"))
    write_table(train, ["bits", "parity"], given.agent_data_mount_dir / "train" / "data.csv")
    write_table(test, ["bits"], given.agent_data_mount_dir / "test" / "data.csv")
