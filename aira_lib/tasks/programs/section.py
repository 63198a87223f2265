"""program.yaml: how the code that is submitted to a task folder is trained, asked for predictions and scored."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from aira_lib.section import Distinct, Section, Seed
from aira_lib.study import CandidateLimits
from aira_lib.study.reading import load_section
from aira_lib.tasks.airs.folder import PROGRAM
from aira_lib.tasks.programs.described import NAME

_MODULE = re.compile(r"aira_lib(\.[a-z_]\w*)+")
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_SCRIPT = re.compile(r"[A-Za-z_]\w*\.py")
Setting = bool | int | float | str


def is_module(name: str) -> bool:
    """Whether a name is one of a module of this library, which may be there or not."""
    return _MODULE.fullmatch(name) is not None


class PartLimits(Section):
    """What the parts may use. `weights_mb` bounds the weights, which are read into memory.

    Inference may not take longer than training: what a design cannot do within its training it is not to make up for
    when it predicts. `score` bounds a script of the folder.
    """

    train: CandidateLimits = CandidateLimits(seconds=3_600)
    infer: CandidateLimits = CandidateLimits(seconds=600)
    describe: CandidateLimits = CandidateLimits(seconds=600)
    score: CandidateLimits = CandidateLimits(seconds=600)
    weights_mb: int = Field(64, ge=1)

    @model_validator(mode="after")
    def _fit_each_other(self) -> "PartLimits":
        if self.infer.seconds > self.train.seconds:
            raise ValueError(
                f"infer.seconds ({self.infer.seconds:g}) is more than train.seconds ({self.train.seconds:g})"
            )
        if self.weights_mb > self.train.disk_mb:
            raise ValueError(f"weights_mb ({self.weights_mb}) is more than train.disk_mb ({self.train.disk_mb})")
        return self


class Predictions(Section):
    """What predictions.npy holds: for each row an array of `shape`, of finite numbers or of whole ones.

    `tolerance` is how far two predictions of the same row may lie apart, since sums in another order round otherwise:
    of scores of classes (`shape: [k]`) relative to the median distance between a row's largest and smallest score, and
    the best class may be another one in 2 % of rows; of other numbers relative to the standard deviation over rows.
    Whole numbers must be equal; scores of classes are the better thing to ask for. `sizes` names the settings that
    `shape` is made of, where prepare.py may say other values of them.
    """

    shape: tuple[Annotated[int, Field(ge=1, le=2**20)], ...] = Field((), max_length=4)
    sizes: tuple[str, ...] = ()
    kind: Literal["float", "int"] = "float"
    tolerance: float = Field(1e-3, ge=0)


class Probes(Section):
    """How many rows are asked again: in a second process and another order, and at the end of the first one."""

    rows: int = Field(128, ge=2)
    repeats: int = Field(16, ge=1)


def _require_script(name: str) -> str:
    if not _SCRIPT.fullmatch(name):
        raise ValueError(f"{name!r:.60} is no name of a Python file of the folder, such as train.py")
    return name


class Encode(Section):
    """How the sides of a row are encoded, before infer, where none sees another (`aira_lib.tasks.programs.encoding`).

    `script`, of the folder, finds sides of rows as `inputs.npy` and must leave `encodings.npy`: float [n, d] of at most
    `width` numbers a side. Infer finds those under the names of `files`, and nothing of what they were made of.
    """

    script: Annotated[str, AfterValidator(_require_script)]
    files: Annotated[tuple[str, ...], Distinct] = Field(min_length=2, max_length=16)
    width: int = Field(ge=1, le=2**20)


class ProgramSection(Section):
    """A program.yaml.

    `train` and `infer` are scripts of the folder, `scripts` further ones that these import, and `modules` modules or
    packages of `aira_lib` that they import; nothing else of either is seen in the sandbox. `score` is a script of the
    folder that is called as evaluate.py is, or a function of an installed package as `package.module:function`.
    `describe` is a script that tells numbers of what was submitted, such as how many parameters it has, without data;
    what has more of one than `most_described` says, or tells none, is refused before it is trained.
    With `encode` the sides of a row are encoded apart, and infer sees their encodings alone.
    `reply` says what an agent's reply is: the one exported `file`, or a `program` that writes the exported files.
    `measure`, a function of an installed package, is in the place of `score` where predictions are too large for one
    file or are asked for in a way of their own: it is handed the way to ask (see `aira_lib.asking`).
    `baseline` is what agents start from, the exported file as it stands: a script of the folder, or a module of
    `aira_lib` that several folders share, whose text it is.
    `labels` is the file of a split that infer does not see. With `train_sees_validation` a training whose validation is
    measured sees validation rows with their labels, for stopping early and the like: validation then flatters.
    `test` says when the final test, a new training on train and validation, is run: for each program that becomes
    the best, or for every one. `seed` and `settings` are told to the scripts; a setting that prepare.py names in
    about.json has the value that stands there, and a study may give those named under `vary` another one; `choices` are
    all values that one may have. With `literature` prompts tell of the papers that come with AIRA and of a study's own,
    and submitted code sees them as `./pwc`. `hides` names installed packages that submitted code does not see, since
    labels are made of what they hold; `nltk_*` are all whose names begin so. `ahead` names modules, installed or of
    `modules`, that infer imports in any case: a process may import them while another one still runs, before it has
    what it is asked.
    """

    version: Literal[1]
    train: str
    infer: str
    score: str | None = None
    measure: str | None = None
    baseline: str | None = None
    scripts: Annotated[tuple[str, ...], Distinct] = ()
    modules: Annotated[tuple[str, ...], Distinct] = ()
    encode: Encode | None = None
    reply: Literal["file", "program"] = "file"
    describe: str | None = None
    most_described: dict[str, float] = {}
    labels: str = "labels.npy"
    train_sees_validation: bool = False
    test: Literal["best", "every"] = "best"
    seed: Seed = 0
    settings: dict[str, Setting] = {}
    vary: Annotated[tuple[str, ...], Distinct] = ()
    choices: dict[str, Annotated[tuple[Setting, ...], Distinct, Field(min_length=1)]] = {}
    literature: bool = False
    hides: Annotated[tuple[str, ...], Distinct] = ()
    ahead: Annotated[tuple[str, ...], Distinct] = ()
    predictions: Predictions = Predictions()
    limits: PartLimits = PartLimits()
    probes: Probes = Probes()

    def with_data(self, about: Mapping[str, Setting]) -> "ProgramSection":
        """The same for the data that are there: settings that about.json names take its values."""
        settings = {name: about.get(name, value) for name, value in self.settings.items()}
        sizes = tuple(int(settings[name]) for name in self.predictions.sizes)
        predictions = self.predictions.model_copy(update={"shape": sizes or self.predictions.shape})
        return self.model_copy(update={"settings": settings, "predictions": predictions})

    @model_validator(mode="after")
    def _varied_are_settings(self) -> "ProgramSection":
        for name in self.vary:
            if name not in self.settings or name in self.predictions.sizes:
                raise ValueError(f"vary: {name!r:.60} is no setting, or one of predictions.sizes, which data determine")
        return self

    @model_validator(mode="after")
    def _choices_are_of_settings(self) -> "ProgramSection":
        for name in self.choices:
            if name not in self.settings:
                raise ValueError(f"choices: {name!r:.60} is no setting")
            if wrong := self.not_to_choose(name, self.settings[name]):
                raise ValueError(f"settings.{name}: {wrong}")
        return self

    def not_to_choose(self, name: str, value: Setting) -> str:
        """Why a setting may not have a value, in words; empty where it may."""
        allowed = self.choices.get(name, (value,))
        told = ", ".join(map(str, allowed))
        return "" if value in allowed else f"{value!r:.60} is none of its choices: {told}"

    @model_validator(mode="after")
    def _sizes_are_settings(self) -> "ProgramSection":
        sizes = self.predictions.sizes
        if sizes and tuple(map(self.settings.get, sizes)) != self.predictions.shape:
            raise ValueError(
                f"predictions.sizes: {', '.join(sizes)}: no settings whose values are {list(self.predictions.shape)}"
            )
        return self

    @property
    def limits_of_training(self) -> CandidateLimits:
        """Where the setting `clock` is cpu, a training is one process: time of others could be kept from the count."""
        limits = self.limits.train
        return limits.model_copy(update={"processes": 1}) if self.settings.get("clock") == "cpu" else limits

    @property
    def scored_by(self) -> str:
        """What compares predictions with labels: `score` or `measure`, of which there is one."""
        return self.score or self.measure or ""

    @model_validator(mode="after")
    def _scores_in_one_way(self) -> "ProgramSection":
        if (self.score is None) == (self.measure is None):
            raise ValueError("say either score or measure: what compares predictions with labels")
        if self.encode and self.measure:
            raise ValueError("encode: what is encoded apart is scored by score; measure asks in a way of its own")
        if self.baseline is not None and self.reply != "file":
            raise ValueError("baseline: a program that agents start from is the one exported file (reply: file)")
        return self

    @model_validator(mode="after")
    def _bounds_what_is_told(self) -> "ProgramSection":
        if self.most_described and self.describe is None:
            raise ValueError("most_described: there is no describe script that tells numbers")
        for name in self.most_described:
            if not NAME.fullmatch(name):
                raise ValueError(f"most_described: {name!r:.60} is no name of lower-case letters, digits and _")
        return self

    @field_validator("train", "infer", "describe", "scripts")
    @classmethod
    def _are_scripts(cls, value: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        for name in (value,) if isinstance(value, str) else value or ():
            _require_script(name)
        return value

    @field_validator("baseline")
    @classmethod
    def _is_a_program(cls, value: str | None) -> str | None:
        if value is not None and not _SCRIPT.fullmatch(value) and not is_module(value):
            raise ValueError(f"{value!r:.60} is neither a Python file of the folder nor a module of aira_lib")
        return value

    @field_validator("measure")
    @classmethod
    def _measures(cls, value: str | None) -> str | None:
        if value is not None and not _FUNCTION.fullmatch(value):
            raise ValueError(f"{value!r:.60} is no function of an installed package, package.module:f")
        return value

    @field_validator("score")
    @classmethod
    def _scores(cls, value: str | None) -> str | None:
        if value is not None and not _SCRIPT.fullmatch(value) and not _FUNCTION.fullmatch(value):
            raise ValueError(f"{value!r:.60} is neither a Python file of the folder nor a function, package.module:f")
        return value

    @field_validator("modules")
    @classmethod
    def _are_modules(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not is_module(name):
                raise ValueError(f"{name!r:.60} is no module of aira_lib, such as aira_lib.tensors")
        return value

    @field_validator("hides")
    @classmethod
    def _are_packages(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not name.removesuffix("*").isidentifier():
                raise ValueError(
                    f"{name!r:.60} is no name of a package as it is imported, such as nltk_data, or the beginning of "
                    "several with a * behind it"
                )
        return value

    @field_validator("ahead")
    @classmethod
    def _can_be_imported(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not all(part.isidentifier() for part in name.split(".")):
                raise ValueError(f"{name!r:.60} is no name of a module, such as torch")
        return value

    @field_validator("labels")
    @classmethod
    def _is_array(cls, value: str) -> str:
        if not re.fullmatch(r"\w+\.npy", value):
            raise ValueError(f"{value!r:.60} is no name of an .npy file")
        return value


def load_program(folder: Path) -> ProgramSection:
    """Read a folder's program.yaml.

    Raises:
        UserError: it cannot be read, or is wrong; one line.
    """
    return load_section(folder / PROGRAM, ProgramSection, PROGRAM, "docs/task-folders.md")
