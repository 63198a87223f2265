"""What determines an evaluation: design, data, settings, seed, the evaluator's code, and what computes.

See `aira_lib.identity` for what is in a key and what is not. Not in it, but in every entry, are the model of the
processor and the number of threads: they change rounding at most, and machines that differ in them share their work.
"""

import os
import sys
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from aira_lib.architecture.pattern import Layers
from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.identity import Piece, computes, versions_of
from aira_lib.study import ProxySection, changed, digest

PACKAGES = ("torch", "numpy", "numba")
_OF_DATA = {"dataset", "language", "tasks", "difficulty", "seed", "validation_fraction"}
_OF_MAD = {"train_examples", "test_examples", "rank_by_accuracy"}


@dataclass(frozen=True)
class EvaluationKey:
    """See the module. `settings` is plain data; `platform` names versions of packages, kind of device and kernels."""

    layers: Layers
    dataset: str
    settings: dict[str, Any]
    seed: int
    code: str
    platform: dict[str, str]

    @property
    def settings_digest(self) -> str:
        """SHA-256 (hex) of data and settings together."""
        return digest([self.dataset, self.settings])

    @property
    def digest(self) -> str:
        """SHA-256 (hex), the name of the entry."""
        return digest([list(self.layers), self.settings_digest, self.seed, self.code, self.platform])


def key_of(layers: Layers, section: ProxySection, seed: int, stopped_at: int | None = None) -> EvaluationKey:
    """The key of a design's evaluation by this process.

    Versions of its primitives' code that are not the first are in it. A rule that stops training, and its bars, are
    not: what was trained to an epoch is the same whoever stopped it there. `stopped_at` is that epoch; None: a whole
    training.

    Raises:
        UserError: a difficulty that a task cannot meet, or text files that are not there.
    """
    settings = {**settings_of(section.at_depth(len(layers))), **PRIMITIVES.in_key(layers)}
    if stopped_at is not None:
        settings = {**settings, "stopped_at": stopped_at}
    return EvaluationKey(layers, section.text or "mad", settings, seed, code_of(section), platform())


def pieces_of(section: ProxySection) -> tuple[Piece, ...]:
    """The pieces of code that score a design by a section."""
    return ("text" if section.text else "mad", "models", "proxy")


def code_of(section: ProxySection) -> str:
    """The code that scores a design by a section, in words such as "mad 1, models 1, proxy 2"."""
    return ", ".join(f"{piece} {number}" for piece, number in versions_of(*pieces_of(section)).items())


def settings_of(section: ProxySection) -> dict[str, Any]:
    """What of a section determines a score: dimensions, training, and the data that its fields lead to."""
    # By JSON, not by hash: two sections may be equal that differ in how they print, such as 1 and 1.0.
    return _settings(section.model_dump_json())


@cache
def _settings(text: str) -> dict[str, Any]:
    from aira_lib.proxy.cost import scored_scales

    section = ProxySection.model_validate_json(text)
    models = [[name, _dimensions(changed(scale))] for name, scale in scored_scales(section).items()]
    unread = {"stopping"} | _OF_DATA | (_OF_MAD if section.text else set())
    settings = {"data": _data(section), "models": models, "training": changed(section, exclude=unread)}
    return {**settings, "rungs": list(section.rungs)} if section.rungs else settings


def _data(section: ProxySection) -> Any:
    from aira_lib.proxy.cost import sample_counts, task_settings

    split = {"validation_fraction": section.validation_fraction}
    if section.text:
        from aira_lib.datasets.text.identity import language_identity

        train, test = sample_counts(section)
        counts = {"train_examples": train, "test_examples": test, "seq_len": section.language.seq_len}
        return {**split, **counts, **language_identity(section.text, section.language, section.seed)}
    tasks = [[name, {"seed": section.seed, **asdict(task_settings(section, name))}] for name in section.tasks]
    return {**split, "tasks": tasks}


def _dimensions(scale: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in scale.items() if name not in ("name", "source", "tokens_per_step")}


def platform() -> dict[str, str]:
    """Versions of the packages that compute, the kind of device, the kernels, and how it multiplies."""
    packages = {name: _version(name) for name in PACKAGES}
    return {**packages, **computes(), "matmul": _matmul_precision()}


def _matmul_precision() -> str:
    """PyTorch's setting. Where it is not imported, which takes a second, nobody has changed its default."""
    if "torch" not in sys.modules and "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE" not in os.environ:
        return "highest"
    import torch

    return torch.get_float32_matmul_precision()


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
