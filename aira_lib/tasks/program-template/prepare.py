"""Write train and validation with labels, and test without: .npy files whose first axis are rows."""

from utils import data_folders, save, split

if __name__ == "__main__":
    mount = data_folders().agent_data_mount_dir
    for name in ("train", "validation"):
        inputs, labels = split(name)
        save(mount / name, inputs=inputs, labels=labels)
    save(mount / "test", inputs=split("test")[0])
