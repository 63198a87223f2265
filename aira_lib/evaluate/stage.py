"""Score a final checkpoint on documents that training never saw: nats per token and bits per byte."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aira_lib.datasets.batches import documents_of
from aira_lib.datasets.study import require_fit, study_text
from aira_lib.device import ready_device
from aira_lib.evaluate.positions import losses_by_position, tokens_seen
from aira_lib.evaluate.windows import documents_of_targets, held_out_starts
from aira_lib.models.precision import rounded
from aira_lib.records import BytesBy, PositionLoss, Score, TrainingRun, document_error, read_row
from aira_lib.study import DataSection, EvaluateSection
from aira_lib.training.trained import trained_model
from aira_lib.work import Work


def evaluate(section: EvaluateSection, data: DataSection, record: Path, work: Work) -> None:
    """Write `score.json` (a `Score`) for the training run in the folder `record`.

    Matrix products have the precision in which the run was trained (fp32 where its record is too old to say). A run
    with losses that are not finite is scored as one that diverged.

    Raises:
        UserError: the record has no readable checkpoint although its run ended well, or AIRA_DEVICE names a device that
            is not here.
    """
    started = time.monotonic()
    place = torch.device(ready_device())
    torch.set_num_threads(work.threads)
    run = read_row(record / "run.json", TrainingRun)
    scored = _scored(section, data, run, record, place) if run.status == "ok" else _Scored()
    if not all(map(math.isfinite, scored.sums)):  # finite weights may still overflow
        run, scored = run.model_copy(update={"status": "diverged"}), _Scored()
    score = _score(run, scored, time.monotonic() - started)
    (work.path / "score.json").write_text(score.json_line(), encoding="utf-8")
    if score.loss is not None and score.bits_per_byte is not None:
        work.log.metrics({"validation_loss": score.loss, "bits_per_byte": score.bits_per_byte}, step=run.steps)
    work.progress(1, 1, f"validation loss {score.loss:.3f}" if score.loss is not None else "diverged")


@dataclass(frozen=True)
class _Scored:
    """The losses in nats of each held-out document that has scored tokens, added up; how many tokens; their bytes.

    Beside them the losses by what predictions see.
    """

    sums: tuple[float, ...] = ()
    tokens: tuple[int, ...] = ()
    text_bytes: float | None = None
    bytes_by: BytesBy | None = None
    by_position: tuple[PositionLoss, ...] = ()


def _scored(
    section: EvaluateSection, data: DataSection, run: TrainingRun, record: Path, device: torch.device
) -> _Scored:
    study, scale = study_text(data), run.point.design.scale
    text = study.validation
    require_fit(text, scale)
    starts = held_out_starts(text, scale.seq_len, section.samples)
    model, text_bytes = trained_model(run, record).to(device), 0.0
    losses, seen = list[Tensor](), list[NDArray[np.integer[Any]]]()
    with torch.inference_mode(), rounded(device, run.precision or "fp32"):
        for start in range(0, len(starts), section.batch_size):
            windows = text.windows(starts[start : start + section.batch_size], scale.seq_len + 1).astype(np.int64)
            inputs, targets = windows[:, :-1], windows[:, 1:]
            apart = [documents_of(inputs, text.end)] if study.packing == "masked" else []
            given = [torch.from_numpy(part).to(device) for part in (inputs, targets, *apart)]
            losses.append(model.token_losses(*given).cpu())
            seen.append(tokens_seen(inputs.shape[0], inputs.shape[1], apart[0] if apart else None))
            text_bytes += study.text_bytes.count(targets)
    owners = documents_of_targets(text, starts, scale.seq_len).ravel()
    tokens = np.bincount(owners)
    nats = torch.cat(losses).double().numpy().ravel()
    sums = np.bincount(owners, nats)[tokens > 0]
    positions = losses_by_position(nats, owners, np.concatenate(seen).ravel())
    counts = tuple(tokens[tokens > 0].tolist())
    return _Scored(tuple(sums.tolist()), counts, text_bytes, study.text_bytes.by, positions)


def _score(run: TrainingRun, scored: _Scored, seconds: float) -> Score:
    nats, tokens, text_bytes = math.fsum(scored.sums), sum(scored.tokens), scored.text_bytes
    return Score(
        point=run.point,
        status=run.status,
        loss=nats / tokens if tokens else None,
        loss_stderr=document_error(scored.sums, scored.tokens),
        bits_per_byte=nats / math.log(2) / text_bytes if text_bytes else None,
        samples=tokens // run.point.design.scale.seq_len,
        tokens=tokens,
        text_bytes=text_bytes,
        bytes_by=scored.bytes_by,
        document_sums=scored.sums,
        document_tokens=scored.tokens,
        by_position=scored.by_position,
        seconds=seconds,
    )
