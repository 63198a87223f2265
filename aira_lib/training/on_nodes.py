"""A training on several nodes, as the process sees it that makes the record: it starts a job, follows it, takes over.

Nothing of the training passes through this process, which may be small: ranks meet in a folder of the store beside the
record's attempts (`aira_lib.training.shared_folder`). So the job outlives whoever waits for it, and the next one that
makes the record waits for the same. How it ended is what stands in that folder, whatever is said of the job; its
checkpoints get into the record by copies within the store.
"""

import logging
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aira_lib.device import DeviceKind, device_kind, kernels
from aira_lib.errors import StoreError, UserError
from aira_lib.foreign import harmless
from aira_lib.launch.job import Job
from aira_lib.launch.launcher import Launcher
from aira_lib.launch.launchers import launcher_of_nodes
from aira_lib.records import PretrainPoint
from aira_lib.study import PretrainSection, ResourcesAtScale
from aira_lib.training.checkpoint.manifest import finished_steps, steps_in
from aira_lib.training.checkpoint.pushing import Pushing
from aira_lib.training.checkpoint.retention import drop
from aira_lib.training.curve import FILE
from aira_lib.training.outcome import Outcome
from aira_lib.training.ranks_job import nodes_job
from aira_lib.training.shared_folder import NodesSpec, SharedFolder
from aira_lib.training.stopping import EXIT_CODE, told_to_stop
from aira_lib.training.together import error_of, teller
from aira_lib.training.told_folder import told_folder
from aira_lib.training.told_names import LOG, WARNINGS
from aira_lib.work import Work

PAUSE = 5.0
"""Seconds between two looks at the job and at what is told."""

_log = logging.getLogger(__name__)


def train_on_nodes(section: PretrainSection, point: PretrainPoint, work: Work, resources: ResourcesAtScale) -> Outcome:
    """Train a point by a job of several nodes, or go on waiting for the one that an earlier attempt began.

    Args:
        section: settings.
        point: what is trained.
        work: the workplace, which has a shared folder; it gets the curve, and the record the checkpoints.
        resources: nodes, ranks, and what they get.

    Raises:
        UserError: what a rank says that a user can mend, there are no machines for it, or this process counts as
            another device than they have.
        DeadRank: a node was taken away, or a rank was killed; another attempt goes on from the last checkpoint.
        StoreError: the store refuses.
        SystemExit: this process was told to end; the job goes on.
    """
    if work.shared is None:
        raise UserError(
            f"{point.id}: {resources.nodes} nodes meet in a store, and there is none here; use `aira pretrain`"
        )
    shared = SharedFolder(work.shared)
    outcome = shared.outcome()
    if outcome is None:
        spec = _begun(section, point, work, resources, shared)
        job = nodes_job(work.study, point, resources, shared.uri, spec.token)
        outcome = _followed(launcher_of_nodes(), job, point, work, shared)
    _take_over(point, work, shared)
    return outcome


def device_of_nodes(resources: ResourcesAtScale) -> DeviceKind:
    """What the ranks of several nodes compute on: the GPUs that they ask for, else the CPU."""
    return "cuda" if resources.gpus_per_node else "cpu"


def _begun(
    section: PretrainSection, point: PretrainPoint, work: Work, resources: ResourcesAtScale, shared: SharedFolder
) -> NodesSpec:
    """Leave what is to be trained, and from where; what an earlier attempt left stays."""
    device = device_of_nodes(resources)
    if device != device_kind():
        raise UserError(
            f"{point.id}: its nodes compute on {device}, and this process, by which its record is named, counts as "
            f"{device_kind()}; set AIRA_DEVICE={device} here"
        )
    branch = finished_steps(work.path)
    if branch and not shared.steps():
        shared.put_checkpoint(work.path, branch[-1])
    token = secrets.token_hex(8)
    return shared.begin(NodesSpec(token=token, section=section, point=point, device=device, kernels=kernels(device)))


def _followed(launcher: Launcher, job: Job, point: PretrainPoint, work: Work, shared: SharedFolder) -> Outcome:
    """Have the job run to its end, and carry on what its ranks tell; how the training ended."""
    how = launcher.submit(job)
    work.progress(0, point.steps, f"job {job.name}: {how}")
    with told_folder() as folder, told_to_stop() as told, _printed(launcher, job.name):
        carry, tell = _carrier(shared, folder), teller(folder, point, work)
        while True:
            status = launcher.status(job.name)  # asked first: what it told before its end is carried then
            carry()
            tell()
            if status.ended:
                break
            if told():
                raise SystemExit(EXIT_CODE)
            time.sleep(PAUSE)
    outcome = shared.outcome()
    if outcome is not None:
        return outcome
    if status.state != "succeeded":
        error = error_of(status.failure, point)
        if status.failure and isinstance(
            error, UserError
        ):  # the log of this process says what was the last of each pod
            print("\n".join(map(harmless, status.failure.lines)), file=sys.stderr, flush=True)
        raise error
    raise UserError(f"{point.id}: job {job.name} ended well and left no outcome; remove {shared.uri} to train again")


def _carrier(shared: SharedFolder, folder: Path) -> Callable[[], None]:
    """A function that copies what rank 0 has told since its last call into files of a folder here."""
    offsets: dict[str, int] = {}

    def carry() -> None:
        try:
            for file in (LOG, WARNINGS):
                for name in shared.told(file):
                    data = shared.store.read_from(name, offsets.get(name, 0))
                    offsets[name] = offsets.get(name, 0) + len(data)
                    with (folder / file).open("ab") as copy:
                        copy.write(data)
        except StoreError as error:
            _log.warning("what the ranks tell cannot be read for now: %s", error)

    return carry


@contextmanager
def _printed(launcher: Launcher, name: str) -> Iterator[None]:
    """Print what node 0 prints, as far as it can be had: no training fails for a log."""

    def follow() -> None:
        try:
            for line in launcher.logs(name, follow=True):
                print(harmless(line), file=sys.stderr, flush=True)
                if over.is_set():
                    return
        except UserError as error:
            _log.warning("the log of job %s is no longer followed: %s", name, error)

    over = threading.Event()
    thread = threading.Thread(target=follow, name="log of node 0", daemon=True)
    thread.start()
    try:
        yield
        thread.join(_LAST_WORDS)
    finally:
        over.set()


_LAST_WORDS = 10.0
"""Seconds for the end of a log, once its job has ended."""


def _take_over(point: PretrainPoint, work: Work, shared: SharedFolder) -> None:
    """Have curve and checkpoints in the record, and nothing else that a training would go on from."""
    pushing = Pushing(work.push)
    for step in steps_in(work.path):
        drop(work.path, pushing, step)
    pushing.flush()
    shared.get(work.path, [FILE])
    steps = shared.steps()
    for step in sorted({*steps[-1:], *(step for step in point.kept_steps if step in steps)}):
        for entry in shared.entries(step):
            work.adopt(entry)
