"""A training that is killed (SIGKILL) at random moments, and started again each time; run as a script.

    python -m tests.aira_lib.pretrain.kill_training URI SCRATCH KILLS [SEED]

URI is that of an empty store, in a folder or in S3. The training is made once undisturbed; then attempts are killed at
moments that are uniform over such a training, until there were KILLS kills, and finished. What then lies in the store
must be the same bytes, times aside. Prints the number of kills and of trainings that they went into.
"""

import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

from aira_lib.extrapolate.stage import describe
from aira_lib.flow.run import fetch, run_stage
from aira_lib.flow.scales import scales
from aira_lib.flow.stage import Unit
from aira_lib.flow.units import unit_of_point
from aira_lib.pretrain.points import pretraining_points
from aira_lib.records import TrainingRun, read_row
from aira_lib.settings import Settings
from aira_lib.store import RecordFolder
from aira_lib.study import Study
from tests.aira_lib.training import tiny
from tests.builders import TINY_STUDY, small_text, tiny_study

STEPS = 15
LEASE_SECONDS = 1.0


def study_in(folder: Path) -> Study:
    """One that trains a tiny model for some seconds, and saves it all the time."""
    return tiny_study(
        pretrain={
            **TINY_STUDY["pretrain"], "data": small_text(folder), "checkpoint_seconds": 0.1,
            "isotoken": {"scale": "tiny", "tokens": STEPS * tiny.SCALE.tokens_per_step, "seeds": [0]},
        },
        scales={"tiny": tiny.SCALE.model_dump(exclude={"name"}, exclude_unset=True)},
    )  # fmt: skip


def unit_of(study: Study) -> Unit:
    (scale,) = scales(study, ["tiny"])
    design = describe(
        "x@tiny", base="x", kind="find", method="stretch", layers=("A", "M", "Mb"), scale=scale, trainable=True
    )
    return unit_of_point("pretrain", study, pretraining_points(study.pretrain, [design])[0])


def attempt(study: Study, settings: Settings, seconds: float | None) -> bool:
    """Train in a process of its own, which is killed after so many seconds; whether it was."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            run_stage(study, unit_of(study), settings)
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    timer = threading.Timer(seconds, os.kill, (child, signal.SIGKILL)) if seconds is not None else None
    if timer:
        timer.start()
    status = os.waitpid(child, 0)[1]
    if timer:
        timer.cancel()
        timer.join()
    assert status in (0, signal.SIGKILL), f"the training failed with status {status}"
    return status == signal.SIGKILL


def left_by(study: Study, settings: Settings) -> dict[str, object]:
    """The files of the finished record, and what its run says but for times."""
    record = fetch(run_stage(study, unit_of(study), settings).uri, settings).path
    files: dict[str, object] = {
        path.relative_to(record).as_posix(): path.read_bytes()
        for path in sorted(record.rglob("*"))
        if path.is_file() and path.name not in ("track.jsonl", "run.json") and not path.name.startswith(".")
    }
    times = {"seconds": 0.0, "tokens_per_second": None, "mfu": None}
    return {**files, "run.json": read_row(record / "run.json", TrainingRun).model_copy(update=times)}


def main(uri: str, scratch: Path, kills: int, seed: int = 0) -> None:
    """See the module's docstring."""
    study, chance = study_in(scratch / "text"), random.Random(seed)
    whole = Settings(store=f"{uri}/whole", scratch=scratch / "whole")
    began = time.monotonic()
    attempt(study, whole, None)
    duration = time.monotonic() - began
    expected = left_by(study, whole)
    assert "loss.parquet" in expected
    done, trainings = 0, 0
    while done < kills:
        trainings += 1
        cut = Settings(store=f"{uri}/{trainings}", scratch=scratch / str(trainings))
        while done < kills and attempt(study, cut, chance.uniform(0, duration)):
            done += 1
        attempt(study, cut, None)
        found = left_by(study, cut)
        assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
        assert found == expected, [name for name, content in expected.items() if found[name] != content]
    print(f"{done} kills in {trainings} trainings of {duration:.1f} s")


if __name__ == "__main__":
    claim = RecordFolder.claim.__wrapped__  # type: ignore[attr-defined]
    claim.__defaults__ = (*claim.__defaults__[:-1], LEASE_SECONDS)  # who takes over in S3 need not wait long
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:]))
