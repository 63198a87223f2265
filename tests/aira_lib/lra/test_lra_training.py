"""Trainings of models of a few numbers, and what submissions may not do."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from aira_lib.lra.checkpoint import load_checkpoint
from aira_lib.lra.fingerprint import fingerprint
from aira_lib.lra.infer import Answerer, fitted, save_floats
from aira_lib.lra.program import variables_of
from aira_lib.lra.progress import PROGRESS
from aira_lib.lra.refused import Refused
from aira_lib.lra.rows import joined, rows_of_step
from aira_lib.lra.settings import TrainingSettings
from aira_lib.lra.stepping import Stepper
from aira_lib.lra.train import WEIGHTS, train
from aira_lib.lra.weights import load_weights
from tests.aira_lib.lra.submissions import DUAL, FIELDS, HEAD, MEAN, PAIRS, TINY, examples, model, submitted

pytestmark = pytest.mark.usefixtures("quickly_compiled")

SETTINGS = TrainingSettings(schedule="constant")
LONGER = replace(TINY, num_train_steps=40, eval_frequency=1)
POOLED = "return nn.Dense(self.num_classes)(x.mean(axis=1))"
KEEPING = model("""
x = x.mean(axis=1) * self.param("scale", lambda key: jnp.ones(()))
x = nn.BatchNorm(use_running_average=not train, momentum=0.5)(x)
return nn.Dense(self.num_classes, param_dtype=jnp.bfloat16, kernel_init=nn.initializers.zeros)(x)
""")
"""With statistics of batches, a single number and another type among its variables."""


def quiet(line: str) -> None:
    pass


# --- training ---------------------------------------------------------------------------------------------------------


def test_what_can_be_learnt_is_learnt_and_answered_from_the_weights_alone(tmp_path):
    program = submitted(tmp_path / "submitted", KEEPING, configuration=LONGER)
    told: list[str] = []
    held_out = examples(21, seed=1)
    ended = train(program, examples(), tmp_path / "run", replace(SETTINGS, most_validations=3), held_out, told.append)
    assert (ended.ending, ended.reason, ended.steps) == ("done", "", 40)
    assert [step for step, _ in ended.validations] == [14, 40]
    assert ended.validations[-1][1] == 1.0
    lines = [json.loads(line) for line in (tmp_path / "run" / PROGRESS).read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < losses[0] / 4
    assert ended.loss == losses[-1]
    assert any(line.startswith("step 40 of 40: loss ") for line in told)

    answerer = Answerer(program, 8)
    variables = load_weights(tmp_path / "run" / WEIGHTS, program)
    assert abs(variables["batch_stats"]["BatchNorm_0"]["mean"]).max() > 0
    assert (variables["params"]["scale"].shape, variables["params"]["Dense_0"]["bias"].dtype) == ((), "bfloat16")
    logits = answerer(variables, held_out.inputs)
    assert (logits.dtype, logits.shape) == (np.float32, (21, 3))
    assert (logits.argmax(axis=1) == held_out.labels).all()
    np.testing.assert_allclose(answerer(variables, held_out.inputs, permuted=3), logits, rtol=1e-5)
    save_floats(tmp_path / "predictions.npy", logits)
    np.testing.assert_array_equal(np.load(tmp_path / "predictions.npy", allow_pickle=False), logits)


def test_an_interrupted_training_ends_in_the_same_bits(tmp_path):
    program = submitted(tmp_path / "s", PAIRS, DUAL)
    rows, kept = examples(13, dual=True), tmp_path / "compiled"
    late = train(program, rows, tmp_path / "twice", replace(SETTINGS, seconds=0.0), tell=quiet, compiled=kept)
    assert late.ending == "out of time"
    assert "1 of 12 steps are done" in late.reason
    assert not (tmp_path / "twice" / WEIGHTS).exists()
    shapes = Stepper(program, SETTINGS).shapes()
    assert load_checkpoint(tmp_path / "twice", shapes, fingerprint(program, examples(14, dual=True), SETTINGS)) is None
    told: list[str] = []
    assert train(program, rows, tmp_path / "twice", SETTINGS, tell=told.append, compiled=kept).ending == "done"
    assert "going on after 1 steps" in told
    train(program, rows, tmp_path / "once", replace(SETTINGS, reports=3), tell=quiet, compiled=kept)
    once, twice = (load_file(tmp_path / run / WEIGHTS) for run in ("once", "twice"))
    assert once.keys() == twice.keys()
    assert all(np.array_equal(once[name], twice[name]) for name in once)


def test_a_loss_that_is_no_number_ends_a_training(tmp_path):
    program = submitted(tmp_path / "s", model(f"x = x / (0.0 if train else 1.0)\n{POOLED}"))
    ended = train(program, examples(), tmp_path / "run", SETTINGS, tell=quiet)
    assert (ended.ending, ended.steps) == ("diverged", 1)
    assert "the loss of step 1 is" in ended.reason


@pytest.mark.parametrize("said", ["RESOURCE_EXHAUSTED: a line", "INTERNAL: Out of memory allocating 9 bytes.\nmore"])
def test_memory_that_runs_out_is_a_result_that_names_the_size(tmp_path, monkeypatch, said):
    program = submitted(tmp_path / "s", MEAN)

    def full(*_: object) -> None:
        raise jax.errors.JaxRuntimeError(said)

    monkeypatch.setattr("aira_lib.lra.stepping.Stepper._next", full)
    ended = train(program, examples(), tmp_path / "run", SETTINGS, tell=quiet)
    assert ended.ending == "out of memory"
    assert said.split("\n")[0] in ended.reason
    assert ended.reason.endswith("parameters, BATCH_SIZE 8, SEQ_LEN 16)")


@pytest.mark.parametrize(("count", "batch"), [(10, 3), (5, 8), (4, 4)])
def test_every_round_of_steps_reads_each_row_once(count, batch):
    stream = np.concatenate([rows_of_step(count, batch, 7, step) for step in range(20)])
    rounds = [stream[start : start + count] for start in range(0, len(stream) - count, count)]
    assert all(sorted(each) == [*range(count)] for each in rounds)
    assert len({tuple(each) for each in rounds}) > 1


def test_the_final_training_has_the_rows_of_both_splits():
    train_rows, validation = examples(5, seed=1), examples(3, seed=2)
    both = joined(train_rows, validation)
    assert both.labels.tolist() == [*train_rows.labels, *validation.labels]
    np.testing.assert_array_equal(both.inputs[0][5:], validation.inputs[0])


# --- what submissions may not do --------------------------------------------------------------------------------------

REFUSED = {
    "shape": (
        model("return nn.Dense(self.num_classes)(x)"),
        "the model returned float32[8, 16, 3]; expected float[8, 3]",
    ),
    "type": (model(f"{POOLED}.astype(int)"), "returned int32[2, 3]; expected float[2, 3]"),
    "tuple": (model("return x, x"), "the model returned a tuple"),
    "training": (model(f"if train: return x\n{POOLED}"), "logits in training: the model returned float32[2, 16, 8]"),
    "attribute": (model("return x * self.gamma"), "model.py, line 15: AttributeError: "),
    "length": (model(POOLED, FIELDS.replace("max_len", "length")), "declares no field 'max_len'; add `max_len: int`"),
    "unknown": (
        model(POOLED, "\n    embed_dim: int" + FIELDS),
        "has a field 'embed_dim' without a default, which the harness does not set; did you mean 'emb_dim'?",
    ),
    "callback": (
        model("x = jax.pure_callback(lambda a: a, jax.ShapeDtypeStruct(x.shape, x.dtype), x)\n" + POOLED),
        "calls back into Python (pure_callback)",
    ),
    "nested callback": (
        model("jax.lax.fori_loop(0, 2, lambda i, a: (jax.debug.callback(print, i), a)[1], 0)\n" + POOLED),
        "calls back into Python (debug_callback)",
    ),
    "cache": (model("self.variable('cache', 'seen', lambda: jnp.zeros(3))\n" + POOLED), "a collection 'cache'"),
    "values": (
        model("x = x * self.param('scale', lambda key: x.std())\n" + POOLED),
        "may depend on their shapes alone",
    ),
    "no class": (HEAD, "there is no `class CustomEncoder(nn.Module)`"),
    "exit": (f"{HEAD}\nraise SystemExit(0)", "it ends the process"),
    "import": ("import no_such_package", "model.py, line 1: ModuleNotFoundError: "),
    "syntax": ("def f(:", "SyntaxError"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_breaks_the_interface_is_refused_in_one_line(tmp_path, case):
    source, expected = REFUSED[case]
    with pytest.raises(Refused) as refusal:
        submitted(tmp_path, source)
    assert expected in str(refusal.value)
    assert "\n" not in str(refusal.value)


PAIRS_REFUSED = {
    "whole": (PAIRS.replace(".mean(axis=1)", ".reshape(len(inputs), -1)"), "encode returned float32[8, 128] for 8"),
    "method": (PAIRS.replace("def encode", "def encoded"), "CustomDualEncoder has no method `encode`"),
    "the other document": (
        PAIRS.replace(
            "return self.dropout(",
            "SEEN.append(inputs.mean())\n        return SEEN[0] * self.dropout(",
        ).replace("class", "SEEN = []\nclass", 1),
        "the model reads what an earlier call of it left behind",
    ),
    "the document before": (
        PAIRS.replace(
            "return self.dropout(",
            "SEEN.append(inputs.mean())\n        return (SEEN[-2] if SEEN[1:] else 0) * self.dropout(",
        ).replace("class", "SEEN = []\nclass", 1),
        "the model reads what an earlier call of it left behind",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PAIRS_REFUSED)
def test_documents_of_a_pair_are_encoded_apart(tmp_path, case):
    source, expected = PAIRS_REFUSED[case]
    with pytest.raises(Refused) as refusal:
        submitted(tmp_path, source, DUAL)
    assert expected in str(refusal.value)


def test_answers_that_are_no_numbers_are_refused(tmp_path):
    program = submitted(tmp_path / "s", model(f"x = jnp.where((inputs == 1)[..., None], jnp.nan, x)\n{POOLED}"))
    inputs = np.full((5, 16), 2, np.int32)
    inputs[3] = 1
    with pytest.raises(Refused, match="logits of 1 of 5 rows are not finite, the first of them row 3"):
        Answerer(program, 4)(_zeros(program), [inputs])


def _zeros(program):
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), variables_of(program))


def test_weights_of_another_model_are_refused(tmp_path):
    program = submitted(tmp_path / "s", MEAN)
    flat = {
        "params/Dense_0/bias": np.zeros(3, np.float32),
        "params/Dense_0/kernel": np.zeros((8, 3), np.float32),
        "params/Embed_0/embedding": np.zeros((9, 8), np.float32),
    }
    path = tmp_path / "w.safetensors"
    wrong = {
        "not in the file": {name: flat[name] for name in list(flat)[1:]},
        "unknown to the model": {**flat, "params/x": np.zeros(2, np.float32)},
        "not as the model has it": {**flat, "params/Dense_0/bias": np.zeros(4, np.float32)},
        "at most": {**flat, "params/Dense_0/bias": np.zeros(2**19, np.float32)},
    }
    for reason, tensors in wrong.items():
        save_file(tensors, path)
        with pytest.raises(Refused, match=reason):
            load_weights(path, program)
    path.write_bytes(b"\x80\x04pickle")
    with pytest.raises(Refused, match="no safetensors file"):
        load_weights(path, program)
    save_file(flat, path)
    assert load_weights(path, program)["params"]["Dense_0"]["kernel"].shape == (8, 3)


def test_rows_are_cut_behind_or_filled_up():
    ids = np.arange(6, dtype=np.int32).reshape(2, 3)
    assert fitted(ids, 2).tolist() == [[0, 1], [3, 4]]
    assert fitted(ids, 5).tolist() == [[0, 1, 2, 0, 0], [3, 4, 5, 0, 0]]
