"""The part of a study that describes its agents: scaffold, model, budget and the limits of what they write."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from aira_lib.errors import UserError, nearest
from aira_lib.section import Distinct, Section, Some
from aira_lib.study.model_traits import traits_of

ScaffoldName = Literal["greedy", "one-shot", "sampling", "tree", "evolutionary"]
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high"]
MAX_SEEDS = 10_000
"""Each is a search with a record of its own; the paper has 10 an agent."""

MemoryOf = Literal["none", "siblings", "ancestors", "all"]


def effort_named(name: str) -> ReasoningEffort:
    """The reasoning effort of a name.

    Raises:
        UserError: there is none; the line gives the nearest name.
    """
    for effort in get_args(ReasoningEffort):
        if effort == name:
            return effort  # type: ignore[no-any-return]
    raise UserError(f"unknown reasoning effort {name!r}{nearest(name, get_args(ReasoningEffort))}")


class CandidateLimits(Section):
    """What one candidate program of an agent may use; past it, the candidate is a failed node with its reason.

    With `gpu` it sees the machine's NVIDIA GPUs, where there are any, and may use that share of each one's memory.
    """

    seconds: float = Field(14_400, gt=0)
    memory_mb: int = Field(4_096, ge=64)
    output_kb: int = Field(256, ge=1)
    disk_mb: int = Field(256, ge=1)
    processes: int = Field(64, ge=1)
    gpu: bool = False
    gpu_memory_fraction: float = Field(0.5, gt=0, le=1)


class TreeSettings(Section):
    """Tree search: children a node gets before the search goes below it, and UCT's weight of rarely visited ones.

    Defaults: AIRA-dojo's; the paper does not state them.
    """

    num_children: int = Field(5, ge=1)
    uct_c: float = Field(0.25, ge=0)


class EvolutionSettings(Section):
    """Evolution on islands. Defaults: AIRA-dojo's, but the tournament, which it does not have.

    `individuals` is the size of a generation of an island, whose first generation are drafts; `crossover_after` counts
    the generations without crossover; `temperature` is softmax's over fitness scaled to 0..1 within the island.
    """

    islands: int = Field(1, ge=1)
    island_size: int = Field(500, ge=1)
    individuals: int = Field(5, ge=1)
    crossover_probability: float = Field(0.5, ge=0, le=1)
    crossover_after: int = Field(2, ge=1)
    migration_probability: float = Field(0.0, ge=0, le=1)
    parents: Literal["softmax", "tournament"] = "softmax"
    temperature: float = Field(1.0, gt=0)
    tournament_size: int = Field(3, ge=1)


class NoiseSettings(Section):
    """The noise floor of a task that has a baseline (see `aira_lib.agents.noise`); 0 `baseline_seeds`: none.

    The baseline is scored on `baseline_seeds` seeds before the first step. A node is better than the best if it is so
    by more than `sigmas` of their standard deviations. At the end the winner is scored on `winner_seeds` further ones.
    The paper has no floor.
    """

    baseline_seeds: int = Field(3, ge=0)
    sigmas: float = Field(2.0, ge=0)
    winner_seeds: int = Field(2, ge=0)

    @field_validator("baseline_seeds")
    @classmethod
    def _tell_a_deviation(cls, value: int) -> int:
        if 0 < value < 3:
            raise ValueError(f"{value} scores tell no deviation; 3 at least, or 0 for a search without a floor")
        return value


def _reads_no_prose(model: str) -> bool:
    """Whether a model takes from a prompt what is listed there, whatever else it says."""
    return model == "offline" or bool(traits_of(model).scaffolds)


class OperatorSettings(Section):
    """What one operator has in the place of the agent's own; null: the agent's."""

    model: str | None = None
    temperature: float | None = Field(None, ge=0)
    reasoning_effort: ReasoningEffort | None = None
    memory: MemoryOf | None = None
    prompt: str | None = Field(None, min_length=1)

    @field_validator("model")
    @classmethod
    def _a_language_model(cls, name: str | None) -> str | None:
        if name is not None and (_reads_no_prose(name) or name.startswith("replay:")):
            raise ValueError(f"an operator's own model is a language model, which {name} is not")
        return name


class OperatorsSection(Section):
    """Settings of single operators: a small model may mend what a large one drafts."""

    draft: OperatorSettings = OperatorSettings()
    improve: OperatorSettings = OperatorSettings()
    debug: OperatorSettings = OperatorSettings()
    crossover: OperatorSettings = OperatorSettings()
    analyse: OperatorSettings = OperatorSettings()

    @field_validator("analyse")
    @classmethod
    def _looks_at_one_step(cls, analyse: OperatorSettings) -> OperatorSettings:
        if analyse.memory is not None:
            raise ValueError("memory: a look back is told of the one step that it looks at; leave it out")
        return analyse


OperatorName = Literal["draft", "improve", "debug", "crossover", "analyse"]
Asking = tuple[str, float, ReasoningEffort]
"""A model, its temperature and its effort."""


class AgentSection(Section):
    """An agent: a scaffold around a model, run once a seed, each for at most `steps` steps or `hours` hours.

    `model` is "offline", "replay:PATH" (see `aira_lib.agents.replay`; keep the recorded agent's `name`, from which
    the ids of nodes come), a baseline (see `aira_lib.agents.baselines`) or a litellm model. `max_tokens_total` and
    `max_dollars` end a search before the next call once they are used up. A step asks up to `tries` times for a reply
    that holds a program (AIRA-dojo's 3). `operators` gives single ones a language model, temperature, effort, memory or
    prompt of their own: the path of a Jinja template (see `aira_lib.agents.templates`), whose contents are in the key.
    With `edit: patch` improvements and
    repairs are asked for as patches of their parent's program, with `one_change` one change at a time. `analyse`
    has the model look back at each step (or at failed ones) in a call of its own; it never decides a score.
    `memory` says of which earlier steps a prompt tells, in at most `memory_tokens` (see `aira_lib.agents.memory`;
    the default holds all that a memory ever holds, for smollm2 1,500); `complexity_cues` ask for simple designs
    first and for elaborate ones later. `keep_prompts` keeps what was asked and answered, word for word but for keys.
    `noise` is the floor below which a gain is one of seeds; it is on where the task has a baseline, and only there.
    `reasoning_effort` "none" leaves it to the provider. Defaults: AIRA-dojo's
    greedy (5 drafts, debug probability 1.0, depth 20), its memory of all good nodes and its cues, which are off;
    the paper's 500 steps and 24 h. The paper states neither memory nor cues.
    """

    name: str = ""
    scaffold: ScaffoldName = "greedy"
    model: str = "offline"
    seeds: Annotated[tuple[int, ...], Some, Field(max_length=MAX_SEEDS), Distinct] = (0,)
    steps: int = Field(500, ge=1)
    hours: float = Field(24.0, gt=0)
    max_tokens_total: int | None = Field(None, ge=1)
    max_dollars: float | None = Field(None, gt=0)
    n_drafts: int = Field(5, ge=1)
    debug_probability: float = Field(1.0, ge=0, le=1)
    max_debug_depth: int = Field(20, ge=0)
    tree: TreeSettings = TreeSettings()
    evolution: EvolutionSettings = EvolutionSettings()
    temperature: float = Field(1.0, ge=0)
    tries: int = Field(3, ge=1)
    operators: OperatorsSection = OperatorsSection()
    edit: Literal["file", "patch"] = "file"
    one_change: bool = False
    analyse: Literal["never", "failed", "all"] = "never"
    memory: MemoryOf = "all"
    memory_tokens: int = Field(40_000, ge=1)
    complexity_cues: bool = False
    noise: NoiseSettings = NoiseSettings()
    reasoning_effort: ReasoningEffort = "none"
    record_replies: bool = False
    keep_prompts: bool = False
    limits: CandidateLimits = CandidateLimits()

    def asking(self, operator: OperatorName) -> Asking:
        """Who is asked for an operator, and how."""
        own: OperatorSettings = getattr(self.operators, operator)
        temperature = self.temperature if own.temperature is None else own.temperature
        return own.model or self.model, temperature, own.reasoning_effort or self.reasoning_effort

    def memory_for(self, operator: OperatorName) -> MemoryOf:
        """Of which earlier steps the prompt of an operator tells."""
        own: OperatorSettings = getattr(self.operators, operator)
        return own.memory or self.memory

    @property
    def own_prompts(self) -> dict[OperatorName, str]:
        """Paths of the templates in the place of the built-in ones, by operator."""
        named = {operator: getattr(self.operators, operator).prompt for operator in get_args(OperatorName)}
        return {operator: path for operator, path in named.items() if path is not None}

    @property
    def askings(self) -> tuple[Asking, ...]:
        """All ways in which its operators ask, each once."""
        return tuple(dict.fromkeys(map(self.asking, get_args(OperatorName))))

    @property
    def models(self) -> tuple[str, ...]:
        """All models that it asks, its own first."""
        return tuple(dict.fromkeys([self.model, *(model for model, _, _ in self.askings)]))

    @field_validator("seeds", mode="before")
    @classmethod
    def _count_means_first_n(cls, value: Any) -> Any:
        if not isinstance(value, int) or isinstance(value, bool):
            return value
        if not 1 <= value <= MAX_SEEDS:
            raise ValueError(f"an agent has 1 to {MAX_SEEDS:,} seeds, not {value:,}; to name seeds, write a list")
        return tuple(range(value))

    @model_validator(mode="after")
    def _one_change_is_a_patch(self) -> "AgentSection":
        if self.one_change and self.edit != "patch":
            raise ValueError("one_change needs edit: patch, since a whole file may change anywhere")
        return self

    @model_validator(mode="after")
    def _templates_are_read(self) -> "AgentSection":
        for operator in self.own_prompts:
            if _reads_no_prose(model := self.asking(operator)[0]):
                raise ValueError(f"operators.{operator}.prompt: model {model} reads no prose; leave it out")
        return self

    @model_validator(mode="after")
    def _a_small_context(self) -> "AgentSection":
        tokens = traits_of(self.model).memory_tokens
        if tokens is not None and "memory_tokens" not in self.model_fields_set:
            object.__setattr__(self, "memory_tokens", tokens)
        return self

    @model_serializer(mode="wrap")
    def _with_its_memory(self, plain: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """A model's own default stands in the text, for the section's default would be read as the model's."""
        fields: dict[str, Any] = plain(self)
        if traits_of(self.model).memory_tokens is not None and not info.include:
            fields["memory_tokens"] = self.memory_tokens
        return fields

    @model_validator(mode="before")
    @classmethod
    def _baselines_sample(cls, values: Any) -> Any:
        """A baseline decides all by itself: its scaffold only asks for the next design."""
        model = str(values.get("model", "")) if isinstance(values, Mapping) else ""
        traits = traits_of(model)
        if not traits.scaffolds:
            return values
        default = traits.scaffolds[0]
        if values.get("scaffold", default) not in traits.scaffolds:
            raise ValueError(f"model {model} needs scaffold {default}, or none named")
        return {"scaffold": default, "name": traits.short(model), **values}

    @model_validator(mode="after")
    def _named(self) -> "AgentSection":
        if not self.name:
            object.__setattr__(self, "name", f"{self.scaffold}-{traits_of(self.model).short(self.model)}")
        return self
