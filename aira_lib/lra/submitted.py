"""The parts of a task of Long Range Arena that train a submission and ask it, as `aira_lib.tasks.programs` starts them.

Each finds `run.json` with what it is told, `submission/model.py`, and its arrays in `data/`. What goes wrong ends the
process with one line. The size of a task is not told but read off its rows, whose lengths differ from size to size.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from aira_lib.lra.configurable import configured
from aira_lib.lra.configuration import Configuration, law
from aira_lib.lra.data.examples import LraSplit
from aira_lib.lra.data.sizes import SIZES, LraTask, size_of
from aira_lib.lra.data.tokens import BYTE_VOCABULARY, LISTOPS_VOCABULARY, Ids
from aira_lib.lra.infer import Answerer, save_floats
from aira_lib.lra.interface import Problem, submission_of
from aira_lib.lra.program import Program, Variables, program_of
from aira_lib.lra.refused import Refused
from aira_lib.lra.rows import joined
from aira_lib.lra.settings import TrainingSettings
from aira_lib.lra.train import WEIGHTS, train
from aira_lib.lra.weights import load_weights

MODEL, ABOUT, PREDICTIONS, ENCODINGS = "model.py", "about.txt", "predictions.npy", "encodings.npy"
PROBLEMS: dict[LraTask, Problem] = {
    "text": Problem(BYTE_VOCABULARY, 2),
    "listops": Problem(LISTOPS_VOCABULARY, 10),
    "retrieval": Problem(BYTE_VOCABULARY, 2, dual=True),
}
_IN_TIME = 0.95
"""Of the seconds of a training: it ends itself then and says how far it came, rather than being ended."""
_TRAINING = Path("training")


def train_submitted() -> None:
    """The train part: weights of the submitted model, and on stdout how it learns."""
    told = told_in_run()
    with refusals_in_a_line():
        if (about := Path("data", told["train_on"][0], ABOUT)).is_file():
            print(about.read_text(encoding="utf-8").strip(), flush=True)
        examples = _labelled(told["train_on"])
        program = program_at(told, examples.inputs[0].shape[1])
        trained = train(
            program, examples, _TRAINING, TrainingSettings(seconds=_IN_TIME * told["seconds"]), tell=said_at_once
        )
        if trained.ending != "done":
            raise Refused(f"{trained.ending}: {trained.reason}")
        (_TRAINING / WEIGHTS).replace(WEIGHTS)


def infer_submitted() -> None:
    """The infer part: logits of all rows, float32 [n, classes]."""
    told = told_in_run()
    with refusals_in_a_line():
        inputs = _inputs(Path("data/inputs"))
        answerer, variables = _trained(told, inputs[0].shape[1])
        save_floats(Path(PREDICTIONS), answerer(variables, inputs))


def encode_submitted() -> None:
    """The encode part: encodings of single documents, float32 [n, d]. What they are compared with is not there."""
    told = told_in_run()
    with refusals_in_a_line():
        (documents,) = _inputs(Path("data/inputs"))
        answerer, variables = _trained(told, documents.shape[1])
        save_floats(Path(ENCODINGS), answerer.encode(variables, documents))


def classify_submitted() -> None:
    """The infer part of pairs: logits of all rows from the encodings of both documents, float32 [n, classes]."""
    told = told_in_run()
    with refusals_in_a_line():
        answerer, variables = _trained(told, next(iter(told["row"].values()))[0])
        save_floats(Path(PREDICTIONS), answerer.classify(variables, *_inputs(Path("data/inputs"))))


def configuration_at(task: LraTask, length: int, seed: int, source: str | None) -> Configuration:
    """What a training on rows of a length is told.

    Args:
        task: Which.
        length: Places of a row.
        seed: Of the training.
        source: The submitted text, where its constants count.

    Raises:
        Refused: a constant is out of bounds.
    """
    size = next((size for size in SIZES if size_of(task, size).max_len == length), None)
    if size is None:
        raise Refused(f"rows of {task} have {length} places, which is the length of no size ({', '.join(SIZES)})")
    own = law(task, size)
    return replace(configured(source, task, own, length) if source is not None else own, random_seed=seed)


def told_in_run() -> dict[str, Any]:
    """What run.json says."""
    told: dict[str, Any] = json.loads(Path("run.json").read_text(encoding="utf-8"))
    return told


@contextmanager
def refusals_in_a_line() -> Iterator[None]:
    """Within, a refusal ends the process with its line."""
    try:
        yield
    except Refused as refused:
        sys.exit(str(refused))


def said_at_once(line: str) -> None:
    """Print a line that whoever reads along sees now."""
    print(line, flush=True)


def program_at(told: dict[str, Any], length: int) -> Program:
    """The submission on rows of a length, as run.json sets it up.

    Raises:
        Refused: it breaks the interface, or a constant is out of bounds.
    """
    path, task = Path("submission", MODEL), told["settings"]["task"]
    try:
        source = path.read_text(encoding="utf-8") if told["settings"]["configurable"] else None
    except UnicodeDecodeError:
        raise Refused(f"{MODEL} is not UTF-8 text") from None
    configuration = configuration_at(task, length, told["seed"], source)
    return program_of(submission_of(path, PROBLEMS[task]), configuration)


def _trained(told: dict[str, Any], length: int) -> tuple[Answerer, Variables]:
    """What answers for rows of a length, and the variables that training left."""
    program = program_at(told, length)
    return Answerer(program, program.configuration.batch_size), load_weights(Path(WEIGHTS), program)


def _labelled(names: Sequence[str]) -> LraSplit:
    """The rows of all splits to train on."""
    folders = [Path("data", name) for name in names]
    first, *others = [LraSplit(_inputs(each), np.load(each / "labels.npy", allow_pickle=False)) for each in folders]
    for other in others:
        first = joined(first, other)
    return first


def _inputs(folder: Path) -> tuple[Ids, ...]:
    """Texts of rows: one array, or two of pairs."""
    paths = sorted(folder.glob("inputs*.npy"))
    return tuple(np.load(path, mmap_mode="r", allow_pickle=False) for path in paths)
