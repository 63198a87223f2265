"""One rank of several nodes: `python -m aira_lib.training.rank_of_nodes URI`, of the folder where they meet.

It is `aira_lib.training.rank` with a workspace of its node: checkpoints go to that folder of the store and come from
it, and rank 0 tells there how it goes. Who waits for it reads that; nothing of the training depends on anybody waiting.
"""

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aira_lib.device import kernels
from aira_lib.errors import StoreError, UserError
from aira_lib.settings import Settings
from aira_lib.training.checkpoint.pushing import Pushing
from aira_lib.training.curve import FILE
from aira_lib.training.outcome import Outcome
from aira_lib.training.rank import RankSpec, ending_in_words, train
from aira_lib.training.shared_folder import TOLD, NodesSpec, SharedFolder, Spread
from aira_lib.training.told_names import LOG, OUTCOME, WARNINGS

TELL_SECONDS = 10.0
"""Between two times that rank 0 tells; a log that has grown long is told less often."""

_BYTES_A_SECOND = 500_000

_log = logging.getLogger(__name__)


def main(uri: str) -> None:
    """See the module's docstring."""
    with ending_in_words():
        shared, settings = SharedFolder(uri), Settings.from_environment()
        spec = shared.spec()
        check_kernels(spec)
        local, locals_ = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
        place = settings.scratch / "nodes" / spec.token / os.environ.get("GROUP_RANK", "0")
        told = place / TOLD
        told.mkdir(parents=True, exist_ok=True)
        of_rank = RankSpec(
            section=spec.section, point=spec.point, workspace=str(place / "workspace"), told=str(told),
            device=spec.device, threads=settings.threads,
        )  # fmt: skip
        (place / "workspace").mkdir(exist_ok=True)
        if int(os.environ["RANK"]) != 0:
            return train(of_rank, Spread(shared, spec.token, local, locals_))
        for name in (LOG, WARNINGS, OUTCOME):  # of an earlier start on this node, which has told them
            (told / name).unlink(missing_ok=True)
        with telling(shared, told, [LOG, WARNINGS]):
            train(of_rank, Spread(shared, spec.token, local, locals_))
        _end(shared, place / "workspace", Outcome(**json.loads((told / OUTCOME).read_bytes())))


def check_kernels(spec: NodesSpec) -> None:
    """Refuse to compute by other kernels than those by which the record is named.

    Raises:
        UserError: they are others.
    """
    here = kernels(spec.device)
    if here != spec.kernels:
        raise UserError(
            f"{spec.point.id}: a rank computes with the kernels {here}, and its record is named by {spec.kernels}, "
            "those of the pod that waits for it; give both the same image"
        )


def _end(shared: SharedFolder, workspace: Path, outcome: Outcome) -> None:
    """Leave the curve, which may be longer than at the last checkpoint, and say how it ended."""
    last = Pushing(lambda name: shared.end(outcome) if name == OUTCOME else shared.put(workspace, [name]))
    last.copy([FILE, OUTCOME])
    last.flush()


@contextmanager
def telling(shared: SharedFolder, folder: Path, names: list[str], seconds: float = TELL_SECONDS) -> Iterator[None]:
    """Copy files that grow into the shared folder, now and then and at the end; a store that refuses is no matter.

    Args:
        shared: where to; each start has a folder there.
        folder: of the files.
        names: of them; they need not be there yet.
        seconds: from one time to the next.
    """
    over, since = threading.Event(), f"{TOLD}/{time.time_ns():020d}"
    told: dict[str, int] = {}

    def tell() -> int:
        size = 0
        for name in names:
            path = folder / name
            there = path.stat().st_size if path.exists() else 0
            if there != told.get(name, 0):
                try:
                    shared.store.put(path, f"{since}/{name}")
                except StoreError as error:
                    _log.warning("what is told is not in the store yet: %s", error)
                else:
                    told[name] = there
            size += there
        return size

    def run() -> None:
        pause = seconds
        while not over.wait(pause):
            pause = max(seconds, tell() / _BYTES_A_SECOND)

    thread = threading.Thread(target=run, name="telling", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        tell()


if __name__ == "__main__":
    main(*sys.argv[1:])
