"""Code that is submitted to be trained and tries to be scored otherwise: each fails with its reason."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from aira_lib.sandbox import closes_files, isolation
from aira_lib.sandbox.family import family
from aira_lib.tasks.airs import new_task_folder
from aira_lib.tasks.programs.folder import load_program_folder
from aira_lib.tasks.programs.measure import Measure
from aira_lib.tasks.programs.opening import open_programs
from aira_lib.tasks.programs.parts import PartFailure, Parts
from aira_lib.tasks.programs.splits import Splits

NAME = "RingsMadeAccuracy"
HEAD = "import os, sys\nfrom pathlib import Path\nimport numpy as np\nINFER = Path('data/inputs').exists()\n"
HONEST = f"""{HEAD}
def initial(seed):
    return {{"weight": np.zeros((1, 2), np.float32), "bias": np.zeros(2, np.float32)}}

def features(inputs):
    return np.linalg.norm(inputs - 0.6, axis=1, keepdims=True)
"""
"""Somewhat off the centre: some rows are wrong."""

RESULT = "print('--- EVALUATION RESULT ---\\n{\"Accuracy\": 1.0}', flush=True)\n"
IN_INFER = "if INFER:\n    "
MARK = "31536017"

pytestmark = pytest.mark.skipif(
    not closes_files(isolation()), reason="where files are open, nothing is opened (see test_program_folders)"
)


def with_features(body: str) -> str:
    return HONEST + f"\nhonest = features\ndef features(inputs):\n    {body}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_task_folder(tmp_path_factory.mktemp("programs") / NAME, "program")


@pytest.fixture(scope="module")
def measure(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Measure:
    return open_programs(load_program_folder(folder), 0.2, tmp_path_factory.mktemp("scratch") / "task", None)


@pytest.fixture(scope="module")
def trained(measure: Measure) -> bytes:
    """The weights of an honest design."""
    data = {"train": measure.splits.train}
    return Parts(measure.folder, measure.scratch).train(submission(HONEST), data, ["train"], 60).weights


@pytest.fixture(scope="module")
def raw(folder: Path) -> Iterator[ModuleType]:
    """The module by which the folder makes its data."""
    spec = importlib.util.spec_from_file_location("rings_utils", folder / "utils.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("rings_utils", None)


def submission(code: str) -> dict[str, bytes]:
    return {"model.py": code.encode()}


def failure(run: Callable[[], object]) -> PartFailure:
    with pytest.raises(PartFailure) as failed:
        run()
    assert "\n" not in str(failed.value)
    return failed.value


def validation_fails(measure: Measure, code: str) -> PartFailure:
    return failure(lambda: measure.validation(submission(code), lambda: 60, lambda note: None))


def test_an_honest_design_is_scored_right(measure: Measure, raw: ModuleType) -> None:
    """Trained here by other code on the rows of the folder, and counted one by one."""
    inputs, labels = raw.split("train")
    asked, answers = raw.split("validation")
    assert np.array_equal(measure.splits.steers.labels, answers)

    def seen(rows: np.ndarray) -> np.ndarray:
        distance = np.hypot(rows[:, 0] - 0.6, rows[:, 1] - 0.6)
        return np.column_stack([distance, np.ones(len(rows))]).astype(np.float64)

    one = np.zeros(2)  # of two classes the difference of the two scores is learnt at twice the rate
    for _ in range(200):
        wrong = 1 / (1 + np.exp(-seen(inputs) @ one)) - labels
        one -= 2 * 0.5 * seen(inputs).T @ wrong / len(labels)
    right = [(row @ one > 0) == bool(label) for row, label in zip(seen(asked), answers, strict=True)]
    assert 0.55 < sum(right) / len(right) < 0.95  # neither chance nor perfect

    notes: list[str] = []
    found = measure.validation(submission(HONEST), lambda: 60, notes.append)
    assert found.score == sum(right) / len(right)
    assert found.output.startswith("step 0: loss 0.6931")
    assert notes == ["training", "predicting", "asking rows again"]
    assert list(measure.scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (RESULT + "import os; os._exit(0)", "train: weights.safetensors was not written"),
        ("import sys; sys.exit()", "train: weights.safetensors was not written"),
        (
            HONEST
            + "import pickle\ntorn = os._exit\nclass Evil:\n    def __reduce__(self): return os.system, ('true',)\n"
            "Path('weights.safetensors').write_bytes(pickle.dumps(Evil())); torn(0)",
            "train: weights.safetensors: its header is longer than the file",
        ),
        (
            "import os; os.symlink(os.path.abspath('data/train/labels.npy'), 'weights.safetensors'); os._exit(0)",
            "train: weights.safetensors is not a readable regular file (links are not followed)",
        ),
        (
            "import os; open('weights.safetensors', 'wb').write(bytes(2 << 20)); os._exit(0)",
            "train: weights.safetensors is larger than 1048576 bytes",
        ),
        (
            "from aira_lib.tasks.programs import metrics",
            "train failed (error): exit code 1: ModuleNotFoundError: No module named 'aira_lib.tasks'",
        ),
        (
            with_features("return np.float32('nan') * honest(inputs)[:-1]"),
            "train failed (error): exit code 1: model.py: features must be [300, k], not [299, 1]",
        ),
    ],
    ids=["prints-a-result", "exits-early", "saves-a-pickle", "links", "huge", "patches-the-scorer", "shape"],
)
def test_a_training_that_leaves_anything_but_weights(measure: Measure, code: str, reason: str) -> None:
    assert str(validation_fails(measure, code)) == reason


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (IN_INFER + RESULT + IN_INFER + "os._exit(0)", "infer: predictions.npy was not written"),
        (
            IN_INFER
            + "np.save('predictions.npy', np.array([object()] * 9), allow_pickle=True)\n"
            + IN_INFER
            + "os._exit(0)",
            "infer: predictions.npy holds object, where float numbers are asked for",
        ),
        (
            IN_INFER + "np.save('predictions.npy', np.zeros((4, 2)))\n" + IN_INFER + "os._exit(0)",
            "infer: predictions.npy has the shape (4, 2), where (5, 2) is asked for",
        ),
        (
            "def features(inputs):\n    return np.full((len(inputs), 1), np.nan, np.float32)",
            "infer: predictions.npy holds NaN or infinity in 5 of 5 rows",
        ),
    ],
    ids=["prints-a-result", "pickles", "shape", "nan"],
)
def test_an_inference_that_leaves_anything_but_predictions(
    measure: Measure, trained: bytes, code: str, reason: str
) -> None:
    inputs = {"inputs.npy": measure.splits.steers.inputs["inputs.npy"][:5]}
    parts = Parts(measure.folder, measure.scratch)
    assert str(failure(lambda: parts.infer(submission(HONEST + code), trained, inputs, 60))) == reason


def looks_for(*paths: Path) -> str:
    """A program that ends with all that it could read of what it should not, and write of what is not its own."""
    return f"""{HEAD}
reached, kept = [], set()
def attempt(place, mode="rb"):
    try:
        open(place, mode).close()
        reached.append(place)
    except OSError:
        pass
for place in {[str(path) for path in paths]!r}:
    attempt(place)
for up in range(1, 9):
    for name in ("validation", "test", "test_with_labels"):
        for where in ("", "data/", "kept/", "splits/kept/", "task/splits/kept/", "prepared/"):
            attempt("../" * up + where + name + "/labels.npy")
for name in ("task/utils.py", "task/evaluate.py", "task/program.yaml", "data/validation/labels.npy"):
    attempt(name)
for process in os.listdir("/proc"):
    for name in ("root", "cwd"):
        for where in ("", {str(paths[0].parent)!r}.lstrip("/") + "/"):
            attempt("/proc/" + process + "/" + name + "/" + where + "kept/validation/labels.npy")
for name in ("task/train.py", "task/infer.py", "library/aira_lib/tensors.py", "submission/model.py", "run.json"):
    attempt(name, "ab")
if INFER:
    attempt("data/train/labels.npy")
    reached += [str(path) for path in Path("data").rglob("*") if path.name != "inputs" and path.name != "inputs.npy"]
    attempt("weights.safetensors", "ab")
sys.exit(f"reached {{reached}}")
"""


def kept_of(splits: Splits) -> tuple[Path, ...]:
    return (
        splits.validation / "labels.npy",
        splits.validation.parent / "test" / "inputs.npy",
        splits.train / "labels.npy",
    )


def test_labels_are_out_of_reach_and_nothing_of_ours_can_be_written(measure: Measure, trained: bytes) -> None:
    paths = kept_of(measure.splits)
    assert all(path.is_file() for path in paths)
    program = submission(looks_for(*paths))
    parts = Parts(measure.folder, measure.scratch)
    inputs = measure.splits.steers.inputs
    assert str(validation_fails(measure, program["model.py"].decode())).endswith("exit code 1: reached []")
    assert str(failure(lambda: parts.infer(program, trained, inputs, 60))).endswith("exit code 1: reached []")


def test_no_process_outlives_its_part(measure: Measure) -> None:
    leaves = "import subprocess, os\nsubprocess.Popen(['sleep', MARK], start_new_session=True)\nos._exit(0)"
    validation_fails(measure, leaves.replace("MARK", repr(MARK)))
    alive = []
    for process in family(1):
        try:
            alive.append(Path(f"/proc/{process.pid}/cmdline").read_bytes())
        except OSError:
            continue
    assert not [line for line in alive if MARK.encode() in line]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (
            with_features("return honest(inputs) - (honest(inputs).mean(axis=0) * len(inputs) if INFER else 0)"),
            "predictions depend on more than their row: of 50 rows that were asked for again",
        ),
        (
            with_features("return honest(inputs) + (np.arange(len(inputs))[:, None] / 9 if INFER else 0)"),
            "infer answers otherwise when it is asked again: 16 of 16 early rows",
        ),
        (
            HONEST
            + """
honest, known = features, {}
def features(inputs):
    if not INFER: return honest(inputs)
    learnt = np.cumsum(honest(inputs), axis=0)
    for place, row in enumerate(inputs): known.setdefault(row.tobytes(), learnt[place])
    return np.stack([known[row.tobytes()] for row in inputs])
""",
            "predictions depend on more than their row: of 50 rows that were asked for again",
        ),
    ],
    ids=["the-other-rows", "learns-while-it-predicts", "learns-and-remembers-what-it-said"],
)
def test_predictions_that_depend_on_more_than_their_row(measure: Measure, code: str, reason: str) -> None:
    assert str(validation_fails(measure, code)).startswith(reason)
