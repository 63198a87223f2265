"""What determines an evaluation: design, data, settings, seed, the evaluator's code, and what computes.

In the key are the versions of the packages that compute (another PyTorch or NumPy may round or draw differently, and
without numba other kernels train) and whether a CPU or a GPU does: their scores differ, and a search that takes a score
from the store shall end as one that trained it. Not in it, but in every entry, are the model of the processor and the
number of threads: they change rounding at most, and machines that differ in them shall share their work.
"""

from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from aira_lib.architecture.pattern import Layers
from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.evaluations.code import code_digest
from aira_lib.spec import ProxySection, digest

PACKAGES = ("torch", "numpy", "numba")
_OF_DATA = {"dataset", "language", "tasks", "difficulty", "seed"}
_OF_MAD = {"train_examples", "test_examples", "rank_by_accuracy"}


@dataclass(frozen=True)
class EvaluationKey:
    """See the module. `settings` is plain data; `platform` names the versions of packages and the kind of device."""

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
    """The key of a design's evaluation by this process. A text is read for it, once a process.

    Versions of its primitives' code that are not the first are in it. A rule that stops training, and its bars, are
    not: what was trained to an epoch is the same whoever stopped it there. `stopped_at` is that epoch; None: a whole
    training.

    Raises:
        UserError: a difficulty that a task cannot meet, or a text that cannot be read.
    """
    settings = settings_of(section)
    if versions := PRIMITIVES.versions(layers):
        settings = {**settings, "primitive_versions": versions}
    if stopped_at is not None:
        settings = {**settings, "stopped_at": stopped_at}
    return EvaluationKey(layers, section.text or "mad", settings, seed, code_digest(), platform())


def settings_of(section: ProxySection) -> dict[str, Any]:
    """What of a section determines a score: dimensions, training, and the data that its fields lead to.

    Fields that are None are left out, so that a new one with that default changes no key.
    """
    # By JSON, not by hash: two sections may be equal that differ in how they print, such as 1 and 1.0.
    return _settings(section.model_dump_json())


@cache
def _settings(text: str) -> dict[str, Any]:
    from aira_lib.proxy.cost import scored_scales, task_settings

    section = ProxySection.model_validate_json(text)
    unread = {"stopping"} | _OF_DATA | (_OF_MAD if section.text else set())
    plain = section.model_dump(mode="json", exclude=unread, exclude_none=True)
    scales = {name: scale.model_dump(mode="json", exclude_none=True) for name, scale in scored_scales(section).items()}
    if section.text:
        from aira_lib.proxy.language import text_data

        text_is = text_data(section, section.text)
        data: Any = {**_tokens(text_is.provenance), "vocab_size": text_is.vocab_size}
    else:
        data = [[name, {"seed": section.seed, **asdict(task_settings(section, name))}] for name in section.tasks]
    models = [[name, _dimensions(scale)] for name, scale in scales.items()]
    return {"data": data, "models": models, "training": plain, "rungs": list(section.rungs)}


def _tokens(provenance: dict[str, Any]) -> dict[str, Any]:
    """Where a text lies and what it is called does not matter, its tokens do."""
    return {name: value for name, value in provenance.items() if name.endswith("sha256")}


def _dimensions(scale: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in scale.items() if name not in ("name", "source", "tokens_per_step")}


@cache
def platform() -> dict[str, str]:
    """Versions of the packages that compute, the kind of device, and how it multiplies."""
    import torch

    return {
        **{name: _version(name) for name in PACKAGES},
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "matmul": torch.get_float32_matmul_precision(),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
