"""The optimizer of pretraining and the schedule of its learning rate."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Discriminator, Field, Tag, model_validator

from aira_lib.section import Distinct, Section

T = TypeVar("T", int, float)

ONE_VALUE, BY_SCALE = "one value", "by scale"
"""In the places of what is wrong with a study, which of the two ways a setting was written."""


def _way(value: Any) -> str:
    return BY_SCALE if isinstance(value, Mapping) else ONE_VALUE


OrByScale = Annotated[Annotated[T, Tag(ONE_VALUE)] | Annotated[dict[str, T], Tag(BY_SCALE)], Discriminator(_way)]
"""One value, or a mapping with one for each scale."""
Decay = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]

_OF_A_CHOICE = (
    ("schedule", "wsd", "decay_fraction"),
    ("schedule", "cosine", "final_fraction"),
    ("on_nonfinite", "skip", "max_skips"),
)
"""A choice, one of its values, and the setting that means something with that value alone."""


class OptimizerSection(Section):
    """AdamW, and a learning rate that rises, stays and falls. The paper states none of it.

    Warm-up, plateau and a linear decay over a fifth of the steps are those of a sister paper (Bae et al., arXiv
    2510.04800), which gives no betas, decay or clipping: here they are what TorchTitan and lingua are run with.

    `learning_rate` is one number, the peak at `reference_width`, of which a model of another width uses
    lr * reference_width / d_model; or a value for each scale that is trained, such as the sister paper's
    `{350M: 3e-3, 1B: 6e-4, 3B: 3e-4}`, which follow no such rule: each is then taken as it stands.

    The warm-up is a share of each run's steps, or absolute: `warmup_steps` or `warmup_tokens`, each one number or, as
    above, one for each scale. The sister paper's is about a quarter of the steps of the smallest budget. Only with an
    absolute one are runs of several budgets the same until the first of them decays.
    """

    learning_rate: OrByScale[Rate] = 3e-3
    reference_width: int = Field(64, ge=1)
    betas: tuple[Decay, Decay] = (0.9, 0.95)
    weight_decay: float = Field(0.1, ge=0)
    clip: float = Field(1.0, gt=0)
    schedule: Literal["wsd", "cosine"] = "wsd"
    warmup_fraction: float = Field(0.1, ge=0, le=1)
    warmup_steps: OrByScale[Count] | None = None
    warmup_tokens: OrByScale[Count] | None = None
    decay_fraction: float = Field(0.2, ge=0, le=1)
    final_fraction: float = Field(0.0, ge=0, le=1)
    on_nonfinite: Literal["stop", "skip"] = "stop"
    max_skips: int = Field(10, ge=1)

    @model_validator(mode="after")
    def _one_of_each(self) -> "OptimizerSection":
        absolute = [name for name in ("warmup_steps", "warmup_tokens") if getattr(self, name) is not None]
        given = [*absolute, *(["warmup_fraction"] if self._said("warmup_fraction") else [])]
        if absolute and len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are two warm-ups; leave out one")
        for choice, value, name in _OF_A_CHOICE:
            if self._said(name) and getattr(self, choice) != value:
                raise ValueError(f"{name} belongs to {choice}: {value}; here it is {getattr(self, choice)}")
        return self

    @model_validator(mode="after")
    def _reaches_its_peak(self) -> "OptimizerSection":
        if not self.absolute_warmup and self.warmup_fraction + self.decay > 1 + 1e-9:
            raise ValueError(
                f"warmup_fraction {self.warmup_fraction:g} and decay_fraction {self.decay:g} overlap, so the "
                "learning rate would never reach its peak: together they must be at most 1"
            )
        if not self.absolute_warmup and self.schedule == "cosine" and self.warmup_fraction == 1:
            raise ValueError("warmup_fraction 1 leaves a cosine no step to fall in: it must be less than 1")
        return self

    def _said(self, name: str) -> bool:
        """Whether a setting has another value than its default: a default that is said aloud is a default."""
        return bool(getattr(self, name) != type(self).model_fields[name].default)

    @property
    def absolute_warmup(self) -> bool:
        """Whether the warm-up is so many steps or tokens, whatever the length of the run."""
        return self.warmup_steps is not None or self.warmup_tokens is not None

    @property
    def decay(self) -> float:
        """The share of a run's steps in which the rate falls linearly to zero; none with a cosine."""
        return self.decay_fraction if self.schedule == "wsd" else 0.0

    def by_scale(self) -> dict[str, Mapping[str, float]]:
        """The settings that have a value for each scale, by their names."""
        names = ("learning_rate", "warmup_steps", "warmup_tokens")
        return {name: value for name in names if isinstance(value := getattr(self, name), dict)}


def at_scale(value: T | dict[str, T], scale: str) -> T:
    """The value for a scale, by its name, of a setting that may have one for each; a study is read only with all."""
    return value[scale] if isinstance(value, dict) else value


class RateCheckSection(Section):
    """Whether the peak learning rate is right at each scale: one design is trained with others around it as well.

    At each scale that is trained, with its smallest budget and first seed; the run at the peak itself is the study's
    own. `aira pretrain STUDY --lr-check` makes these runs, and says what they cost, before the study is paid for. A
    study that has this section makes them with all others, and its report shows them. It is no part of the paper.
    """

    factors: Annotated[tuple[Rate, ...], Field(min_length=3), Distinct] = (1 / 3, 1.0, 3.0)
    design: str | None = None

    @model_validator(mode="after")
    def _has_the_peak(self) -> "RateCheckSection":
        if 1 not in self.factors:
            raise ValueError("factors: 1, the peak itself, is not among them; add it")
        return self
