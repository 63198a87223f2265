"""What a study's agents take from the providers of their models: whose a name is, and defaults that go with it.

A study is read without any model at hand, so these facts stand apart from the providers (`aira_lib.agents.providers`),
which carry them as their `traits`. Those of a provider from outside come with it, when it is added to `PROVIDERS`.
"""

from dataclasses import dataclass

from aira_lib.registry import load_plugins

BASELINES = ("random", "regularised-evolution", "bo-one-shot", "bo-end-layer", "bo-middle-layer")
"""Models that search without a language model (see `aira_lib.agents.baselines`); a number may follow after a colon."""


@dataclass(frozen=True)
class ModelTraits:
    """Which names of models are a provider's, and what a study's section of an agent takes from it.

    Attributes:
        names: Whole names, such as "offline".
        prefixes: What stands before a colon, such as "replay" of "replay:PATH".
        scaffolds: Those that its models work with, the default first, for models that decide all by themselves; the
            agent is then called after the model alone. Empty: any, and the section's own default.
        memory_tokens: The default of an agent's `memory_tokens`; None: the section's own.
        spoken: How a model is called in its agent's name; None: the name's last part after a slash.
    """

    names: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    scaffolds: tuple[str, ...] = ()
    memory_tokens: int | None = None
    spoken: str | None = None

    def owns(self, model: str) -> bool:
        """Whether a model's name is the provider's."""
        kind, colon, _ = model.partition(":")
        return model in self.names or (bool(colon) and kind in self.prefixes)

    def short(self, model: str) -> str:
        """A model in an agent's name."""
        last = model.rsplit("/", 1)[-1]
        return self.spoken or (last.replace(":", "-") if self.scaffolds else last)


BASELINE_TRAITS = ModelTraits(names=BASELINES, prefixes=BASELINES, scaffolds=("sampling", "one-shot"))
REPLAY_TRAITS = ModelTraits(prefixes=("replay",), spoken="replay")
SMOLLM2_TRAITS = ModelTraits(
    names=("smollm2",),
    memory_tokens=1_500,  # what a context of 8,192 has left beside the task, a program and a reply
)

TRAITS = [BASELINE_TRAITS, REPLAY_TRAITS, SMOLLM2_TRAITS]
"""In the order in which a name's owner is looked for; providers that are added append theirs."""


def traits_of(model: str) -> ModelTraits:
    """The traits of whoever owns a model's name; plain ones where no section depends on who does.

    Raises:
        UserError: a module of AIRA_PLUGINS cannot be imported.
    """
    load_plugins()
    return next((traits for traits in TRAITS if traits.owns(model)), ModelTraits())
