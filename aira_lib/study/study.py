"""The study: one strict, frozen description of everything that determines a result.

Unknown keys are refused with the nearest valid name, and equal entries of a list by name. The canonical JSON of a
study has a digest; every record carries the digest of what made it. Where a study runs, how many processes it may use
and where its results are kept do not change the results, so they are not part of it (see `aira_lib.settings`).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import Field, field_validator, model_validator

from aira_lib.architecture.scales import SCALE_NAMES, Scale, scale_named
from aira_lib.errors import nearest
from aira_lib.naming import alike
from aira_lib.section import Section, require_distinct
from aira_lib.study.agent import AgentSection
from aira_lib.study.aggregate import AggregateSection
from aira_lib.study.downstream import DownstreamSection
from aira_lib.study.evaluate import EvaluateSection
from aira_lib.study.extrapolate import ExtrapolateSection
from aira_lib.study.latency import LatencySection
from aira_lib.study.optimizer import OptimizerSection, RateCheckSection
from aira_lib.study.pretrain import PretrainSection
from aira_lib.study.proxy import ProxySection
from aira_lib.study.resources import Resources, ResourcesAtScale
from aira_lib.study.task import TaskSection

KINDS_OF_TOKENS = 256
"""Of text in pretraining, where its tokens are bytes."""


class Study(Section):
    """A whole study. Its digest tells it from others, by its name, too; a record is found by its own key."""

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
    downstream: DownstreamSection | None = None
    latency: LatencySection | None = None
    resources: dict[str, Resources] = {}

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
            # Which tasks have designs to aggregate is for their family to say (see `aira_lib.flow.units`).
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
        self._require_designs_to_time()
        agents = [agent.name for agent in self.agents]
        for section in self.aggregate:
            for name in section.agents:
                if name not in agents:
                    raise ValueError(f"aggregate {section.name!r}: unknown agent {name!r}{nearest(name, agents)}")
        _require_baseline(self.pretrain.lr_check, self.extrapolate.baselines, self.trainable_scales())
        _require_values(self.pretrain.optimizer, self.trainable_scales(), known)
        for name in self.trainable_scales():
            # Rows are as long whatever the number of primitives.
            _require_a_row(self.pretrain.micro_batch_tokens, self.scales.get(name) or scale_named(name, 3))
            if name in self.scales:
                # What kinds of tokens shards have is known where they are (see `aira_lib.flow.checks`).
                _require_trainable(self.scales[name], 2 if self.pretrain.data.shards else KINDS_OF_TOKENS)
        return self

    def _require_designs_to_time(self) -> None:
        """Refuse times at a scale that no design is brought to, or of attention that no model could be built of."""
        if self.latency is None:
            return
        name, brought = self.latency.scale, dict.fromkeys((*self.trainable_scales(), *self.extrapolate.scales))
        if name not in brought:
            raise ValueError(
                f"latency.scale: no design is brought to scale {name!r}; name it in extrapolate.scales, or one of "
                f"{', '.join(brought) or 'these, of which there are none'}"
            )
        if name in self.scales and self.scales[name].head_dim % 2:
            raise ValueError(f"scales.{name}.head_dim is odd, and rotary embeddings turn pairs of channels")

    def _scale_names(self) -> list[tuple[str, str]]:
        names = [("extrapolate.scales", s) for s in self.extrapolate.scales]
        if self.pretrain.isotoken:
            names.append(("pretrain.isotoken.scale", self.pretrain.isotoken.scale))
        if self.pretrain.isoflop:
            names += [("pretrain.isoflop.scales", s) for s in self.pretrain.isoflop.scales]
        if self.latency:
            names.append(("latency.scale", self.latency.scale))
        names += [(f"resources.{stage}.by_scale", s) for stage, of in self.resources.items() for s in of.by_scale]
        return names

    def resources_of(self, stage: str, scale: str | None = None) -> ResourcesAtScale:
        """What one unit of a stage gets, at a scale where it has one."""
        return self.resources.get(stage, Resources()).at(scale)

    def trainable_scales(self) -> tuple[str, ...]:
        """Names of the scales that are pretrained, in the order of the spec, each once."""
        isotoken = (self.pretrain.isotoken.scale,) if self.pretrain.isotoken else ()
        isoflop = self.pretrain.isoflop.scales if self.pretrain.isoflop else ()
        return tuple(dict.fromkeys((*isoflop, *isotoken)))


def _require_values(optimizer: OptimizerSection, trained: Sequence[str], known: Collection[str]) -> None:
    """Refuse settings with a value for each scale that leave out one that is trained, or name one that is not there."""
    for setting, values in optimizer.by_scale().items():
        place = f"pretrain.optimizer.{setting}"
        for name in values:
            if name not in known:
                raise ValueError(f"{place}: unknown scale {name!r}{nearest(name, known)}")
        if missing := [name for name in trained if name not in values]:
            raise ValueError(f"{place} has no value for scale {missing[0]!r}, which is trained; give it one")


def _require_baseline(check: RateCheckSection | None, baselines: Sequence[str], trained: Sequence[str]) -> None:
    """Refuse a check of learning rates that would have nothing to train; finds are not known before the searches."""
    if check is None:
        return
    if not trained:
        raise ValueError("pretrain.lr_check: nothing is trained; add pretrain.isotoken or pretrain.isoflop")
    if not baselines:
        raise ValueError("pretrain.lr_check trains a baseline, and there is none; name one in extrapolate.baselines")
    if check.design is not None and check.design not in baselines:
        raise ValueError(f"pretrain.lr_check.design: no baseline {check.design!r}{nearest(check.design, baselines)}")


def _require_a_row(micro_batch_tokens: int | None, scale: Scale) -> None:
    """Refuse a bound on the tokens of a forward pass that not even one row of a scale keeps."""
    if micro_batch_tokens is not None and micro_batch_tokens < scale.seq_len:
        raise ValueError(
            f"pretrain.micro_batch_tokens {micro_batch_tokens:,} is less than a row of scale {scale.name!r}, which is "
            f"trained; give {scale.seq_len:,} at least"
        )


def _require_trainable(scale: Scale, tokens: int) -> None:
    try:
        scale.require_trainable(tokens)
    except ValueError as error:
        raise ValueError(f"scales.{scale.name}, which is to be trained: {error}") from None
