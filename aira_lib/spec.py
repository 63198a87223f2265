"""The study: one strict, frozen description of everything that determines a result.

Unknown keys are refused with the nearest valid name, and equal entries of a list by name. The canonical JSON of a
study has a digest; every record carries the digest of what made it. Where a study runs, how many processes it may use
and where its results are kept do not change the results, so they are not part of it (see `aira_lib.launch`).
"""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field, field_validator, model_validator

from aira_lib.agent_spec import AgentSection as AgentSection
from aira_lib.agent_spec import CandidateLimits as CandidateLimits
from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.architecture.scales import SCALE_NAMES, Distinct, Scale, Section, require_distinct
from aira_lib.device import Precision
from aira_lib.errors import nearest
from aira_lib.language_spec import DatasetName as DatasetName
from aira_lib.language_spec import LanguageData as LanguageData
from aira_lib.language_spec import LanguageName as LanguageName
from aira_lib.naming import alike

MADTaskName = Literal[
    "in-context-recall",
    "noisy-in-context-recall",
    "fuzzy-in-context-recall",
    "selective-copying",
    "compression",
    "memorization",
]
MAD_TASKS: tuple[MADTaskName, ...] = get_args(MADTaskName)
DEFAULT_TASK = "NeuralArchitectureSearchMAD3PrimitivesMbAccuracy"


class TaskSection(Section):
    """What is searched: a Compose task by name and the number of layers of a design (paper: 16), or a task folder.

    `folder` is the path of an AIRS-Bench task folder; `layers` then has no meaning, and `name` is the folder's.
    `validation` is where the fitness that steers such a search comes from: `held-out` rows of the train split, of which
    agents do not see the labels; or each candidate's own, `self-reported` measurement; `auto` holds out where the
    folder's data and scorer allow it. `validation_fraction` is the share of the train split held out.
    """

    name: str = DEFAULT_TASK
    layers: int = Field(16, ge=1, le=64)
    folder: str | None = Field(None, min_length=1)
    validation: Literal["auto", "held-out", "self-reported"] = "auto"
    validation_fraction: float = Field(0.2, gt=0, lt=1)
    primitives: tuple[str, ...] | None = Field(None)
    """The kinds of layer that a design may use, at least two, such as [A, W, M, Mb]; None: the task's own."""

    @model_validator(mode="after")
    def _name_or_folder(self) -> "TaskSection":
        if self.folder is not None:
            name = self.folder.rstrip("/").rpartition("/")[2]
            if self.name not in (name, DEFAULT_TASK):
                raise ValueError(f"a task has a name ({self.name!r}) or a folder ({self.folder!r}), not both")
            object.__setattr__(self, "name", name)
        return self

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


class MADSettings(Section):
    """Difficulty of the MAD tasks. None keeps the task's own baseline value (mad-lab; the paper states none)."""

    vocab_size: int | None = Field(None, ge=4)
    seq_len: int | None = Field(None, ge=8)
    n_tokens_to_copy: int | None = Field(None, ge=1)


class StoppingSection(Section):
    """When a design is trained no further than to a rung, because designs before it were better there.

    Rungs are after `epochs` / `eta`^k epochs, k from `rungs` down to 1; validation is scored there whatever the rule.
    `successive-halving`: a design goes on while it is among the best 1/`eta` (rounded up) of all that reached the rung
    before it in the same search (ASHA's stopping, Li et al. 2020). `learning-curve`: while it is no more than `margin`
    worse than the best whole-trained design before it was at that rung. The paper stops nothing early.
    """

    rule: Literal["none", "successive-halving", "learning-curve"] = "none"
    eta: int = Field(3, ge=2)
    rungs: int = Field(3, ge=0, le=8)
    margin: float = Field(0.05, ge=0)
    bars: tuple[float | None, ...] = ()
    """What validation must reach at each rung; a search sets them, and by hand they hold for every design."""


class ProxySection(Section):
    """How a design is scored at small scale: the model's dimensions, the data and the training.

    Defaults are the `paper` profile. The paper gives 800 training and 1,280 test samples, 16 layers, a ReLU MLP and
    a 70:30 split; width, heads, state, learning rate, batch and epochs are mad-lab's (the paper does not state them).

    `dataset` None is that of the study's task. On MAD, `tasks`, `difficulty`, `train_examples` and `test_examples` say
    what is learned; on BabiStories and DCLM `language` does, and fitness is a loss in nats per token. A `seed` of the
    data that is not public, such as a random number of 18 digits, keeps a test split from being drawn again.
    """

    dataset: DatasetName | None = None
    language: LanguageData = LanguageData()
    tasks: Annotated[tuple[MADTaskName, ...], Distinct] = MAD_TASKS
    difficulty: dict[MADTaskName, MADSettings] = {}
    d_model: int = Field(128, ge=8)
    n_heads: int = Field(16, ge=1)
    d_ff: int = Field(512, ge=8)
    d_state: int = Field(128, ge=1)
    d_conv: int = Field(4, ge=1)
    expand: int = Field(2, ge=1)
    ssm_head_dim: int = Field(32, ge=1)
    n_groups: int = Field(1, ge=1)
    window: int | None = Field(None, ge=1)
    """Positions that window attention sees, itself included; None: a quarter of each data set's length."""
    full_width_layers: int | None = Field(None, ge=1)
    """Composer's width scaling: designs with more layers than this are narrower, so that all have about as many
    parameters (of Mamba-2 up to 1.4 times as many). Its source says that the width of primitives shrinks with depth,
    and no rule: see `at_depth`."""
    train_examples: int = Field(800, ge=4)
    test_examples: int = Field(1280, ge=1)
    validation_fraction: float = Field(0.3, gt=0, lt=1)
    batch_size: int = Field(128, ge=1)
    epochs: int = Field(200, ge=1)
    learning_rate: float = Field(5e-4, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    rank_by_accuracy: Literal["token", "macro"] = "token"
    """Which accuracy on MAD is the fitness; the paper does not say. mad-lab's own is macro, the mean over classes."""
    stopping: StoppingSection = StoppingSection()
    precision: Precision = "bf16"
    """Of the matrix products, as PyTorch's autocast rounds them; weights and sums stay fp32. mad-lab trains in bf16; a
    CPU without bf16 arithmetic is faster, and widths below 100 no slower, in fp32."""
    retrain_for_test: bool = True
    seed: int = Field(12345, ge=0, lt=2**63)

    @model_validator(mode="after")
    def _dimensions_divide(self) -> "ProxySection":
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model {self.d_model} is not a multiple of n_heads {self.n_heads}")
        if (self.expand * self.d_model) % self.ssm_head_dim:
            raise ValueError(
                f"expand x d_model {self.expand * self.d_model} is not a multiple of ssm_head_dim {self.ssm_head_dim}"
            )
        return self

    @field_validator("stopping", mode="before")
    @classmethod
    def _rule_alone(cls, value: Any) -> Any:
        return {"rule": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _a_bar_a_rung(self) -> "ProxySection":
        if self.stopping.bars and len(self.stopping.bars) != len(self.rungs):
            raise ValueError(f"stopping.bars needs one for each rung, after {list(self.rungs)} epochs")
        return self

    @property
    def rungs(self) -> tuple[int, ...]:
        """The epochs after which validation is scored early, without the last one."""
        ends = {max(1, round(self.epochs / self.stopping.eta**k)) for k in range(1, self.stopping.rungs + 1)}
        return tuple(sorted(ends - {self.epochs}))

    @property
    def text(self) -> LanguageName | None:
        """The text that a language-model proxy learns; None on MAD."""
        return None if self.dataset is None or self.dataset == "mad" else self.dataset

    def at_depth(self, n_layers: int) -> "ProxySection":
        """The section with the dimensions that a design of so many layers has, and no `full_width_layers`.

        d_model and d_ff shrink with the square root of the depth, as matrices have the square of a width. The widths of
        heads stay and their numbers shrink; d_model is rounded to what both kinds of heads divide.
        """
        if self.full_width_layers is None:
            return self
        share = min(1.0, (self.full_width_layers / n_layers) ** 0.5)
        head_dim, ssm_step = self.d_model // self.n_heads, self.ssm_head_dim // math.gcd(self.expand, self.ssm_head_dim)
        step = math.lcm(head_dim, ssm_step)
        width = max(1, round(share * self.d_model / step)) * step if share < 1 else self.d_model
        sizes = {
            "d_model": width, "n_heads": width // head_dim, "d_ff": max(8, round(self.d_ff * width / self.d_model)),
        }  # fmt: skip
        return self.model_copy(update={**sizes, "full_width_layers": None})

    def scale(self) -> Scale:
        """The proxy model's dimensions as a `Scale` (its vocabulary and length are each task's own)."""
        d_ssm = self.expand * self.d_model
        return Scale(
            name="proxy", d_model=self.d_model, n_heads=self.n_heads, n_kv_heads=self.n_heads,
            head_dim=self.d_model // self.n_heads, d_ff=self.d_ff, mlp="relu", d_ssm=d_ssm, d_state=self.d_state,
            ssm_head_dim=self.ssm_head_dim, n_groups=self.n_groups, d_conv=self.d_conv, seq_len=128, vocab_size=16,
            window=self.window, tie_embeddings=False, tokens_per_step=self.batch_size * 128,
            source="the study's proxy section",
        )  # fmt: skip


class AggregateSection(Section):
    """One way to turn the archive into a 16-layer base pattern. Members are chosen in each data set on its own.

    Methods: `cluster-vote` (Composer's N_c: the top cluster of k-means on the score; paper: 3 clusters), `top-k` (the
    fittest k, weight halved every `half_life` ranks; AIRAformer-A: 20), `top-k-uniform` (the fittest k with one vote
    each; AIRAformer-B: 400) and `bayes` (the top cluster's votes as evidence, with an interval for each layer).
    """

    name: str
    method: Literal["cluster-vote", "top-k", "top-k-uniform", "bayes"] = "cluster-vote"
    clusters: int = Field(3, ge=1)
    context: int | Literal["all"] = 0
    top_k: int = Field(20, ge=1)
    half_life: float | None = Field(None, gt=0)
    """In ranks, of `top-k`; None: a quarter of `top_k`. The paper states a "strong" decay and no rate."""
    prior: float = Field(1.0, gt=0)
    """Of `bayes`: votes that every primitive has before any are counted; 1 is uniform over all shares."""
    credibility: float = Field(0.95, gt=0, lt=1)
    rank_by: Literal["validation", "test"] = "validation"
    datasets: Annotated[tuple[str, ...], Distinct] = ()
    """Only designs evaluated on these; empty: all of the archive. Each data set has the same weight."""
    agents: Annotated[tuple[str, ...], Distinct] = ()
    """Only designs that one of these found, by agent name (all its seeds); empty: any."""
    resamples: int = Field(200, ge=0)
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _sensible(self) -> "AggregateSection":
        if isinstance(self.context, int) and self.context < 0:
            raise ValueError(f"context {self.context} is negative; it counts previous layers, or is 'all'")
        if self.method == "bayes" and self.context != 0:
            raise ValueError(f"method bayes votes on every layer alone: context must be 0, got {self.context}")
        return self


class ExtrapolateSection(Section):
    """Which base patterns and reference designs are scaled, how, and to which described (not trained) scales."""

    methods: Annotated[tuple[Literal["stretch", "stack"], ...], Distinct] = ("stretch", "stack")
    scales: Annotated[tuple[str, ...], Distinct] = ("350M", "1B", "3B")
    baselines: Annotated[tuple[str, ...], Distinct] = ("Llama 3.2", "Nemotron-H")


class DataSection(Section):
    """The text that language models are pretrained on; its tokens are bytes.

    `files` reads JSON lines, Parquet and plain text (see `aira_lib.datasets.text.files`) from `paths`; `python-stdlib`
    is the text that every Python carries, a stand-in for web text.
    """

    name: Literal["python-stdlib", "files"] = "python-stdlib"
    paths: tuple[str, ...] = ()
    text_field: str = "text"
    max_train_bytes: int = Field(4_000_000, ge=10_000)
    max_validation_bytes: int = Field(200_000, ge=1_000)

    @model_validator(mode="after")
    def _paths_for_files(self) -> "DataSection":
        if (self.name == "files") != bool(self.paths):
            raise ValueError("paths belong to name: files, and it needs at least one")
        return self


class OptimizerSection(Section):
    """AdamW with a warm-up, stable, decay schedule. The paper states none of it; defaults: facts of a sister paper.

    `learning_rate` is the peak at `reference_width`; a model of another width uses lr * reference_width / d_model.
    """

    learning_rate: float = Field(3e-3, gt=0)
    reference_width: int = Field(64, ge=1)
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = Field(0.1, ge=0)
    clip: float = Field(1.0, gt=0)
    warmup_fraction: float = Field(0.1, ge=0, le=1)
    decay_fraction: float = Field(0.2, ge=0, le=1)


class IsoTokenSection(Section):
    """Every design at one scale for the same number of tokens, once a seed."""

    scale: str
    tokens: int = Field(gt=0)
    seeds: Annotated[tuple[int, ...], Distinct] = (0, 1)


class IsoFlopSection(Section):
    """Every design at each scale for each training budget (FLOPs, convention of the paper's Tables 10 and 11)."""

    scales: Annotated[tuple[str, ...], Distinct]
    budgets: Annotated[tuple[float, ...], Distinct]
    seeds: Annotated[tuple[int, ...], Distinct] = (0,)
    rounding: Literal["nearest", "floor"] = "floor"


class PretrainSection(Section):
    """Which points are pretrained (finds by these extrapolation methods, and all baselines) and how.

    `trainer` names what trains them, one of `aira_lib.training.trainers.TRAINERS`. `micro_batch_tokens` bounds the
    tokens of one forward pass; None takes a whole step at once. `precision` is that of the matrix products, as in
    `ProxySection`; None is bf16 on CUDA and fp32 on a CPU. A run is scored in the precision in which it was trained.
    """

    data: DataSection = DataSection()
    optimizer: OptimizerSection = OptimizerSection()
    methods: Annotated[tuple[Literal["stretch", "stack"], ...], Distinct] = ("stretch", "stack")
    trainer: str = "one-device"
    micro_batch_tokens: int | None = Field(None, ge=1)
    precision: Precision | None = None
    checkpoint_seconds: float = Field(60.0, gt=0)
    isotoken: IsoTokenSection | None = None
    isoflop: IsoFlopSection | None = None


class EvaluateSection(Section):
    """What is measured on a final checkpoint: held-out loss (paper: 1,000 samples of the validation set)."""

    samples: int = Field(1000, ge=1)
    batch_size: int = Field(16, ge=1)


class Study(Section):
    """A whole study. Its digest changes when, and only when, something that determines results changes."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    description: str = ""
    task: TaskSection = TaskSection()
    proxy: ProxySection = ProxySection()
    agents: tuple[AgentSection, ...]
    aggregate: tuple[AggregateSection, ...] = ()
    scales: dict[str, Scale] = {}
    extrapolate: ExtrapolateSection = ExtrapolateSection()
    pretrain: PretrainSection = PretrainSection()
    evaluate: EvaluateSection = EvaluateSection()

    @field_validator("scales", mode="before")
    @classmethod
    def _name_scales(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {k: {"name": k, **v} if isinstance(v, Mapping) else v for k, v in value.items()}
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        for field, names in (
            ("agents", [a.name for a in self.agents]),
            ("aggregate", [a.name for a in self.aggregate]),
        ):
            # Which tasks have designs to aggregate is for their family to say (see `aira_lib.plan`).
            if not names and field != "aggregate":
                raise ValueError(f"{field}: at least one is needed")
            require_distinct(names, f"{field}: names")
            if two := alike(names):
                raise ValueError(f"{field}: {two[0]!r} and {two[1]!r} differ in signs only; their files would be one")
        known = {*SCALE_NAMES, *self.scales}
        if two := alike(known):
            raise ValueError(f"scales: {two[0]!r} and {two[1]!r} differ in signs only; their files would be one")
        for place, name in self._scale_names():
            if name not in known:
                raise ValueError(f"{place}: unknown scale {name!r}{nearest(name, known)}")
        agents = [agent.name for agent in self.agents]
        for section in self.aggregate:
            for name in section.agents:
                if name not in agents:
                    raise ValueError(f"aggregate {section.name!r}: unknown agent {name!r}{nearest(name, agents)}")
        return self

    def _scale_names(self) -> list[tuple[str, str]]:
        names = [("extrapolate.scales", s) for s in self.extrapolate.scales]
        if self.pretrain.isotoken:
            names.append(("pretrain.isotoken.scale", self.pretrain.isotoken.scale))
        if self.pretrain.isoflop:
            names += [("pretrain.isoflop.scales", s) for s in self.pretrain.isoflop.scales]
        return names

    def trainable_scales(self) -> tuple[str, ...]:
        """Names of the scales that are pretrained, in the order of the spec, each once."""
        isotoken = (self.pretrain.isotoken.scale,) if self.pretrain.isotoken else ()
        isoflop = self.pretrain.isoflop.scales if self.pretrain.isoflop else ()
        return tuple(dict.fromkeys((*isoflop, *isotoken)))


def canonical_json(value: Any) -> str:
    """One JSON text a value: sorted keys, no spaces; sections by what differs from their defaults.

    Read again by the same version of AIRA, a section's text is the same section; and a setting that a later version
    adds with a default leaves the text, and its digest, as they are.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=changed)


def changed(section: BaseModel, **chosen: Any) -> dict[str, Any]:
    """The fields of a section that differ from their defaults, as plain data; `chosen` is as of `model_dump`."""
    return section.model_dump(mode="json", exclude_defaults=True, **chosen)


def digest(value: Any) -> str:
    """SHA-256 (hex) of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
