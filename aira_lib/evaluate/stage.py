"""Score a final checkpoint on text that training never saw (split by file): nats per token and bits per byte."""

import math
import time
from pathlib import Path

import torch
from torch import Tensor

from aira_lib.architecture.pattern import parse
from aira_lib.datasets.text import validation_windows
from aira_lib.datasets.text.study import study_corpus
from aira_lib.device import ready_device
from aira_lib.errors import UserError
from aira_lib.models.language_model import LanguageModel
from aira_lib.models.precision import rounded
from aira_lib.records import Score, TrainingRun, read_row
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
    losses = _losses(section, data, run, record, place) if run.status == "ok" else torch.empty(0)
    score = _score(run, losses, time.monotonic() - started)
    (work.path / "score.json").write_text(score.json_line(), encoding="utf-8")
    if score.loss is not None and score.bits_per_byte is not None:
        work.log.metrics({"validation_loss": score.loss, "bits_per_byte": score.bits_per_byte}, step=run.steps)
    work.progress(1, 1, f"validation loss {score.loss:.3f}" if score.loss is not None else "diverged")


def _losses(
    section: EvaluateSection, data: DataSection, run: TrainingRun, record: Path, device: torch.device
) -> Tensor:
    """[samples] mean loss of each window, in nats per token, on the CPU."""
    model = _trained(run, record).to(device)
    corpus, _ = study_corpus(data)
    inputs, targets = validation_windows(corpus.validation, run.point.design.scale.seq_len, section.samples)
    losses = []
    with torch.inference_mode(), rounded(device, run.precision or "fp32"):
        for start in range(0, len(inputs), section.batch_size):
            logits = model(torch.from_numpy(inputs[start : start + section.batch_size]).to(device)).float()
            labels = torch.from_numpy(targets[start : start + section.batch_size]).to(device)
            losses.append(torch.nn.functional.cross_entropy(logits.mT, labels, reduction="none").mean(dim=1).cpu())
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


def _score(run: TrainingRun, losses: Tensor, seconds: float) -> Score:
    n = len(losses)
    loss = float(losses.mean()) if n else None
    return Score(
        point=run.point,
        status=run.status,
        loss=loss,
        loss_stderr=float(losses.std() / math.sqrt(n)) if n > 1 else None,
        # The tokens are bytes: nats per token over ln 2 is bits per byte.
        bits_per_byte=loss / math.log(2) if loss is not None else None,
        samples=n,
        tokens=n * run.point.design.scale.seq_len,
        seconds=seconds,
    )
