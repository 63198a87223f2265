"""Pairs of processes that make the same record, stopped and killed at random moments; run as a script.

    python pairs.py URI SCRATCH PAIRS

Each process runs the real `run_stage` on one search, whose stage is replaced by one that writes a journal of STEPS
lines, a line at a time, and goes on from what it finds. Prints how often a process was killed, stopped, found that it
had been taken over, and adopted the other's record. Every check is an assertion.
"""

import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from dataclasses import replace
from functools import partialmethod
from pathlib import Path

from aira_lib.flow import run as stages
from aira_lib.flow.stage import STAGES, Unit
from aira_lib.settings import Settings
from aira_lib.store import RecordFolder, open_store
from aira_lib.store.files import write_file
from aira_lib.work import Work
from tests.builders import tiny_study

STEPS = 6
LEASE_SECONDS = 0.6
MADE, ADOPTED = 10, 11
ENDINGS = {MADE: "made", ADOPTED: "adopted", -signal.SIGKILL: "killed"}


def journal_stage(study: object, unit: Unit, inputs: object, work: Work) -> None:
    """A line a step, each pushed; what an interrupted attempt pushed is gone on from."""
    path = work.path / "journal.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    for step in range(len(lines), STEPS):
        time.sleep(0.02)
        lines.append(f"{unit.name} {step}")
        write_file(path, "".join(f"{line}\n" for line in lines).encode())
        work.push("journal.jsonl")


def started(unit: Unit, settings: Settings) -> int:
    """A process that makes, or waits for, the record of a unit; its id."""
    child = os.fork()
    if child:
        return child
    try:
        made = stages.run_stage(tiny_study(), unit, settings)
        os._exit(ADOPTED if made.reused else MADE)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def ended(child: int) -> int:
    """How a process ended: its exit code, or minus the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def disturb(children: list[int], chance: random.Random, seen: Counter[str]) -> None:
    """Kill or stop some of a pair at random moments; what was stopped goes on after others may have taken over."""
    for child in children:
        time.sleep(chance.uniform(0, 0.12))
        match chance.choice(["kill", "stop", "leave", "leave"]):
            case "kill":
                os.kill(child, signal.SIGKILL)
            case "stop":
                seen["stopped"] += 1
                os.kill(child, signal.SIGSTOP)
                time.sleep(chance.uniform(0, 2 * LEASE_SECONDS))
                os.kill(child, signal.SIGCONT)


def one_pair(number: int, uri: str, scratch: Path, seen: Counter[str]) -> None:
    """Two processes, and after them one that is left alone: then the record is there, whole."""
    unit = Unit("search", f"pair{number}.s0", {"agent": {"name": f"pair{number}"}, "seed": 0})
    settings = Settings(store=uri, scratch=scratch, evaluations="none")
    chance = random.Random(number)
    children = [started(unit, settings) for _ in range(2)]
    disturb(children, chance, seen)
    codes = [ended(child) for child in children]
    codes.append(ended(started(unit, settings)))
    assert set(codes) <= set(ENDINGS), codes
    assert codes.count(MADE) <= 1, f"pair {number}: two say that they made the record"
    assert codes[-1] != -signal.SIGKILL
    seen.update(ENDINGS[code] for code in codes)
    folder = RecordFolder(open_store(uri), unit.folder(tiny_study()))
    lines = (folder.fetch(scratch / "fetched") / "journal.jsonl").read_text().splitlines()
    assert lines == [f"{unit.name} {step}" for step in range(STEPS)], f"pair {number}: {lines}"


def main(uri: str, scratch: Path, pairs: int) -> None:
    row = STAGES.named("search")
    STAGES._entries["search"] = replace(row, make=journal_stage)
    RecordFolder.claim = partialmethod(RecordFolder.claim, seconds=LEASE_SECONDS)  # type: ignore[method-assign,assignment]
    os.fsync = lambda descriptor: None  # slow, and only a machine that dies needs it: the kernel outlives a process
    seen: Counter[str] = Counter()
    for number in range(pairs):
        one_pair(number, uri, scratch, seen)
    print(dict(seen))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
