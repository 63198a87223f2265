"""A lock on a folder for as long as a process lives: what it left after a kill is told from what is in use."""

import fcntl
import os
from pathlib import Path


def lock_folder(folder: Path) -> int | None:
    """Lock a folder of ours; None if another process has it, or it is not a folder of ours.

    Returns:
        The descriptor that holds the lock until it is closed, or this process ends.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if os.fstat(descriptor).st_uid == os.geteuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None
