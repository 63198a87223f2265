"""The command line of prepare.py and evaluate_prepare.py of a task folder, by AIRS-Bench's names."""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class GivenFolders:
    """Where raw data sets lie, and where a script writes what submitted code will see of them."""

    shared: Path
    mount: Path


def given_folders() -> GivenFolders:
    """The folders that this process's command line names; one that is not there ends it with one line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--global-shared-data-dir", type=Path, required=True)
    parser.add_argument("--agent-data-mount-dir", type=Path, required=True)
    parser.add_argument("--agent-log-dir", type=Path)
    given = parser.parse_args()
    for folder in (given.global_shared_data_dir, given.agent_data_mount_dir, given.agent_log_dir):
        if folder is not None and not folder.is_dir():
            sys.exit(f"no such folder: {folder}")
    return GivenFolders(given.global_shared_data_dir, given.agent_data_mount_dir)
