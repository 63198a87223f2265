"""What is searched."""

import math
import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.errors import nearest
from aira_lib.naming import distribution_name
from aira_lib.section import Section, require_distinct

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_PACKAGE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
DEFAULT_TASK = "NeuralArchitectureSearchMAD3PrimitivesMbAccuracy"


class TaskSection(Section):
    """What is searched: a Compose task by name and the number of layers of a design (paper: 16), or a task folder.

    `folder` is the path of an AIRS-Bench task folder; `layers` then has no meaning, and `name` is the folder's.
    `validation` is where the fitness that steers such a search comes from: `held-out` rows of the train split, of which
    agents do not see the labels; or each candidate's own, `self-reported` measurement; `auto` holds out where the
    folder's data and scorer allow it. `validation_fraction` is the share of the train split held out. `folders` are
    further ones that its candidates see, read-only, by the names under which they find them, such as pretrained models
    and packages: `{pretrained: /models/small}` is `./pretrained`. `packages` are further ones of AIRA's environment
    that prompts tell candidates of, by the names under which they are installed, such as [einops, scikit-image].
    `literature` is a folder of one's own summaries and reference code, for tasks that have literature
    (docs/autoresearch.md). `settings` are other values of those settings that a folder of submitted programs lets a
    study vary, such as {budget_seconds: 15}.
    """

    name: str = DEFAULT_TASK
    layers: int = Field(16, ge=1, le=64)
    folder: str | None = Field(None, min_length=1)
    validation: Literal["auto", "held-out", "self-reported"] = "auto"
    validation_fraction: float = Field(0.2, gt=0, lt=1)
    folders: dict[str, str] = Field({})
    packages: tuple[str, ...] = ()
    literature: str | None = Field(None, min_length=1)
    settings: dict[str, bool | int | float | str] = Field({})
    primitives: tuple[str, ...] | None = Field(None)
    """The kinds of layer that a design may use, at least two, such as [A, W, M, Mb]; None: the task's own."""

    @field_validator("settings", mode="before")
    @classmethod
    def _settings_are_plain(cls, settings: Any) -> Any:
        for name, value in settings.items() if isinstance(settings, dict) else ():
            plain = isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))
            if not plain:
                raise ValueError(f"{name!r:.60}: {value!r:.60} is neither a finite number nor text, true or false")
        return settings

    @model_validator(mode="after")
    def _name_or_folder(self) -> "TaskSection":
        if self.folder is not None:
            name = self.folder.rstrip("/").rpartition("/")[2]
            if self.name not in (name, DEFAULT_TASK):
                raise ValueError(f"a task has a name ({self.name!r}) or a folder ({self.folder!r}), not both")
            object.__setattr__(self, "name", name)
        return self

    @model_validator(mode="after")
    def _folders_have_names(self) -> "TaskSection":
        if self.folders and self.folder is None:
            raise ValueError("folders are for the candidates of a task folder; the task names none")
        for name, path in self.folders.items():
            if not _NAME.fullmatch(name) or name == "data":
                raise ValueError(f"folders: {name!r} is no name for one; take letters, digits, - and _, and not 'data'")
            if not path:
                raise ValueError(f"folders: {name!r} has no path")
        return self

    @model_validator(mode="after")
    def _settings_are_of_programs(self) -> "TaskSection":
        if self.settings and self.folder is None and self.name == DEFAULT_TASK:
            raise ValueError("settings are for a folder of submitted programs; the task names none")
        return self

    @field_validator("packages")
    @classmethod
    def _names_of_packages(cls, packages: tuple[str, ...]) -> tuple[str, ...]:
        for name in packages:
            if not _PACKAGE.fullmatch(name):
                raise ValueError(f"{name!r:.60} is no name of a package; it has letters, digits, -, _ and . alone")
        require_distinct([distribution_name(name) for name in packages], "names of packages")
        return packages

    @model_validator(mode="after")
    def _primitives_are_known(self) -> "TaskSection":
        if self.primitives is None:
            return self
        if self.folder is not None:
            raise ValueError("the candidates of a task folder are programs, which have no primitives")
        for symbol in self.primitives:
            if symbol not in PRIMITIVES:
                raise ValueError(f"unknown primitive {symbol!r}{nearest(symbol, PRIMITIVES)}")
        if len(set(self.primitives)) != len(self.primitives) or len(self.primitives) < 2:
            raise ValueError(f"primitives must be distinct and at least two, got {list(self.primitives)}")
        return self
