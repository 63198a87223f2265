"""What a submitted model.py offers, and how the harness calls it. It runs submitted code: only where that may run.

Text and ListOps: `class CustomEncoder(nn.Module)` with `__call__(inputs: int32[B, L], *, train: bool) -> [B, classes]`.
Retrieval: `class CustomDualEncoder(nn.Module)` with `encode(inputs: int32[B, L], *, train) -> [B, d]` and
`classify(encoded1, encoded2, *, train) -> [B, classes]`. The harness calls the two apart and never both in one, so that
no encoding can depend on the other document (LRA's rule: no cross-attention); d is bounded, or an encoding could be the
document. Id 0 is padding. Fields that a class declares are set, of those in `OFFERED`; the first three it must declare.
"""

import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import flax.linen as nn

from aira_lib.errors import nearest
from aira_lib.foreign import in_a_line
from aira_lib.lra.configuration import Configuration
from aira_lib.lra.refused import OutOfMemory, Refused, reason_of

REQUIRED = ("vocab_size", "num_classes", "max_len")
_CONFIGURED = ("emb_dim", "num_heads", "num_layers", "qkv_dim", "mlp_dim")
OFFERED = (*REQUIRED, *_CONFIGURED, "dropout_rate", "attention_dropout_rate", "classifier", "classifier_pool")
LARGEST_ENCODING = 4
"""Times `emb_dim` that an encoding of a document may have."""


@dataclass(frozen=True)
class Problem:
    """What a model is for.

    Attributes:
        vocab_size: ids, padding among them.
        num_classes: classes.
        dual: whether a row is a pair of documents.
    """

    vocab_size: int
    num_classes: int
    dual: bool = False

    @property
    def class_name(self) -> str:
        """What the submitted class is called."""
        return "CustomDualEncoder" if self.dual else "CustomEncoder"


@dataclass(frozen=True)
class Submission:
    """A submitted class of a file."""

    path: Path
    cls: type[nn.Module]
    problem: Problem

    def module(
        self, configuration: Configuration, *, dropout_rate: float = 0.1, attention_dropout_rate: float = 0.1
    ) -> nn.Module:
        """The model of a configuration, with those fields set that it declares.

        Raises:
            Refused: it cannot be made.
        """
        offered = {
            "vocab_size": self.problem.vocab_size,
            "num_classes": self.problem.num_classes,
            "max_len": configuration.max_length,
            **{name: getattr(configuration, name) for name in _CONFIGURED},
            "dropout_rate": dropout_rate,
            "attention_dropout_rate": attention_dropout_rate,
            "classifier": True,
            "classifier_pool": "CLS",
        }
        declared = {field.name for field in fields(self.cls)}
        with told_of(self.path):
            return self.cls(**{name: value for name, value in offered.items() if name in declared})


def submission_of(path: Path, problem: Problem) -> Submission:
    """The class of a submitted file, whose fields are as they must be. The file is run.

    Raises:
        Refused: the file cannot be run, has no such class, or the class lacks a field or wants one that is unknown.
    """
    path = path.resolve()
    cls = getattr(_imported(path), problem.class_name, None)
    if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
        raise Refused(f"{path.name}: there is no `class {problem.class_name}(nn.Module)` of flax.linen in it")
    _check_fields(path, cls)
    for method in ("encode", "classify") if problem.dual else ("__call__",):
        if not callable(getattr(cls, method, None)):
            raise Refused(f"{path.name}: {problem.class_name} has no method `{method}`")
    return Submission(path, cls, problem)


def _imported(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise Refused(f"{path.name}: there is no such Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses, which modules of linen are, look their module up
    with told_of(path):
        spec.loader.exec_module(module)
    return module


def _check_fields(path: Path, cls: type[nn.Module]) -> None:
    declared = {field.name: field for field in fields(cls) if field.name not in ("parent", "name")}
    missing = [name for name in REQUIRED if name not in declared]
    if missing:
        raise Refused(f"{path.name}: {cls.__name__} declares no field {missing[0]!r}; add `{missing[0]}: int`")
    for name, field in declared.items():
        if name not in OFFERED and field.default is MISSING and field.default_factory is MISSING:
            raise Refused(
                f"{path.name}: {cls.__name__} has a field {name!r} without a default, which the harness does not set"
                f"{nearest(name, OFFERED)}"
            )


@contextmanager
def told_of(path: Path) -> Iterator[None]:
    """Within, whatever a submission's code raises is one line that names the line of its file.

    Raises:
        OutOfMemory: memory ran out.
        Refused: anything else went wrong.
    """
    try:
        yield
    except Refused:
        raise
    except SystemExit as error:
        raise Refused(f"{path.name}: it ends the process ({error.code}); a model file defines classes alone") from None
    except MemoryError as error:
        raise OutOfMemory("out of memory") from error
    except Exception as error:
        if re.search("RESOURCE_EXHAUSTED|Out of memory", str(error)):
            raise OutOfMemory(f"out of memory: {in_a_line(str(error), 200)}") from error
        raise Refused(reason_of(error, path)) from error
