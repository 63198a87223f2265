"""What a provider of models says of itself, and the registry of all of them."""

from typing import Protocol

from aira_lib.agents.model import Model
from aira_lib.errors import UserError
from aira_lib.records import StandIn
from aira_lib.registry import Registry
from aira_lib.study.agent import AgentSection, ReasoningEffort
from aira_lib.study.model_traits import TRAITS, ModelTraits


class UnknownModel(UserError):
    """A model's name that means nothing to the provider who would have it."""


class Provider(Protocol):
    """A provider of models. A class of your own derives from this one; only `traits` and `make` must be given.

    Attributes:
        traits: Which names are its own, and what a study's section takes from it.
        over_network: Whether its models call someone who may want money for it. One on this machine does not.
        designs_only: Whether its models write designs from what a prompt lists, rather than programs of their own
            for a task in words: searches of task folders refuse them.
    """

    traits: ModelTraits
    over_network: bool = True
    designs_only: bool = False

    def make(self, model: str, temperature: float, reasoning_effort: ReasoningEffort) -> Model:
        """Make the model of a name; calls nobody.

        Raises:
            MissingDependency: its packages are not installed.
            UserError: there is no such model; one line.
        """

    def check(self, model: str, temperature: float) -> None:
        """Refuse what cannot work before processes are started; calls nobody.

        Raises:
            UnknownModel: nobody knows the name; the line gives the nearest.
            UserError: as `make`.
        """
        self.make(model, temperature, "none")

    def identity(self, model: str) -> str:
        """What a key holds of a model (see `aira_lib.identity`): its name, unless that says where something lies.

        Raises:
            UserError: what lies there cannot be read.
        """
        return model

    def extras(self, model: str) -> tuple[str, ...]:
        """The extras of pyproject.toml that a model needs, for whoever prepares the image of a search."""
        return ()

    def price(self, model: str) -> tuple[float, float] | None:
        """Dollars for a token of the prompt and for one of the reply; None where they are not known."""
        return None

    def stand_in(self, agent: AgentSection) -> StandIn | None:
        """What its models stand in for, to be said in every result of a search; None for real language models."""
        return None


class Providers(Registry[Provider]):
    """Providers by name; a study's agents know the traits of each one that was added."""

    def add(self, name: str, entry: Provider) -> Provider:
        """Add a provider and return it.

        Raises:
            ValueError: the name is taken.
        """
        super().add(name, entry)
        if entry.traits not in TRAITS:
            TRAITS.append(entry.traits)
        return entry


PROVIDERS = Providers("model provider")
