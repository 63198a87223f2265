"""One script scored again: what it claims, and what its model scores where neither can reach the targets."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aira_lib.records.row import HarmlessText, Row
from aira_lib.rescoring.running import Claim, Runs, ScriptFailure
from aira_lib.rescoring.scripts import Script, why_not
from aira_lib.rescoring.text import Text, Tokens

SWAPPED, AGAIN = 32, 16
TOLERANCE = 1e-3
"""How far log-probabilities of the same question may lie apart, in nats: sums in another order round otherwise."""
_PRINTS_OTHERWISE = 1e-5


class Rescored(Row):
    """What a script claims beside what was measured; BPB in bits per byte, times in seconds.

    `claimed` is what it printed, or else what `evaluate_bpb` returned to it. `honest` is of the same rows, from its
    model's logits, with its `standard_error` over rows; `unseen` is of rows that the script was never given. `probes`
    says what is wrong with the logits, and is empty where nothing is. With a `reason` there is nothing else.
    """

    name: HarmlessText
    reason: HarmlessText = ""
    claimed: float | None = None
    honest: float | None = None
    standard_error: float | None = None
    difference: float | None = None
    unseen: float | None = None
    own_seconds: float | None = None
    seconds: float | None = None
    steps: int | None = None
    parameters: int | None = None
    probes: HarmlessText = ""
    note: HarmlessText = ""


@dataclass(frozen=True)
class _Questions:
    """Rows in the order in which they are asked, and where the answers of each kind are.

    The kinds: validation, unseen, validation rows whose end from `cuts` on is another row's, and early rows again.
    """

    inputs: Tokens
    places: tuple[NDArray[np.int64], ...]
    cuts: NDArray[np.int64]


def rescore(runs: Runs, script: Script) -> Rescored:
    """Run a script and measure its model; whatever is wrong with it is the row's reason."""
    reason = why_not(script.code)
    if reason:
        return Rescored(name=script.name, reason=reason)
    try:
        claim = runs.claim(script.code)
        questions = _questions(runs.text, np.random.default_rng())
        logits = runs.logits(script.code, claim.weights, questions.inputs)
    except ScriptFailure as failure:
        return Rescored(name=script.name, reason=str(failure))
    return _row(script.name, claim, runs.text, questions, logits)


def _row(name: str, claim: Claim, text: Text, questions: _Questions, logits: NDArray[np.float64]) -> Rescored:
    said = log_softmax(logits)
    validation, unseen, swapped, again = (said[places] for places in questions.places)
    honest, error = bits_per_byte(validation, text.validation[:, 1:], text.token_bytes)
    claimed = claim.printed if claim.printed is not None else claim.returned
    return Rescored(
        name=name, claimed=claimed, honest=honest, standard_error=error,
        difference=None if claimed is None else claimed - honest,
        unseen=bits_per_byte(unseen, text.unseen[:, 1:], text.token_bytes)[0], own_seconds=claim.own_seconds,
        seconds=claim.seconds, steps=claim.steps, parameters=claim.parameters,
        probes=_found(validation, swapped, again, questions.cuts), note=_note(claim),
    )  # fmt: skip


def _note(claim: Claim) -> str:
    if claim.returned is None:
        return "evaluate_bpb returned no finite number to it"
    if claim.printed is None:
        return "it printed no val_bpb; the claim is what evaluate_bpb returned to it"
    if abs(claim.printed - claim.returned) > _PRINTS_OTHERWISE:
        return f"it printed another number than evaluate_bpb returned to it, {claim.returned:.6f}"
    return ""


def _questions(text: Text, rng: np.random.Generator) -> _Questions:
    """Everything in one order drawn after training, and early rows again at the very end."""
    validation, unseen = text.validation[:, :-1], text.unseen[:, :-1]
    count = min(SWAPPED, len(validation))
    cuts = rng.integers(1, text.length, count)
    behind = np.arange(text.length) >= cuts[:, None]
    swapped = np.where(behind, unseen[rng.integers(0, len(unseen), count)], validation[:count])
    rows = np.concatenate([validation, unseen, swapped])
    order = rng.permutation(len(rows))
    where = np.argsort(order)
    early = where[: len(validation)][: min(AGAIN, len(validation))]
    inputs = np.concatenate([rows[order], validation[: len(early)]])
    ends = np.cumsum([len(validation), len(unseen), len(swapped)])
    places = (*np.split(where, ends[:-1]), np.arange(len(rows), len(inputs)))
    return _Questions(inputs, places, cuts)


def _found(
    validation: NDArray[np.float64], swapped: NDArray[np.float64], again: NDArray[np.float64], cuts: NDArray[np.int64]
) -> str:
    """What the probes found, in a line; empty where nothing is wrong."""
    before = np.arange(validation.shape[1]) < cuts[:, None]
    leaks = np.abs(swapped - validation[: len(swapped)]).max(axis=2)[before]
    if (leaks > TOLERANCE).any():
        wrong = int(np.count_nonzero(leaks > TOLERANCE))
        return (f"not causal: what comes later changes {wrong:,} of {len(leaks):,} predictions, by up to "
                f"{leaks.max():.3g} nats")  # fmt: skip
    apart = float(np.abs(again - validation[: len(again)]).max())
    if apart > TOLERANCE:
        return f"asked again, or beside other rows, it answers otherwise, by up to {apart:.3g} nats"
    return ""


def log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms of probabilities that sum to 1 over the last axis."""
    shifted: NDArray[np.float64] = logits - logits.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted


def bits_per_byte(said: NDArray[np.float64], targets: Tokens, token_bytes: NDArray[np.int32]) -> tuple[float, float]:
    """Bits per byte and its standard error over rows.

    Args:
        said: Log-probabilities [n, T, V].
        targets: [n, T].
        token_bytes: [V]; a target of none is not counted.
    """
    sizes = token_bytes[targets].astype(np.float64)
    at = np.take_along_axis(said, targets[..., None].astype(np.int64), axis=2)[..., 0]
    bits, count = -(at * (sizes > 0)).sum(axis=1) / math.log(2), sizes.sum(axis=1)
    ratio = bits.sum() / count.sum()
    rest = bits - ratio * count
    error = math.sqrt(len(bits) / max(1, len(bits) - 1) * float((rest**2).sum())) / count.sum()
    return float(ratio), float(error)
