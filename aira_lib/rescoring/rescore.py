"""One script scored again: what it claims, and what its model scores where neither can reach the targets."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aira_lib.autoresearch.bpb import bits_per_byte, nats_of
from aira_lib.autoresearch.probes import Altered, altered_rows, answers_otherwise, looks_ahead
from aira_lib.records.row import HarmlessText, Row
from aira_lib.rescoring.running import Claim, Runs, ScriptFailure
from aira_lib.rescoring.scripts import Script, why_not
from aira_lib.rescoring.text import Text, Tokens

ALTERED, AGAIN = 64, 16
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

    The kinds: validation, unseen, those of `probes`, which are like validation's up to a place, and early ones again.
    """

    inputs: Tokens
    places: tuple[NDArray[np.int64], ...]
    probes: Altered


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
    followed = (text.validation, text.unseen, text.validation[questions.probes.rows], text.validation[: _again(text)])
    validation, unseen, altered, again = (
        nats_of(logits[places], rows[:, 1:]) for places, rows in zip(questions.places, followed, strict=True)
    )
    honest = bits_per_byte(validation, text.token_bytes[text.validation[:, 1:]])
    claimed = claim.printed if claim.printed is not None else claim.returned
    found = looks_ahead(validation, altered, questions.probes, TOLERANCE)
    return Rescored(
        name=name, claimed=claimed, honest=honest.value, standard_error=honest.standard_error,
        difference=None if claimed is None else claimed - honest.value,
        unseen=bits_per_byte(unseen, text.token_bytes[text.unseen[:, 1:]]).value, own_seconds=claim.own_seconds,
        seconds=claim.seconds, steps=claim.steps, parameters=claim.parameters,
        probes=found or answers_otherwise(validation[: len(again)], again, TOLERANCE, "when they were asked again"),
        note=_note(claim),
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
    probes = altered_rows(validation, ALTERED, rng)
    rows = np.concatenate([validation, unseen, probes.tokens])
    order = rng.permutation(len(rows))
    inputs = np.concatenate([rows[order], validation[: _again(text)]])
    ends = np.cumsum([len(validation), len(unseen)])
    places = (*np.split(np.argsort(order), ends), np.arange(len(rows), len(inputs)))
    return _Questions(inputs, places, probes)


def _again(text: Text) -> int:
    return min(AGAIN, len(text.validation))
