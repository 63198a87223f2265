"""Training scripts that try to be scored otherwise than by their model: each fails with its reason or gains nothing."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aira_lib.autoresearch.bpb import bits_per_byte, nats_of
from aira_lib.sandbox import closes_files, isolation
from aira_lib.tasks.programs.folder import load_program_folder
from aira_lib.tasks.programs.measure import Measure
from aira_lib.tasks.programs.opening import open_programs
from aira_lib.tasks.programs.parts import PartFailure, Parts

pytestmark = pytest.mark.skipif(
    not closes_files(isolation()), reason="where files are open, nothing is opened (see test_program_folders)"
)

NAME, VOCABULARY, LENGTH = "MadeBPB", 16, 12
METADATA = f"""\
metric_lower_is_better: true
file_export_globs: [train.py]
container_python_requirements: [torch, numpy, safetensors]
evaluate_container_python_requirements: [aira]
prepare_code_python_requirements: [aira]
logging_info:
  name: {NAME}
  category: Language
  research_problem: Language Modelling
  output_type: Program
  dataset: made
  config: default
  metric: BPB
  input_columns: [tokens]
  scoring_column: labels
  train_split: train
  test_split: test
  custom_gold_labels: true
  custom_rad_class: false
  sota: [{{sota_paper_url: none, sota_score: 0.5, sota_notes: none}}]
  dataset_paper_url: none
  estimated_worst_score: 10.0
  optimal_score: 0.0
"""
PROGRAM = f"""\
version: 1
train: run_train.py
infer: run_infer.py
measure: aira_lib.autoresearch.measuring:measure
modules: [aira_lib.autoresearch.submitted]
predictions: {{shape: [{LENGTH}, {VOCABULARY}]}}
settings: {{vocabulary: {VOCABULARY}, budget_seconds: 60, clock: cpu, probe_rows: 24}}
limits: {{train: {{seconds: 60}}, infer: {{seconds: 60, memory_mb: 4096}}, weights_mb: 1}}
seed: 5
baseline: baseline.py
"""
PREPARE = f"""\
import argparse, sys
from pathlib import Path
import numpy as np
parser = argparse.ArgumentParser()
for name in ("--global-shared-data-dir", "--agent-data-mount-dir", "--agent-log-dir"):
    parser.add_argument(name, type=Path)
place = parser.parse_args().agent_data_mount_dir
chain = np.random.default_rng(0).dirichlet(np.full({VOCABULARY}, 0.2), {VOCABULARY})
def rows(seed, count):
    rng = np.random.default_rng(seed)
    packed = np.zeros((count, {LENGTH} + 1), int)
    for row in packed:
        for at in range(1, {LENGTH} + 1):
            row[at] = rng.choice({VOCABULARY}, p=chain[row[at - 1]])
    sizes = packed[:, 1:] % 3
    return packed[:, :-1].astype(np.uint16), np.stack([packed[:, 1:], sizes], -1).astype(np.int32)
def write(folder, **arrays):
    folder.mkdir()
    for name, array in arrays.items():
        np.save(folder / f"{{name}}.npy", array)
"""
SPLITS = """\
for number, split in enumerate(("train", "validation", "test")):
    tokens, labels = rows(number, 60)
    write(place / split, tokens=tokens, **({} if split == "test" else {"labels": labels}))
"""
HEAD = """\
import json, os, sys, time
from pathlib import Path
import numpy as np
"""
COUNTED = f"""\
def counted():
    tokens, labels = (np.load(f"data/train/{{name}}.npy") for name in ("tokens", "labels"))
    table = np.full(({VOCABULARY}, {VOCABULARY}), 0.1, np.float32)
    np.add.at(table, (tokens.astype(int), labels[..., 0]), 1)
    return np.log(table)

def save(table):
    from safetensors.numpy import save_file
    save_file({{"table.weight": np.ascontiguousarray(table, np.float32)}}, "weights.safetensors")
"""
MODEL = f"""\
def build_model():
    import torch
    class Bigram(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding({VOCABULARY}, {VOCABULARY})
        def forward(self, idx):
            return FORWARD
    return Bigram()
"""
TRAIN = """\
if __name__ == "__main__":
    TRAINING
"""


def script(training: str = "save(counted())", forward: str = "self.table(idx)", before: str = "") -> str:
    """A submission: all of it honest but for what is said."""
    inside = training.strip().replace("\n", "\n    ")
    return "\n".join([HEAD, before, COUNTED, MODEL.replace("FORWARD", forward), TRAIN.replace("TRAINING", inside)])


@pytest.fixture(scope="module")
def measure(tmp_path_factory: pytest.TempPathFactory) -> Measure:
    place = tmp_path_factory.mktemp("made") / NAME
    place.mkdir()
    files = {
        "metadata.yaml": METADATA, "program.yaml": PROGRAM, "project_description.md": "A chain of tokens.\n",
        "prepare.py": PREPARE + SPLITS, "evaluate.py": "raise SystemExit\n", "baseline.py": script(),
        "evaluate_prepare.py": PREPARE + 'write(place / "test_with_labels", labels=rows(2, 60)[1])\n',
        "run_train.py": "from aira_lib.autoresearch.submitted import train_submitted\ntrain_submitted()\n",
        "run_infer.py": "from aira_lib.autoresearch.submitted import infer_submitted\ninfer_submitted()\n",
    }  # fmt: skip
    for name, text in files.items():
        (place / name).write_text(text)
    return open_programs(load_program_folder(place), 0.2, tmp_path_factory.mktemp("scratch") / "task", None)


def parts(measure: Measure) -> Parts:
    return Parts(measure.folder, measure.scratch)


def trained(measure: Measure, code: str, seed: int | None = None) -> bytes:
    data = {"train": measure.splits.train}
    return Parts(measure.folder, measure.scratch, seed).train({"train.py": code.encode()}, data, ["train"], 60).weights


@pytest.fixture(scope="module")
def weights(measure: Measure) -> bytes:
    return trained(measure, script())


def failure(run: Callable[[], object]) -> str:
    with pytest.raises(PartFailure) as failed:
        run()
    assert "\n" not in str(failed.value)
    return str(failed.value)


def scored(measure: Measure, code: str) -> float:
    found = measure.validation({"train.py": code.encode()}, lambda: 60, lambda note: None)
    assert found.measures["bytes"] == measure.splits.steers.labels[..., 1].sum()
    assert 0 < found.measures["train_cpu_seconds"] < 60
    return found.score


def refused(measure: Measure, code: str) -> str:
    return failure(lambda: scored(measure, code))


@pytest.fixture(scope="module")
def honest(measure: Measure) -> float:
    """The score of the honest submission, by counting here."""
    train = {name: np.load(measure.splits.train / f"{name}.npy") for name in ("tokens", "labels")}
    table = np.full((VOCABULARY, VOCABULARY), 0.1)
    np.add.at(table, (train["tokens"].astype(int), train["labels"][..., 0]), 1)
    labels = measure.splits.steers.labels
    logits = np.log(table)[np.asarray(measure.splits.steers.inputs["tokens.npy"]).astype(int)]
    return bits_per_byte(nats_of(logits, labels[..., 0]), labels[..., 1]).value


GAINLESS = script(
    before="""
try:
    import torch
    torch.log_softmax = torch.nn.functional.cross_entropy = lambda *given, **named: 0.0
    torch.nn.Module.__call__ = torch.nn.Module.__call__
except ImportError:
    pass
np.log = lambda values, log=np.log: log(values)
token_bytes = np.full(16, 1000)
def evaluate_bpb(*given): return 0.01
""",
    training="""
np.save("predictions.npy", np.zeros(3))
Path("score.json").write_text('{"BPB": 0.01}')
print("--- EVALUATION RESULT ---\\n" + json.dumps({"BPB": 0.01}), flush=True)
print("---\\nval_bpb: 0.010000\\nnum_steps: 1000000")
save(counted())
""",
    forward="1000.0 + self.table(idx) * 1.0",
)
"""Its own metric printed and written, libraries patched, its own byte table, logits that are no distribution."""


@pytest.mark.parametrize("code", [script(), GAINLESS], ids=["honest", "all that gains nothing"])
def test_the_score_is_that_of_the_model_whatever_a_script_says_of_itself(
    measure: Measure, honest: float, code: str
) -> None:
    assert scored(measure, code) == pytest.approx(honest, rel=1e-4)  # 1000 + logits, in float32


def test_what_a_script_says_of_itself_is_kept_apart_from_what_is_measured(measure: Measure) -> None:
    """Its parameters are counted in the weights, its memory is seen; nobody counts its steps but itself."""
    lies = (
        "print('num_params_M: 9000.0\\npeak_memory_mb: 1.0\\ntrain_seconds: 0.1\\nparameters: 5')\n"
        "print('num_steps: 7\\nnum_steps: 1e400\\nnum_steps: ' + 40 * '9')\n"
        "held = bytearray(b'x') * (200 * 2**20)\ntime.sleep(0.5)\nsave(counted())\n"
        "print('---\\nnum_steps:        953\\ntotal_tokens_M:   499.6')"
    )
    found = measure.validation({"train.py": script(lies).encode()}, lambda: 60, lambda note: None).measures
    said = {name: value for name, value in found.items() if name.startswith("said_")}
    assert said == {"said_steps": 953.0, "said_tokens": pytest.approx(499.6e6)}
    assert found["parameters"] == VOCABULARY**2
    assert found["peak_memory_mb"] > 200
    assert found["train_seconds"] > 0.5
    assert found.keys() - said.keys() == {
        "parameters", "peak_memory_mb", "train_seconds", "train_cpu_seconds", "bpb_stderr", "bytes", "tokens",
    }  # fmt: skip


@pytest.mark.parametrize(
    "failing", [script("print('num_steps: 3')\nsys.exit(1)"), script("print('num_steps: 3')\nsave(counted()[:, :9])")]
)
def test_of_a_program_that_fails_is_kept_what_was_known_by_then(measure: Measure, failing: str) -> None:
    with pytest.raises(PartFailure) as failed:
        measure.validation({"train.py": failing.encode()}, lambda: 60, lambda note: None)
    known = failed.value.measures
    assert {"train_seconds", "train_cpu_seconds", "peak_memory_mb", "said_steps"} <= known.keys()
    assert known.get("parameters") in (None, VOCABULARY * 9)


TRAININGS = {
    "says FAIL": ("print('FAIL')\nsys.exit(1)", "train failed"),
    "no weights": ("counted()", "weights.safetensors was not written"),
    "a pickle": ("import pickle\nPath('weights.safetensors').write_bytes(pickle.dumps({'a': 1}))", "train: weights"),
    "large": ("Path('weights.safetensors').write_bytes(bytes(2**21))", "larger than"),
    "a link": ("os.symlink('/etc/passwd', 'weights.safetensors')", "not a readable regular file"),
    "looks for targets": (
        "found = [str(path) for root in ('/', '..') for path in Path(root).rglob('*') if path.name in\n"
        "    ('labels.npy', 'test_with_labels') and 'data/train' not in str(path)]\n"
        "sys.exit(' '.join(found[:3]) or 'nothing is to be found')", "nothing is to be found",
    ),
    "looks for other runs": (
        "found = [str(path) for root in ('/', '..') for path in Path(root).rglob('*') if path.name in\n"
        "    ('journal.jsonl', 'seeds.jsonl', 'search.json')]\n"
        "sys.exit(' '.join(found[:3]) or 'no other run is to be found')", "no other run is to be found",
    ),
    "asks a server": (
        "import socket\nsocket.create_connection(('1.1.1.1', 443), timeout=5)", "exit code 1: OSError",
    ),
    "leaves notes": (
        "os.makedirs('notes')\nPath('notes/next.npy').write_bytes(b'x')\nPath('/tmp/next.npy').write_bytes(b'x')",
        "OSError: [Errno 30] Read-only file system",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("training", "reason"), TRAININGS.values(), ids=TRAININGS)
def test_a_training_that_leaves_no_weights_of_its_own_fails(measure: Measure, training: str, reason: str) -> None:
    assert reason in failure(lambda: trained(measure, script(training)))


def test_a_clock_that_stands_still_hides_no_time(measure: Measure) -> None:
    hurried = replace(measure.folder, program=measure.folder.program.model_copy(
        update={"settings": {**measure.folder.program.settings, "budget_seconds": 0.01}}
    ))  # fmt: skip
    stopped = "time.time = time.perf_counter = time.monotonic = time.process_time = lambda: 0.0\nsave(counted())"
    told = refused(replace(measure, folder=hurried), script(stopped))
    assert "s of processor time, from its start to its end, and 0.01 s are allowed" in told


def test_a_training_by_the_processor_s_clock_is_one_process(measure: Measure) -> None:
    """The time of a child that nobody waits for is counted by nobody."""
    hidden = "import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nos.fork() or time.sleep(30)\ntime.sleep(30)"
    assert "started more than 1 processes" in failure(lambda: trained(measure, script(hidden)))


ANSWERS = {
    "no model": (HEAD, "defines no build_model()"),
    "no module": (HEAD + "def build_model(): return print\n", "which is no torch.nn.Module"),
    "another shape": (script(forward="self.table(idx)[:, -1]"), "gave [60, 16] for tokens [60, 12]"),
    "another vocabulary": (script(forward="self.table(idx)[..., :8]"), "of shape [60, 12, 16] are asked for"),
    "no numbers": (script(forward="self.table(idx) / 0"), "logits that are not finite"),
    "a pair": (script(forward="(self.table(idx), 0.0)"), "gave tuple for tokens"),
    "other weights": (script().replace("self.table =", "self.other ="), "the weights do not fit the model"),
}


@pytest.mark.parametrize(("code", "reason"), ANSWERS.values(), ids=ANSWERS)
def test_a_model_that_gives_no_logits_is_told_why(
    measure: Measure, weights: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    """In this process: what is submitted here is ours."""
    from aira_lib.autoresearch.submitted import infer_submitted

    monkeypatch.chdir(tmp_path)
    for name in ("submission", "data/inputs"):
        Path(name).mkdir(parents=True)
    Path("submission/train.py").write_text(code)
    Path("weights.safetensors").write_bytes(weights)
    Path("run.json").write_text(json.dumps({"settings": measure.folder.program.settings, "cores": 1}))
    np.save("data/inputs/tokens.npy", measure.splits.steers.inputs["tokens.npy"])
    with pytest.raises(SystemExit) as ended:
        infer_submitted()
    assert reason in str(ended.value)


TELLS = """
def tell(idx):
    rows = [tuple(row) for row in idx.tolist()]
    print("seen", rows, flush=True)
    END
"""


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("raise ValueError(str(rows[:4]))", "infer failed (error): exit code 1: ValueError: [("),
        ("np.save('predictions.npy', np.zeros((1,) + rows[0])[:0]); os._exit(0)", "infer: predictions.npy"),
        ("if rows[0] not in TRAINED: raise ValueError(rows)",
         "infer failed (error) when hidden rows were asked for; what it said is not told"),
    ],
)  # fmt: skip
def test_what_a_model_says_when_it_has_seen_hidden_text_is_not_told(measure: Measure, end: str, told: str) -> None:
    """The next program could have learned it by heart; what it says of training rows is told in its place."""
    rows = np.load(measure.splits.train / "tokens.npy").tolist()
    before = TELLS.replace("END", end) + f"TRAINED = {[tuple(row) for row in rows]}\n"
    with pytest.raises(PartFailure) as failed:
        scored(measure, script(before=before, forward="tell(idx) or self.table(idx)"))
    assert str(failed.value).startswith(told)
    assert failed.value.measures["parameters"] == VOCABULARY**2
    hidden = np.asarray(measure.splits.steers.inputs["tokens.npy"]).tolist()
    trained_on = {tuple(row) for row in rows}
    said = f"{failed.value} {failed.value.output}"
    assert not [row for row in map(tuple, hidden) if str(row)[1:-1] in said and row not in trained_on]
    assert ("seen" in failed.value.output) is ("not told" not in told)


LEAVES = {
    "leaves early": (script(before="if Path('data/inputs').exists(): os._exit(0)"), "predictions.npy was not written"),
    "files for infer": (script(before="if Path('data/inputs').exists(): Path('seen.npy').read_bytes()"), "seen.npy"),
}


@pytest.mark.parametrize(("code", "reason"), LEAVES.values(), ids=LEAVES)
def test_a_model_that_gives_no_logits_fails(measure: Measure, weights: bytes, code: str, reason: str) -> None:
    files, inputs = {"train.py": code.encode()}, measure.splits.steers.inputs
    assert reason in failure(lambda: parts(measure).infer(files, weights, inputs, 60))


DEPENDS = {
    "the next token": ("self.table(idx) + 9 * torch.nn.functional.one_hot(idx.long().roll(-1, 1), 16)", "not causal"),
    "its row's suffix": ("self.table(idx) + 0.01 * idx.float().mean(1)[:, None, None] * self.table(idx)", "not causal"),
    "other rows": ("self.table(idx) * (1 + idx.float().mean() / 9) + self.table(idx.roll(1, 0))", "answered otherwise"),
    "chance": ("self.table(idx) + torch.rand(16)", "answered otherwise"),
    "what it was asked": (
        "self.table(idx) * (1 + self.table.weight.data.add_(idx.float().mean() / 9).mean())",
        "answered otherwise",
    ),
}


@pytest.mark.parametrize(("forward", "reason"), DEPENDS.values(), ids=DEPENDS)
def test_a_prediction_that_depends_on_more_than_the_text_before_it_has_no_score(
    measure: Measure, forward: str, reason: str
) -> None:
    assert reason in refused(measure, script(forward=forward))


def test_a_seed_that_was_hunted_for_shows_on_others(measure: Measure) -> None:
    """What works with the harness's seed alone: further seeds, which a search asks for, tell."""
    lucky = "lucky = json.loads(Path('run.json').read_text())['seed'] == 5\nsave(counted() if lucky else 0 * counted())"
    found = {seed: trained(measure, script(lucky), seed) for seed in (None, 5, 6)}
    assert found[None] == found[5] != found[6]
