"""GPUs of this machine, each held by one job at a time; by locked files, which the kernel lets go of with the job."""

import fcntl
import os
from collections.abc import Sequence

from aira_lib.device import gpus
from aira_lib.errors import UserError
from aira_lib.naming import slug
from aira_lib.settings import scratch_folder
from aira_lib.store.files import disk_errors


def check_gpus(wanted: int, what: str) -> None:
    """Refuse more GPUs than this process may use.

    Args:
        wanted: how many.
        what: the beginning of the error's line, such as "resources.pretrain".

    Raises:
        UserError: there are fewer.
    """
    here = len(gpus())
    if wanted > here:
        has = f"{here} GPU{'s' * (here != 1)}" if here else "no GPU"
        raise UserError(
            f"{what}: {wanted} GPUs on one machine, and this one has {has}; ask for fewer, or run it on another"
        )


def hold_gpus(wanted: int) -> Sequence[str] | None:
    """Take some GPUs until this process ends; None, and none is taken, where fewer are free.

    Args:
        wanted: how many.

    Returns:
        Their names, for CUDA_VISIBLE_DEVICES.
    """
    folder, held = scratch_folder() / "gpus", dict[str, int]()
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name in gpus():
            if len(held) == wanted:
                break
            descriptor = os.open(folder / slug(name), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held[name] = descriptor
            except BlockingIOError:
                os.close(descriptor)
    if len(held) < wanted:
        for descriptor in held.values():
            os.close(descriptor)
        return None
    return [*held]
