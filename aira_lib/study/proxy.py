"""How a design is scored at small scale."""

import math
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from aira_lib.architecture.scales import Scale
from aira_lib.device import Precision
from aira_lib.section import Distinct, Section, Seed, Some
from aira_lib.study.language import DatasetName, LanguageData, LanguageName

MADTaskName = Literal[
    "in-context-recall",
    "noisy-in-context-recall",
    "fuzzy-in-context-recall",
    "selective-copying",
    "compression",
    "memorization",
]


MAD_TASKS: tuple[MADTaskName, ...] = get_args(MADTaskName)


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
    a 70:30 split. Width, heads, the MLP's width, learning rate, batch and epochs are mad-lab's (the paper does not
    state them). The state of 128, the convolution of 4 and the expansion of 2 are Mamba-2's own defaults (mad-lab has
    Mamba-1, with a state of 4); its heads are 32 wide, for its own 64 would leave four. docs/proxies.md lists what
    differs from mad-lab.

    `dataset` None is that of the study's task. On MAD, `tasks`, `difficulty`, `train_examples` and `test_examples` say
    what is learned; on BabiStories and DCLM `language` does, and fitness is a loss in nats per token. A `seed` of the
    data that is not public, such as a random number of 18 digits, keeps a test split from being drawn again.
    """

    dataset: DatasetName | None = None
    language: LanguageData = LanguageData()
    tasks: Annotated[tuple[MADTaskName, ...], Some, Distinct] = MAD_TASKS
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
    """Composer's width scaling: designs with more layers than this are narrower, so that all have as many parameters
    as far as whole heads allow. At width 128 they have 0.8 to 1.2 times as many (of Mamba-2 up to 1.4); at width 32
    with heads of 16 only widths of 16 and 32 are left, and they have 0.5 to 1.7 times as many. Its source says that the
    width of primitives shrinks with depth, and no rule: see `at_depth`."""
    train_examples: int = Field(800, ge=4)
    test_examples: int = Field(1280, ge=1)
    validation_fraction: float = Field(0.3, gt=0, lt=1)
    batch_size: int = Field(128, ge=1)
    epochs: int = Field(200, ge=1)
    learning_rate: float = Field(5e-4, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    rank_by_accuracy: Literal["token", "macro", "macro-by-batch"] = "token"
    """Which accuracy on MAD is the fitness; the paper does not say. `macro` is the mean over classes. mad-lab logs its
    mean over batches of 128 examples, which is `macro-by-batch`: another number, as rare classes differ by batch."""
    stopping: StoppingSection = StoppingSection()
    precision: Precision = "bf16"
    """Of the matrix products, as PyTorch's autocast rounds them; weights and sums stay fp32. mad-lab trains in bf16; a
    CPU without bf16 arithmetic is faster, and widths below 100 no slower, in fp32."""
    retrain_for_test: bool = True
    seed: Seed = 12345

    @model_validator(mode="after")
    def _dimensions_divide(self) -> "ProxySection":
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model {self.d_model} is not a multiple of n_heads {self.n_heads}")
        if (self.d_model // self.n_heads) % 2:
            raise ValueError(
                f"d_model / n_heads is {self.d_model // self.n_heads}: rotary embeddings turn pairs of channels"
            )
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
