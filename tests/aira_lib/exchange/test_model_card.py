"""What a model card says, and what it does not claim."""

import re
from typing import Any

import yaml

from aira_lib.architecture.cost import exact_params
from aira_lib.architecture.pattern import parse
from aira_lib.architecture.scales import scale_named
from aira_lib.exchange.card import model_card
from aira_lib.extrapolate.stage import describe
from aira_lib.records import (
    Downstream,
    FailedTask,
    Manifest,
    Measured,
    PretrainPoint,
    Score,
    StandIn,
    TaskScore,
    TrainingRun,
)

SCALE = scale_named("nano", 3)
LAYERS = parse("3(A-M)2Mb")
DATA = {"corpus": "a|b", "tokens_sha256": "f" * 64, "train_tokens": 12_345, "packing": "across"}


def run_of(**changes: Any) -> TrainingRun:
    design = describe("find/stretched@nano", base="find", kind="find", method="stretch", layers=LAYERS, scale=SCALE,
                      trainable=True, change="one more Mb")  # fmt: skip
    point = PretrainPoint(id="find.isotoken", design=design, protocol="isotoken", budget_flops=None, steps=7,
                          tokens=14_336, flops=2.5e9, seed=3)  # fmt: skip
    run = TrainingRun(point=point, final_train_loss=2.3456, steps=7, tokens=14_336, flops=2.5e9, status="ok",
                      data=DATA, device="cpu", precision="fp32", kernels="torch", trainer="one-device",
                      nonfinite=(2,))  # fmt: skip
    return run.model_copy(update=changes)


MANIFEST = Manifest(
    stage="pretrain", unit="u", key="c0ffee", study="s", spec_digest="", section={}, versions={"torch": "2.9"},
    stand_ins=(StandIn(what="Python's text", instead_of="web text", detail="small"),),
)  # fmt: skip


def downstream_of(**changes: Any) -> Downstream:
    task = TaskScore(
        task="ARC-Challenge", shots=0, split="validation", paper_split="test", primary="acc_norm",
        metrics={"acc": Measured(value=0.2, stderr=0.01), "acc_norm": Measured(value=0.31, stderr=0.02)}, chance=0.25,
        items=100, available=299, cut=4, constant=True, data={},
    )  # fmt: skip
    failed = FailedTask(task="CoQA", shots=0, reason="no data | none\nat all")
    whole = Downstream(point=run_of().point, status="ok", tasks=(task,), failed=(failed,), limit=100, seed=5,
                       versions={"lm-eval": "0.4.13"})  # fmt: skip
    return whole.model_copy(update=changes)


def head_of(card: str) -> dict[str, Any]:
    _, head, _ = card.split("---\n", 2)
    found: dict[str, Any] = yaml.safe_load(head)
    return found


def test_all_that_the_record_says_is_on_the_card() -> None:
    card = model_card(run_of(), MANIFEST)
    for said in (
        "`3(A-M)-2Mb`", f"{exact_params(LAYERS, SCALE):,} parameters", "14,336 in 7 steps of 2,048",
        "2.5e+09", "| seed | 3 |",
        "cpu, fp32, torch kernels, by one-device", "2.3456 nats", "12,345", "f" * 64, "c0ffee", "torch 2.9",
        "one more Mb", "It was not scored", "| steps that were not finite | 1,",
    ):  # fmt: skip
        assert said in card, said
    assert "a\\|b" in card  # a bar in what others wrote ends no cell


def test_stand_ins_stand_in_a_box_before_everything_else() -> None:
    card = model_card(run_of(), MANIFEST)
    assert card.index("> - Python's text, in the place of web text (small)") < card.index("## Design")
    assert ">" not in model_card(run_of()).split("## Design")[0]


def test_the_licence_is_left_to_whoever_publishes() -> None:
    card = model_card(run_of(), MANIFEST)
    assert "license" not in head_of(card)
    assert "chooses one" in card.split("## Licence")[1]


def test_downstream_scores_have_their_errors_and_what_limits_them() -> None:
    card = model_card(run_of(), MANIFEST, downstream=downstream_of())
    (row,) = (line for line in card.splitlines() if "**31.0 ± 2.0**" in line)
    for said in ("25.0", "100 of 299 items", "validation", "paper scores test", "4 prompts", "never varies"):
        assert said in row, said
    assert "of each task 100 at most" in card
    assert "no data \\| none at all" in card
    assert "lm-eval 0.4.13" in card
    (result,) = head_of(card)["model-index"][0]["results"]
    assert result["metrics"][1] == {"type": "acc_norm", "name": "accuracy, by length", "value": 31.0}
    assert "100 of 299" in result["dataset"]["name"]  # a hub shows the name alone


def test_the_held_out_loss_has_its_error() -> None:
    score = Score(point=run_of().point, status="ok", loss=2.5, loss_stderr=0.0125, bits_per_byte=3.6, samples=8,
                  tokens=1024, document_sums=(1.0, 2.0), document_tokens=(512, 512))  # fmt: skip
    card = model_card(run_of(), score=score)
    assert "**2.5000 ± 0.0125** nats a token, 3.6000 bits a byte, on 1,024 tokens of 2 documents" in card


def test_of_an_imported_model_nothing_is_claimed() -> None:
    imported = {"corpus": "imported", "files_sha256": {"model.safetensors": "a" * 64}}
    card = model_card(run_of(steps=0, tokens=0, flops=0.0, data=imported, final_train_loss=None))
    training = card.split("## Training")[1].split("##")[0]
    assert "Nothing is known" in training
    assert not re.search(r"\d+ in \d+ steps", card)
    assert "trained on" not in card.split("## Design")[0]
    assert f"| files sha256: model.safetensors | `{'a' * 64}` |" in card


def test_a_training_that_diverged_says_so_at_once() -> None:
    diverged = Score(point=run_of().point, status="diverged", loss=None, loss_stderr=None, bits_per_byte=None,
                     samples=0, tokens=0)  # fmt: skip
    card = model_card(run_of(status="diverged", final_train_loss=None), score=diverged,
                      downstream=downstream_of(status="diverged", tasks=(), failed=()))  # fmt: skip
    assert "diverged" in card.split("## Design")[0]
    assert "no task was scored" in card
    assert "model-index" not in head_of(card)


def test_code_that_is_run_is_named() -> None:
    assert "trust_remote_code" not in model_card(run_of())
    card = model_card(run_of(), remote_code=True)
    assert "trust_remote_code=True" in card
    assert "read it first" in card
