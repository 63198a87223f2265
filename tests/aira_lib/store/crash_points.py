"""A stage that is killed (SIGKILL) at many lines of stores and checkpoints, and started again; run as a script.

    python crash_points.py URI SCRATCH STRIDE    kill it at every STRIDE-th line that it executes
    python crash_points.py URI SCRATCH big       kill it at random moments of large writes

Prints the number of kills. Every check is an assertion.
"""

import os
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import aira_lib.store
from aira_lib.records import Manifest
from aira_lib.store import RecordFolder, Store, open_store
from aira_lib.store.files import write_file
from aira_lib.training import checkpoint
from aira_lib.training.checkpoint import Checkpoints

SOURCES = tuple(str(Path(package.__file__).parent) for package in (aira_lib.store, checkpoint))
MANIFEST = Manifest(stage="pretrain", version=1, unit="p", key="k", study="s", spec_digest="d", section={})
STEPS = 3
BIG = 9_000_000


def stage(uri: str, prefix: str, scratch: Path) -> Manifest:
    """Make a record with a journal and checkpoints, going on from what an earlier attempt left."""
    import torch  # not at the top: the other mode starts without it

    folder = RecordFolder(open_store(uri), prefix)
    if finished := folder.manifest():
        return finished
    with folder.claim(scratch, seconds=0.5) as attempt:
        if attempt is None:
            return finished_record(folder)
        found = checkpoint.latest(attempt.path)
        with Checkpoints(attempt.path, attempt.push) as checkpoints:
            for step in range(found[0] + 1 if found else 1, STEPS + 1):
                write_file(attempt.path / "journal", journal(step))
                attempt.push("journal")
                shards = [{name: torch.full((100,), float(step))} for name in ("first", "second")]
                # Two saves beside the journal's writes, the last at once.
                checkpoints.save(step, {"model": shards, "progress": [{"step": step}]}, step < STEPS)
        checkpoint.prune(attempt.path, attempt.push)
        return attempt.commit(MANIFEST)


def finished_record(folder: RecordFolder) -> Manifest:
    manifest = folder.manifest()
    assert manifest
    return manifest


def journal(step: int) -> bytes:
    return bytes([step]) * 5000


def check_visible(store: Store, prefix: str, scratch: Path) -> None:
    """Whatever can be seen is whole."""
    folder = RecordFolder(store, prefix)
    if folder.manifest():
        assert len(os.listdir(folder.fetch(scratch))) >= 2
    prefix = folder.files()
    names = store.list(prefix)
    if f"{prefix}/journal" in names:
        assert store.read(f"{prefix}/journal") in map(journal, range(1, STEPS + 1))
    for name in names:
        if "/checkpoints/" in name:
            store.get(name, scratch / "check" / name)
    manifests = [name for name in names if "/checkpoints/" in name and name.endswith("/manifest.json")]
    found = checkpoint.latest(scratch / "check" / prefix)
    assert (found is not None) == bool(manifests)
    if found:
        step, state = found
        assert f"{prefix}/checkpoints/step_{step:08d}/manifest.json" == max(manifests)
        assert {name: value.tolist() for name, value in state["model"].items()} == {
            "first": [float(step)] * 100, "second": [float(step)] * 100
        }  # fmt: skip
        assert state["progress"] == {"step": step}


def killed(work: Callable[[], object], kill: Callable[[int], None]) -> bool:
    """Run work in a child that `kill` is told of; False if it ended by itself."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    kill(child)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), f"the stage failed with status {status}"
    return status == signal.SIGKILL


def outlive_lease(uri: str) -> None:
    """Sleep until the lease of one that was killed has ended: S3 counts whole seconds, and each look costs requests."""
    if uri.startswith("s3"):
        time.sleep(1.01 - time.time() % 1)


def dying_at(line: int, work: Callable[[], object]) -> Callable[[], object]:
    left = line

    def at_line(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return at_line

    def at_call(frame: FrameType, event: str, argument: Any) -> Any:
        return at_line if frame.f_code.co_filename.startswith(SOURCES) else None

    def traced() -> None:
        sys.settrace(at_call)
        threading.settrace(at_call)
        work()

    return traced


def crash_at_lines(uri: str, scratch: Path, stride: int) -> int:
    reference = stage(uri, "reference", scratch)
    line, kills = 1, 0
    while True:
        prefix = f"at-{line}"
        if not killed(dying_at(line, lambda: stage(uri, prefix, scratch)), lambda child: None):  # noqa: B023
            return kills
        kills += 1
        check_visible(open_store(uri), prefix, scratch / f"looked-{line}")
        shutil.rmtree(scratch, ignore_errors=True)
        # The next attempts are killed too, each earlier or later than the one before.
        again = [1 + line * factor % 997 for factor in (7, 29, 53)]
        for other in again:
            outlive_lease(uri)
            kills += killed(dying_at(other, lambda: stage(uri, prefix, scratch)), lambda child: None)  # noqa: B023
            shutil.rmtree(scratch, ignore_errors=True)
        outlive_lease(uri)
        made = stage(uri, prefix, scratch)
        same = {"attempt": reference.attempt}
        assert made.model_copy(update=same) == reference, f"killed at line {line}, then {again}"
        files = f"{prefix}/{made.attempt}"
        names = [name.removeprefix(f"{files}/") for name in open_store(uri).list(files)]
        assert names == sorted(entry.name for entry in reference.files)
        line += stride


def crash_in_big_writes(uri: str, scratch: Path) -> int:
    store = open_store(uri)
    scratch.mkdir(parents=True)
    for value in (1, 2):
        (scratch / str(value)).write_bytes(bytes([value]) * BIG)
    store.write("big", bytes(BIG))

    def rewrite() -> None:
        mine = open_store(uri)
        while True:
            for value in (1, 2):
                mine.put(scratch / str(value), "big")
                mine.write("big", bytes([3]) * BIG)

    def kill_soon(child: int) -> None:
        time.sleep(random.Random(child).uniform(0.02, 0.2))
        os.kill(child, signal.SIGKILL)

    for _ in range(4):
        assert killed(rewrite, kill_soon)
        data = store.read("big")
        assert len(data) == BIG
        assert len(set(data)) == 1
        assert store.list() == ["big"]
    store.write("big", b"after")
    assert store.read("big") == b"after"
    return 4


if __name__ == "__main__":
    place, folder, what = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    os.fsync = lambda descriptor: None  # slow, and only a machine that dies needs it: the kernel outlives a process
    print(crash_in_big_writes(place, folder) if what == "big" else crash_at_lines(place, folder, int(what)))
