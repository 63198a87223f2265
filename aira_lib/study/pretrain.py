"""What is pretrained, on what and how."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from aira_lib.device import Precision
from aira_lib.section import Distinct, Section, Seed, Some
from aira_lib.study.optimizer import OptimizerSection, RateCheckSection


class DataSection(Section):
    """The text that language models are pretrained on.

    `files` reads JSON lines, Parquet and plain text (see `aira_lib.datasets.text.files`) from `paths`; `python-stdlib`
    is the text that every Python carries, a stand-in for web text. Both are read into memory, and their tokens are
    bytes. `shards` reads text of any size that `aira data prepare` has turned into tokens.

    Each window of the training text is read once an epoch, in an order drawn by the seed of a run. `packing` says
    whether attention and state pass over the ends of documents within a window ("across", as the paper has it) or not
    ("masked"). `shards_at_once` is for disks smaller than the corpus: an epoch takes so many shards at a time, in an
    order of its own, and permutes the windows of those; of fetched shards three times as many are kept.
    """

    name: Literal["python-stdlib", "files", "shards"] = "python-stdlib"
    paths: Annotated[tuple[str, ...], Distinct] = ()
    text_field: str = "text"
    max_train_bytes: int = Field(4_000_000, ge=10_000)
    max_validation_bytes: int = Field(1_000_000, ge=1_000)
    shards: str = ""
    tokenizer: str = ""
    shards_at_once: int | None = Field(None, ge=1)
    packing: Literal["across", "masked"] = "across"

    @model_validator(mode="after")
    def _paths_for_files(self) -> "DataSection":
        if (self.name == "files") != bool(self.paths):
            raise ValueError("paths belong to name: files, and it needs at least one")
        if remote := next((path for path in self.paths if "://" in path), None):
            raise ValueError(f"paths are of files and folders here, and {remote!r} is none; copy it to this machine")
        return self

    @model_validator(mode="after")
    def _place_of_shards(self) -> "DataSection":
        if (self.name == "shards") != bool(self.shards):
            raise ValueError("shards names the folder or s3:// place of name: shards, which needs it")
        of_shards, of_text = ("tokenizer", "shards_at_once"), ("text_field", "max_train_bytes", "max_validation_bytes")
        foreign = of_text if self.shards else of_shards
        defaults = type(self).model_fields
        if given := next((key for key in foreign if getattr(self, key) != defaults[key].default), None):
            raise ValueError(f"{given} says nothing of name: {self.name}; leave it out")
        return self


class IsoTokenSection(Section):
    """Every design at one scale for the same number of tokens, once a seed."""

    scale: str
    tokens: int = Field(gt=0)
    seeds: Annotated[tuple[Seed, ...], Some, Distinct] = (0, 1)


class ReplicateSection(Section):
    """Further seeds of one scale under one budget: what differs between them is the spread that intervals rest on.

    A few such cells tell it for the whole matrix. It is taken to be the same at all sizes, budgets and designs: choose
    cells that lie apart.
    """

    scale: str
    budget: float = Field(gt=0)
    seeds: Annotated[tuple[Seed, ...], Some, Distinct]


class IsoFlopSection(Section):
    """Every design at each scale for each training budget (FLOPs, convention of the paper's Tables 10 and 11).

    With `branch` one long run of a design, scale and seed, its trunk, serves all budgets: it is the stable phase of the
    largest, and the decay of each budget branches from it. That needs the schedule wsd and an absolute warm-up: then a
    branch is, to the last bit, the run that was trained alone, and five budgets cost about three fifths. The runs of
    one seed hang together either way, since they begin alike. The sister paper trains so; this paper does not say.
    """

    scales: Annotated[tuple[str, ...], Some, Distinct]
    budgets: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Some, Distinct]
    seeds: Annotated[tuple[Seed, ...], Some, Distinct] = (0,)
    replicates: Annotated[tuple[ReplicateSection, ...], Distinct] = ()
    rounding: Literal["nearest", "floor"] = "floor"
    branch: bool = False

    def seeds_of(self, scale: str, budget: float) -> tuple[int, ...]:
        """Those of one cell, the further ones last."""
        more = [each.seeds for each in self.replicates if (each.scale, each.budget) == (scale, budget)]
        return (*self.seeds, *(seed for seeds in more for seed in seeds))

    @model_validator(mode="after")
    def _replicates_cells_of_its_own(self) -> "IsoFlopSection":
        for each in self.replicates:
            if each.scale not in self.scales or each.budget not in self.budgets:
                raise ValueError(
                    f"replicates: scale {each.scale!r} under {each.budget:g} FLOPs is not trained; name one of scales "
                    "and one of budgets"
                )
            seeds = self.seeds_of(each.scale, each.budget)
            if len(set(seeds)) < len(seeds):
                raise ValueError(
                    f"replicates: scale {each.scale!r} under {each.budget:g} FLOPs has a seed twice; they are further "
                    "seeds, beside those of isoflop.seeds"
                )
        return self


class PretrainSection(Section):
    """Which points are pretrained (finds by these extrapolation methods, and all baselines) and how.

    `trainer` names what trains them, one of `aira_lib.training.trainers.TRAINERS`: `one-device`; or, on as many ranks
    as the study's `resources` say, `ddp`, where each has the whole model, and `fsdp`, where each has its part.
    `micro_batch_tokens` bounds the tokens of one forward pass of a rank; None takes all of its step at once.
    `recompute` keeps only the inputs of layers for the backward pass: less memory, a third more time, the same result.
    `compile` has PyTorch compile the layers but Mamba-2's; on CUDA alone. `precision` is that of the matrix products,
    as in `ProxySection`; None is bf16 on CUDA and fp32 on a CPU. A run is scored in the precision in which it was
    trained. After `checkpoint_seconds` at most there is another checkpoint: what an interruption loses.
    """

    data: DataSection = DataSection()
    optimizer: OptimizerSection = OptimizerSection()
    methods: Annotated[tuple[Literal["stretch", "stack"], ...], Distinct] = ("stretch", "stack")
    trainer: str = "one-device"
    micro_batch_tokens: int | None = Field(None, ge=1)
    precision: Precision | None = None
    recompute: bool = False
    compile: bool = False
    checkpoint_seconds: float = Field(60.0, gt=0)
    isotoken: IsoTokenSection | None = None
    isoflop: IsoFlopSection | None = None
    lr_check: RateCheckSection | None = None

    @model_validator(mode="after")
    def _branches_from_a_stable_phase(self) -> "PretrainSection":
        if self.isoflop and self.isoflop.branch:
            optimizer = self.optimizer
            if optimizer.schedule != "wsd" or not 0 < optimizer.decay_fraction < 1:
                raise ValueError("isoflop.branch needs optimizer.schedule: wsd with a decay_fraction between 0 and 1")
            if not optimizer.absolute_warmup:
                raise ValueError(
                    "isoflop.branch needs an absolute warm-up, for budgets share their first steps: give "
                    "optimizer.warmup_steps or optimizer.warmup_tokens"
                )
        return self
