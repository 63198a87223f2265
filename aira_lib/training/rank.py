"""One rank of a training: `python -m aira_lib.training.rank SPEC`, started by torchrun, which tells ranks apart.

The process that started the group (`aira_lib.training.together`) holds the claim on the record and pushes its files: no
rank ever waits for a store. Rank 0 tells it how it goes by files in a folder.

A user's mistake ends a rank with one line and exit code 2; the silence of another rank with `RETRY`, after a pause in
which torchrun sees the other's end first: its rank is the one to be named.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from aira_lib.datasets.study import StudyText, study_text
from aira_lib.device import DeviceKind
from aira_lib.errors import UserError
from aira_lib.launch.launcher import RETRY
from aira_lib.records import PretrainPoint
from aira_lib.section import Section
from aira_lib.study import PretrainSection
from aira_lib.track.log import TrackLog
from aira_lib.training.course import Course, fastest, kept_states
from aira_lib.training.memory import out_of_memory_in_words
from aira_lib.training.outcome import Outcome
from aira_lib.training.ranks import ranks_here
from aira_lib.training.shared_folder import Spread
from aira_lib.training.told_names import LOG, OUTCOME
from aira_lib.training.trainers import TRAINERS
from aira_lib.training.warnings_told import warnings_told
from aira_lib.work import Work

SILENCE = timedelta(minutes=10)
"""After which a rank takes another for dead: longer than the slowest step, and than reading a checkpoint."""

_PAUSE = 3.0
_OF_THE_GROUP = ("gloo", "nccl", "connection closed by peer", "connection reset by peer", "timed out")


class RankSpec(Section):
    """What all ranks of a training are told.

    Attributes:
        section: Settings.
        point: What is trained.
        workspace: The record's folder, which all ranks of a node see.
        told: The folder in which rank 0 says how it goes.
        device: What each computes on: the CPU, or the GPU of its number.
        threads: Of each.
    """

    section: PretrainSection
    point: PretrainPoint
    workspace: str
    told: str
    device: DeviceKind
    threads: int


def train(spec: RankSpec, spread: Spread | None = None) -> None:
    """Take part in a training as the rank that torchrun's variables say.

    Args:
        spec: what all are told.
        spread: how this node's ranks meet those of others; None: there is one node.
    """
    rank, local = int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"])
    torch.set_num_threads(spec.threads)
    device = torch.device("cpu") if spec.device == "cpu" else torch.device("cuda", local)
    text = study_text(spec.section.data)  # before anybody waits for this rank
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("gloo" if device.type == "cpu" else "nccl", timeout=SILENCE)
    told = Path(spec.told)
    work = Work(Path(spec.workspace), TrackLog(told / (LOG if rank == 0 else f"{rank}.jsonl")))
    with warnings_told(told) if rank == 0 else nullcontext():
        outcome = _course(spec, text, device, work, spread)
    if rank == 0:
        (told / OUTCOME).write_text(json.dumps(asdict(outcome)), encoding="utf-8")
    dist.destroy_process_group()


def _course(spec: RankSpec, text: StudyText, device: torch.device, work: Work, spread: Spread | None) -> Outcome:
    section, point, ranks = spec.section, spec.point, ranks_here(device)
    scale = point.design.scale
    data = text.batches(scale, point.seed)
    with out_of_memory_in_words(section, scale, ranks.count):
        trainer = TRAINERS.named(section.trainer)(section, point, data, str(device))
        with kept_states(section, point, trainer, work, spread) as saver:
            peak = fastest(section, device, ranks.count)
            return Course(section, point, trainer, saver, work, ranks, peak).run()


def main(path: str) -> None:
    """See the module's docstring."""
    with ending_in_words():
        train(RankSpec.model_validate_json(Path(path).read_bytes()))


@contextmanager
def ending_in_words() -> Iterator[None]:
    """End a rank by what goes wrong in the block, as the module's docstring says."""
    try:
        yield
    except UserError as error:
        print(f"aira: {error}", file=sys.stderr, flush=True)
        _leave(error.exit_code)
    except Exception as error:
        traceback.print_exc()
        silent = isinstance(error, RuntimeError) and any(word in str(error).lower() for word in _OF_THE_GROUP)
        _leave(RETRY if silent else 1)


def _leave(code: int) -> None:
    """End without asking the other ranks, who may be dead."""
    if code == RETRY:
        time.sleep(_PAUSE)
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1])
