"""Write the labels of the test split where only the scorer finds them."""

from utils import data_folders, save, split

if __name__ == "__main__":
    save(data_folders().agent_data_mount_dir / "test_with_labels", labels=split("test")[1])
