"""The work behind the scripts of a Compose task folder: what an agent may see, and how its submission is scored.

The three functions are the scripts' command lines (see `aira_lib.tasks.airs`). What an agent finds is 70 % of the
training examples of each MAD task, or of the text; held-out and test examples are never written: the proxy draws
them, from the seed, when it scores. The seeds of the profiles "paper" and "laptop" are public; a study's own need not
be, and a search keeps it from its agents.
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from aira_lib.datasets.language import LanguageSplits
from aira_lib.datasets.mad import splits
from aira_lib.errors import UserError
from aira_lib.proxy.cost import task_settings
from aira_lib.proxy.text import text_data
from aira_lib.records import Evaluation
from aira_lib.study import ProxySection
from aira_lib.tasks import MAX_SUBMISSION_BYTES, SUBMISSION, SubmissionError, read_submission, task_named
from aira_lib.tasks.profile import PROFILE_VARIABLE, profile_named

_LABELS = Path("test_with_labels")
_SETTINGS = "settings.json"
_HIDDEN: Any = {"seed": True, "language": {"paths", "test_paths"}}


def prepare_command(task_name: str | None = None) -> None:
    """prepare.py: write `train/<task>.npz` and `settings.json` into the agent's data folder.

    The settings lack the seed, and where a text lies. Without a name the task is one of MAD.
    """
    given, n_layers, proxy = _given(task_name, needs_log=False)
    try:
        write_train_split(proxy, given.agent_data_mount_dir / "train")
    except UserError as error:
        sys.exit(str(error))
    _write_settings(given.agent_data_mount_dir, n_layers, proxy.model_dump(mode="json", exclude=_HIDDEN))


def evaluate_prepare_command(task_name: str | None = None) -> None:
    """evaluate_prepare.py: add the submission, and what determines the test split (settings with the seed)."""
    given, n_layers, proxy = _given(task_name, needs_log=True)
    labels = given.agent_data_mount_dir / _LABELS
    labels.mkdir(exist_ok=True)
    _write_settings(labels, n_layers, proxy.model_dump(mode="json"))
    submission = given.agent_log_dir / SUBMISSION
    if submission.is_symlink() or not submission.is_file():
        sys.exit(f"{SUBMISSION} was not written")
    shutil.copyfile(submission, given.agent_data_mount_dir / SUBMISSION)


def evaluate_command(task_name: str) -> None:
    """evaluate.py: train the submitted design by the proxy and print its test score.

    An invalid submission ends with exit code 2 and the feedback on stderr; a design that cannot be scored with 1.
    """
    parser = argparse.ArgumentParser(description="Train and score the submitted design.")
    parser.add_argument("--submission-file", type=Path, default=Path(SUBMISSION))
    file = parser.parse_args().submission_file
    n_layers, proxy = _read_settings(Path("data") / _LABELS)
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_SUBMISSION_BYTES + 1)
        layers = read_submission(content, task_named(task_name), n_layers)
    except OSError as error:
        parser.error(f"{SUBMISSION} cannot be read: {error.strerror}")
    except SubmissionError as error:
        parser.error(str(error).splitlines()[0])  # the lines after it draw the place; a reason is one line
    from aira_lib.proxy.evaluation import evaluate  # with PyTorch, for which no other script and no refusal waits

    try:
        evaluation = evaluate(layers, proxy, seed=proxy.seed, threads=int(os.environ.get("OMP_NUM_THREADS", "1")))
    except UserError as error:
        sys.exit(str(error))
    _print_result(evaluation, task_named(task_name).metric)


def write_train_split(proxy: ProxySection, folder: Path) -> None:
    """Write `<task>.npz` (`inputs` and `targets` [examples, length]), the rows on which the proxy trains.

    Of MAD tasks as int64; of a text in the smallest type that holds its tokens, and `words.json` where they are words.
    """
    folder.mkdir(exist_ok=True)
    if proxy.text:
        _write_text(text_data(proxy, proxy.text), folder, proxy.text)
        return
    for name in proxy.tasks:
        settings = task_settings(proxy, name)
        data = splits(settings, proxy.train_examples, proxy.test_examples, proxy.validation_fraction, proxy.seed)
        np.savez(folder / f"{name}.npz", inputs=data.train.inputs, targets=data.train.targets)


def _write_text(data: LanguageSplits, folder: Path, name: str) -> None:
    kind = np.min_scalar_type(data.vocab_size - 1)
    train = data.splits.train
    np.savez(folder / f"{name}.npz", inputs=train.inputs.astype(kind), targets=train.targets.astype(kind))
    if data.words:
        (folder / "words.json").write_text(json.dumps(data.words, ensure_ascii=False) + "\n", encoding="utf-8")


def _given(task_name: str | None, needs_log: bool) -> tuple[argparse.Namespace, int, ProxySection]:
    """The command line's folders, and layers and proxy of its profile."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--global-shared-data-dir", type=Path, required=True, help="not used: data are drawn, or a study names them"
    )
    parser.add_argument("--agent-data-mount-dir", type=Path, required=True)
    parser.add_argument("--agent-log-dir", type=Path, required=needs_log)
    parser.add_argument("--profile", default=os.environ.get(PROFILE_VARIABLE) or "paper")
    given = parser.parse_args()
    for folder in (given.global_shared_data_dir, given.agent_data_mount_dir, given.agent_log_dir):
        if folder is not None and not folder.is_dir():
            sys.exit(f"no such folder: {folder}")
    try:
        n_layers, proxy = profile_named(given.profile, task_named(task_name).dataset if task_name else "mad")
    except UserError as error:
        sys.exit(str(error))
    return given, n_layers, proxy


def _write_settings(folder: Path, n_layers: int, proxy: dict[str, Any]) -> None:
    (folder / _SETTINGS).write_text(json.dumps({"layers": n_layers, "proxy": proxy}, indent=2) + "\n")


def _read_settings(folder: Path) -> tuple[int, ProxySection]:
    read = json.loads((folder / _SETTINGS).read_text())
    return read["layers"], ProxySection.model_validate(read["proxy"])


def _print_result(evaluation: Evaluation, metric: str) -> None:
    if evaluation.status != "ok":
        sys.exit(f"the design could not be scored: {evaluation.reason}")
    for name, score in evaluation.test_by_task.items():
        print(f"{name}: test {score:.4f}, validation {evaluation.validation_by_task[name]:.4f}")
    print(f"validation: {evaluation.validation}")
    print("\n--- EVALUATION RESULT ---")
    print(json.dumps({metric: evaluation.test}, indent=2))
