"""Designs at scale, training runs and their scores."""

from typing import Any, Literal

from aira_lib.architecture.scales import Scale
from aira_lib.device import DeviceKind, Kernels, Precision
from aira_lib.records.row import Row

DesignKind = Literal["find", "baseline", "imported"]
Protocol = Literal["isotoken", "isoflop", "lr-check", "trunk", "imported"]


class ScaledDesign(Row):
    """A design at a scale: its layers and what they cost. FLOPs follow the paper's convention (architecture.cost)."""

    name: str
    base: str
    kind: DesignKind
    method: str
    scale: Scale
    pattern: str
    n_layers: int
    counts: dict[str, int]
    params_non_embedding: int
    params_embedding: int
    flops_per_token: int
    trainable: bool
    change: str = ""
    """What became of the base at this depth, in words; empty for baselines."""


class PretrainPoint(Row):
    """One training run to be made: a design, a budget, a seed. `aliases` are designs with the very same layers.

    `learning_rate` is the peak where it is not the study's own, as in a check of learning rates.

    A run of the protocol `trunk` is what several budgets of a design, scale and seed have in common: it keeps a
    checkpoint at each of the steps `branches`. A run that goes on from one of them names the `trunk` and the
    `branch_step`, and `branches` as well: runs of one trunk began alike, so their losses vary together.

    A model that others trained is a point of the protocol `imported`, of no steps, tokens and FLOPs, for nothing is
    known of them here.
    """

    id: str
    design: ScaledDesign
    aliases: tuple[str, ...] = ()
    protocol: Protocol
    budget_flops: float | None
    steps: int
    tokens: int
    flops: float
    seed: int
    learning_rate: float | None = None
    trunk: str | None = None
    branch_step: int = 0
    branches: tuple[int, ...] = ()

    @property
    def kept_steps(self) -> tuple[int, ...]:
        """Finished steps whose checkpoints stay in the record, for other runs to branch from."""
        return self.branches if self.protocol == "trunk" else ()

    @property
    def tokens_trained(self) -> int:
        """Tokens that the run learns from itself: `tokens` without those of the trunk that it branches from."""
        return self.tokens - self.branch_step * self.design.scale.tokens_per_step

    @property
    def flops_trained(self) -> float:
        """FLOPs that the run spends itself: `flops` without those of the trunk."""
        return float(self.tokens_trained) * self.design.flops_per_token


class TrainingRun(Row):
    """A finished pretraining run. Losses are in nats per token.

    `device`, `precision` and `kernels` are what computed it, `trainer` and `ranks` how it was spread; None in records
    that are older than these fields. `nonfinite` are the steps (from 0) whose loss or gradient was not finite and which
    changed nothing: each read the batch of (`point.seed`, step). `tokens_per_second` and `mfu` (true FLOPs over the
    peak of all devices, where it is known) are those of the process that finished the run.
    """

    point: PretrainPoint
    final_train_loss: float | None
    steps: int
    tokens: int
    flops: float
    status: Literal["ok", "diverged"]
    data: dict[str, Any]
    device: DeviceKind | None = None
    precision: Precision | None = None
    kernels: Kernels | None = None
    trainer: str | None = None
    ranks: int | None = None
    nonfinite: tuple[int, ...] = ()
    tokens_per_second: float | None = None
    mfu: float | None = None
    seconds: float = 0.0


BytesBy = Literal["tokens", "tokenizer", "average"]


class PositionLoss(Row):
    """The mean loss in nats of predictions that see `first` to `last` tokens; its standard error over documents."""

    first: int
    last: int
    tokens: int
    loss: float
    stderr: float | None


class Score(Row):
    """What was measured on a final checkpoint. `bits_per_byte` does not depend on the tokenizer.

    The `text_bytes` that the scored tokens stand for are counted in one of three ways, as `bytes_by` says: each token
    is a byte (the ends of documents, too); by the tokenizer, exactly; or by how many bytes of the held-out text there
    are on average to a token. None in records that are older than these fields, whose tokens were bytes.

    `document_sums` are the losses of each held-out document in nats, added up over its scored tokens, of which it has
    `document_tokens`; empty in records that are older than these fields. `loss_stderr` is the standard error of `loss`
    over documents (over windows in those old records).

    `by_position` is the loss by how many tokens a prediction sees: of its window, or, where training kept documents
    apart, of its own document in the window. Windows begin anywhere in documents, so that in the former case early and
    late positions are of like text; in the latter the early ones are the beginnings of documents. Empty in records that
    are older than it.
    """

    point: PretrainPoint
    status: Literal["ok", "diverged"]
    loss: float | None
    loss_stderr: float | None
    bits_per_byte: float | None
    samples: int
    tokens: int
    text_bytes: float | None = None
    bytes_by: BytesBy | None = None
    document_sums: tuple[float, ...] = ()
    document_tokens: tuple[int, ...] = ()
    by_position: tuple[PositionLoss, ...] = ()
    seconds: float = 0.0
