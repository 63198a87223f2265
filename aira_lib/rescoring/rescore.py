"""One script scored again: what it claims, and what its model scores where neither can reach the targets."""

import numpy as np

from aira_lib.asking import Ask
from aira_lib.autoresearch.bpb import bits_per_byte
from aira_lib.autoresearch.questions import TOKENS, Answers, Rows, answers_of
from aira_lib.records.row import HarmlessText, Row
from aira_lib.rescoring.running import Claim, Runs, ScriptFailure
from aira_lib.rescoring.scripts import Script, why_not
from aira_lib.rescoring.text import Text

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


def rescore(runs: Runs, script: Script) -> Rescored:
    """Run a script and measure its model; whatever is wrong with it is the row's reason."""
    reason = why_not(script.code)
    if reason:
        return Rescored(name=script.name, reason=reason)
    rows = np.concatenate([runs.text.validation, runs.text.unseen])
    try:
        claim = runs.claim(script.code)
        ask = Ask(lambda asked: runs.logits(script.code, claim.weights, asked[TOKENS]), runs.most_rows, {})
        answers = answers_of(ask, Rows(rows[:, :-1], rows[:, 1:]), np.random.default_rng())
    except ScriptFailure as failure:
        return Rescored(name=script.name, reason=str(failure))
    return _row(script.name, claim, runs.text, answers)


def _row(name: str, claim: Claim, text: Text, answers: Answers) -> Rescored:
    validation, unseen = np.split(answers.nats, [len(text.validation)])
    honest = bits_per_byte(validation, text.token_bytes[text.validation[:, 1:]])
    claimed = claim.printed if claim.printed is not None else claim.returned
    return Rescored(
        name=name, claimed=claimed, honest=honest.value, standard_error=honest.standard_error,
        difference=None if claimed is None else claimed - honest.value,
        unseen=bits_per_byte(unseen, text.token_bytes[text.unseen[:, 1:]]).value, own_seconds=claim.own_seconds,
        seconds=claim.seconds, steps=claim.steps, parameters=claim.parameters,
        probes=answers.wrong,
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
