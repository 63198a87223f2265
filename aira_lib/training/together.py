"""A training by several ranks, as the process sees it that makes the record: it starts them, follows them, ends them.

It alone holds the claim on the record, writes its log and pushes its files, so that a store that is slow, or that
refuses for a while, keeps no rank waiting. Its end, however it comes, ends the ranks.
"""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aira_lib.device import device, device_kind
from aira_lib.errors import UserError
from aira_lib.launch.job import Job
from aira_lib.launch.launcher import RETRY, Failure, Status
from aira_lib.launch.local import LocalLauncher
from aira_lib.records import PretrainPoint
from aira_lib.settings import scratch_folder
from aira_lib.study import PretrainSection, ResourcesAtScale
from aira_lib.track.log import read_events
from aira_lib.training.mirror import Mirror
from aira_lib.training.outcome import Outcome
from aira_lib.training.rank import RankSpec
from aira_lib.training.ranks_job import ranks_job
from aira_lib.training.stopping import EXIT_CODE, told_to_stop
from aira_lib.training.told_folder import told_folder
from aira_lib.training.told_names import LOG, OUTCOME
from aira_lib.training.warnings_told import repeater
from aira_lib.work import Work

PAUSE = 0.1


class DeadRank(UserError):
    """A rank has ended, or was killed; starting the same again goes on from its last checkpoint."""

    exit_code = RETRY


def train_together(section: PretrainSection, point: PretrainPoint, work: Work, resources: ResourcesAtScale) -> Outcome:
    """Train a point in as many processes as the resources say, each on a device of its own.

    Args:
        section: settings.
        point: what is trained.
        work: the workplace, whose `push` has checkpoints survive it.
        resources: ranks, and what they get of this machine.

    Raises:
        UserError: what a rank says that a user can mend, or AIRA_DEVICE names one device for all.
        DeadRank: a rank was killed, or fell silent.
        RuntimeError: a rank failed otherwise; the text has its last lines.
        StoreError: disk or store refuse.
        SystemExit: this process was told to end; ranks had 30 s to save what they had.
    """
    if ":" in device():
        raise UserError(f"AIRA_DEVICE={device()} names one device for {resources.ranks_in_all} ranks; let it be cuda")
    with told_folder() as folder:
        spec = RankSpec(
            section=section, point=point, workspace=str(work.path.absolute()), told=str(folder),
            device=device_kind(), threads=max(1, work.threads // resources.ranks),
        )  # fmt: skip
        (folder / "spec.json").write_text(spec.model_dump_json(), encoding="utf-8")
        job = ranks_job(work.study, point, resources, folder / "spec.json", secrets.token_hex(8))
        # However the ranks end, what they have saved goes to the store.
        with Mirror(work.path, work.push) as mirror, _running(job) as status:
            _follow(status, point, folder, mirror, work)
        return Outcome(**json.loads((folder / OUTCOME).read_bytes()))


@contextmanager
def _running(job: Job) -> Iterator[Callable[[], Status]]:
    """Have the ranks run inside the block, and no longer; gives what says how they are. `aira jobs` shows them."""
    launcher = LocalLauncher(scratch_folder() / "jobs", attached=True)
    launcher.submit(job)
    try:
        yield lambda: launcher.status(job.name)
    finally:
        launcher.cancel(job.name)


def _follow(status: Callable[[], Status], point: PretrainPoint, folder: Path, mirror: Mirror, work: Work) -> None:
    """Carry on what ranks write until they have ended; well, or with an error."""
    tell = teller(folder, point, work)
    with told_to_stop() as told:
        while not (found := status()).ended:
            tell()
            mirror.follow()
            if told():
                raise SystemExit(EXIT_CODE)
            time.sleep(PAUSE)
    tell()
    if found.state != "succeeded":
        raise error_of(found.failure, point)


def teller(folder: Path, point: PretrainPoint, work: Work) -> Callable[[], None]:
    """A function that carries what rank 0 has logged since its last call into the record's log, and to who watches."""
    offset, repeat = 0, repeater(folder)

    def tell() -> None:
        nonlocal offset
        repeat()
        events, offset = read_events(folder / LOG, offset)
        for event in events:
            work.log.metrics(event.values, event.step)
            work.progress(event.step, point.steps, f"loss {event.values.get('loss', float('nan')):.3f}")

    return tell


def error_of(failure: Failure | None, point: PretrainPoint) -> Exception:
    """The error that says to a person why ranks failed; None: they were cancelled."""
    if failure is None:
        return DeadRank(f"{point.id}: its ranks were cancelled; run the same command again")
    if failure.exit_code == UserError.exit_code and failure.lines:
        return UserError(failure.lines[-1].removeprefix("aira: "))
    if failure.exit_code is None and not failure.retryable:  # no rank's doing: a deadline, or nothing could be started
        return UserError(f"{point.id}: {failure.reason}; see resources.pretrain")
    last = " | ".join(line for line in failure.lines[-5:] if line.strip())
    if failure.retryable:
        said = f" (its last lines: {last})" if last else ""
        return DeadRank(f"{point.id}: {failure.reason}{said}; the same command goes on from the last checkpoint")
    return RuntimeError("\n".join([f"{point.id}: {failure.reason}", *failure.lines]))
