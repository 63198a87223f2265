"""The course of a training around its trainer, in one process or as one of several ranks.

It goes on from the newest checkpoint, writes the curve and what is logged, saves from time to time, stops where losses
are no numbers or the machine is taken back. All ranks go the same way: what one of them sees (a signal, a clock) they
agree on before anybody acts on it.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

import torch

from aira_lib.architecture.cost import true_flops_per_token
from aira_lib.architecture.pattern import parse
from aira_lib.datasets.batches import Batches
from aira_lib.records import PretrainPoint
from aira_lib.study import OptimizerSection, PretrainSection
from aira_lib.training.checkpoint import Checkpoints, Shards
from aira_lib.training.curve import FILE, Curve
from aira_lib.training.memory import out_of_memory_in_words
from aira_lib.training.outcome import Outcome
from aira_lib.training.precision import effective_precision
from aira_lib.training.ranks import Ranks
from aira_lib.training.shared_folder import Spread
from aira_lib.training.stopping import EXIT_CODE, told_to_stop
from aira_lib.training.throughput import Meter, peak
from aira_lib.training.trainer import StepResult, Trainer
from aira_lib.training.trainers import TRAINERS, is_for_several
from aira_lib.work import Work

LOG_EVERY = 10
"""Steps from one line of the log to the next. The log is a file here: whoever carries it on cannot stall a step."""


class Saver(Protocol):
    """Keeps states of a trainer: `aira_lib.training.checkpoint.Checkpoints`, or what several ranks have instead."""

    def save(self, step: int, state: Mapping[str, Shards], asynchronous: bool = True) -> bool:
        """Keep the state of a step, unless it is not finite, or a save is still going on and this one may be left out.

        Returns:
            Whether it is kept.
        """

    def wait(self) -> None:
        """Return when all that was saved is kept."""


@dataclass
class Course:
    """A training from where its trainer stands to its end.

    Attributes:
        section: Settings.
        point: What is trained.
        trainer: Already where it goes on.
        saver: Where checkpoints go.
        work: Folder, log and progress; of rank 0 alone.
        ranks: This process among others.
        peak: FLOPs a second of all devices together (`aira_lib.training.throughput.peak`); None: not known.
    """

    section: PretrainSection
    point: PretrainPoint
    trainer: Trainer
    saver: Saver
    work: Work
    ranks: Ranks
    peak: float | None = None
    meter: Meter = field(init=False)

    def __post_init__(self) -> None:
        design = self.point.design
        self.meter = Meter(true_flops_per_token(parse(design.pattern), design.scale), self.peak)

    def run(self) -> Outcome:
        """Train to the end, or to where it makes no sense to go on; the curve's file then has all steps.

        Raises:
            SystemExit: the process was told to end; what it had is saved.
            UserError: the curve does not go with the checkpoint.
            StoreError: the disk refuses.
        """
        curve = Curve(self.work.path, self.trainer.step) if self.ranks.rank == 0 else None
        with curve or nullcontext():
            with told_to_stop() as told:
                well = self._steps(curve, told)
            # Weights may overflow in the very last step, with a gradient that was finite.
            well = well and self._save(curve, asynchronous=False)
            self.saver.wait()
        return Outcome(well, **self.meter.in_all())

    def _steps(self, curve: Curve | None, told: Callable[[], bool]) -> bool:
        """Whether the last step was reached."""
        saved = time.monotonic()
        for result in self.trainer.run():
            self.meter.count(self.point.design.scale.tokens_per_step)
            if curve:
                curve.append(result)
                self._report(result)
            lost = curve is not None and gives_up(self.section.optimizer, curve.skipped())
            due = self.ranks.rank == 0 and time.monotonic() - saved > self.section.checkpoint_seconds
            lost, due, stop = self.ranks.any(lost, due, told())
            if lost:
                return False
            if self.trainer.step == self.point.steps:
                continue
            if stop:
                self._save(curve, asynchronous=False)
                raise SystemExit(EXIT_CODE)
            if self.trainer.step in self.point.kept_steps:
                self._save(curve, asynchronous=False)
            elif due and self._save(curve, asynchronous=True):
                saved = time.monotonic()
        return True

    def _save(self, curve: Curve | None, asynchronous: bool) -> bool:
        if curve:
            curve.sync()
        return self.saver.save(self.trainer.step, self.trainer.state(), asynchronous)

    def _report(self, result: StepResult) -> None:
        if result.step % LOG_EVERY and result.step != self.point.steps:
            return
        values = {"loss": result.loss, "learning_rate": result.learning_rate, "grad_norm": result.grad_norm}
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        done = {"tokens": float(result.tokens), "flops": result.flops, **self.meter.lately()}
        self.work.log.metrics({**finite, **done}, step=result.step)
        self.work.progress(result.step, self.point.steps, f"loss {result.loss:.3f}")


def gives_up(section: OptimizerSection, skipped: int) -> bool:
    """Whether a training ends after so many steps in a row that were not finite and therefore not taken."""
    return skipped > (section.max_skips if section.on_nonfinite == "skip" else 0)


def train_alone(section: PretrainSection, point: PretrainPoint, data: Batches, place: str, work: Work) -> Outcome:
    """Train a point in this process alone, from its newest checkpoint on.

    Args:
        section: settings.
        point: what is trained.
        data: the batches of steps.
        place: a torch device.
        work: the workplace, whose `push` has checkpoints survive it.

    Raises:
        UserError: too little memory, or a curve that does not go with the checkpoint.
        StoreError: disk or store refuse.
        SystemExit: this process was told to end.
    """
    device = torch.device(place)
    with out_of_memory_in_words(section, point.design.scale, 1):
        trainer = TRAINERS.named(section.trainer)(section, point, data, place)
        with kept_states(section, point, trainer, work) as saver:
            if trainer.step:
                work.progress(trainer.step, point.steps, "resumed")
            return Course(section, point, trainer, saver, work, Ranks(0, 1, device), fastest(section, device)).run()


@contextmanager
def kept_states(
    section: PretrainSection, point: PretrainPoint, trainer: Trainer, work: Work, spread: Spread | None = None
) -> Iterator[Saver]:
    """Have a trainer go on from the newest checkpoint that is whole, if there is one, and give what keeps later ones.

    Several ranks do it together; `spread` says where, if they have no common disk.
    """
    if spread:
        from aira_lib.training.spread_checkpoints import SpreadCheckpoints

        with SpreadCheckpoints(work.path, spread, keep_steps=point.kept_steps, beside=[FILE]) as of_nodes:
            if newest := of_nodes.latest(trainer.state()):
                trainer.load(*newest)
            yield of_nodes
        return
    if is_for_several(section.trainer):
        from aira_lib.training.checkpoint.sharded import ShardedCheckpoints  # a second of imports

        with ShardedCheckpoints(work.path, work.push, keep_steps=point.kept_steps, beside=[FILE]) as of_ranks:
            if newest := of_ranks.latest(trainer.state()):
                trainer.load(*newest)
            yield of_ranks
        return
    with Checkpoints(work.path, work.push, keep_steps=point.kept_steps, beside=[FILE]) as saver:
        if newest := saver.latest():
            trainer.load(*newest)
        yield saver


def fastest(section: PretrainSection, device: torch.device, ranks: int = 1) -> float | None:
    """The peak of so many devices of a kind together, in FLOPs a second; None: not known."""
    of_one = peak(device, effective_precision(section, "cpu" if device.type == "cpu" else "cuda"))
    return of_one and ranks * of_one
