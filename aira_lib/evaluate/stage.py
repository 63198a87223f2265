"""Score a final checkpoint on documents that training never saw: nats per token and bits per byte."""

import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aira_lib.architecture.pattern import parse
from aira_lib.datasets.batches import TokenSource
from aira_lib.datasets.study import study_text
from aira_lib.device import ready_device
from aira_lib.errors import UserError
from aira_lib.evaluate.windows import Integers, documents_of_targets, held_out_starts
from aira_lib.models.language_model import LanguageModel
from aira_lib.models.precision import rounded
from aira_lib.records import Score, TrainingRun, document_error, read_row
from aira_lib.study import DataSection, EvaluateSection
from aira_lib.training import checkpoint
from aira_lib.work import Work


def evaluate(section: EvaluateSection, data: DataSection, record: Path, work: Work) -> None:
    """Write `score.json` (a `Score`) for the training run in the folder `record`.

    Matrix products have the precision in which the run was trained (fp32 where its record is too old to say).

    Raises:
        UserError: the record has no readable checkpoint although its run ended well, or AIRA_DEVICE names a device that
            is not here.
    """
    started = time.monotonic()
    place = torch.device(ready_device())
    torch.set_num_threads(work.threads)
    run = read_row(record / "run.json", TrainingRun)
    sums, tokens = _by_document(section, data, run, record, place) if run.status == "ok" else ([], [])
    score = _score(run, sums, tokens, time.monotonic() - started)
    (work.path / "score.json").write_text(score.json_line(), encoding="utf-8")
    if score.loss is not None and score.bits_per_byte is not None:
        work.log.metrics({"validation_loss": score.loss, "bits_per_byte": score.bits_per_byte}, step=run.steps)
    work.progress(1, 1, f"validation loss {score.loss:.3f}" if score.loss is not None else "diverged")


def _by_document(
    section: EvaluateSection, data: DataSection, run: TrainingRun, record: Path, device: torch.device
) -> tuple[list[float], list[int]]:
    """Of each held-out document that has scored tokens: the sum of their losses in nats, and how many they are."""
    text, seq_len = study_text(data).validation, run.point.design.scale.seq_len
    starts = held_out_starts(text, seq_len, section.samples)
    losses = _losses(_trained(run, record).to(device), text, starts, section, run)
    owners = documents_of_targets(text, starts, seq_len).ravel()
    tokens = np.bincount(owners)
    sums = np.bincount(owners, losses.double().numpy().ravel())
    return sums[tokens > 0].tolist(), tokens[tokens > 0].tolist()


def _losses(
    model: LanguageModel, text: TokenSource, starts: Integers, section: EvaluateSection, run: TrainingRun
) -> Tensor:
    """[windows, seq_len]: the loss of each target in nats, on the CPU."""
    device, length, losses = next(model.parameters()).device, run.point.design.scale.seq_len + 1, []
    with torch.inference_mode(), rounded(device, run.precision or "fp32"):
        for start in range(0, len(starts), section.batch_size):
            windows = text.windows(starts[start : start + section.batch_size], length)
            tokens = torch.from_numpy(windows.astype(np.int64)).to(device)
            logits = model(tokens[:, :-1]).float()
            losses.append(torch.nn.functional.cross_entropy(logits.mT, tokens[:, 1:], reduction="none").cpu())
    return torch.cat(losses)


def _trained(run: TrainingRun, record: Path) -> LanguageModel:
    """The model with the weights of the final checkpoint; nothing else of it is read."""
    newest = checkpoint.latest(record, parts=("model",))
    if newest is None:
        raise UserError(f"{record}: no whole checkpoint; remove the folder and run `aira pretrain` again")
    design = run.point.design
    model = LanguageModel(parse(design.pattern), design.scale)
    model.load_state_dict(newest[1]["model"])
    return model.eval()


def _score(run: TrainingRun, sums: Sequence[float], tokens: Sequence[int], seconds: float) -> Score:
    seq_len, total = run.point.design.scale.seq_len, sum(tokens)
    loss = math.fsum(sums) / total if total else None
    return Score(
        point=run.point,
        status=run.status,
        loss=loss,
        loss_stderr=document_error(sums, tokens),
        # The tokens are bytes: nats per token over ln 2 is bits per byte.
        bits_per_byte=loss / math.log(2) if loss is not None else None,
        samples=total // seq_len,
        tokens=total,
        document_sums=tuple(sums),
        document_tokens=tuple(tokens),
        seconds=seconds,
    )
