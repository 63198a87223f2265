"""Providers of models: who owns a model's name, what it makes of it, and what it costs.

To add one, write a class like those beside this file and add it to `PROVIDERS`: here, or from a module of your own that
AIRA_PLUGINS names (see `aira_lib.registry`), without any change of this package:

    class Mine(Provider):
        traits = ModelTraits(prefixes=("mine",))  # from aira_lib.study.model_traits

        def make(self, model, temperature, reasoning_effort):
            return MyModel(model.removeprefix("mine:"), temperature)  # has a `name` and a `reply`

    PROVIDERS.add("mine", Mine())
"""

from aira_lib.agents.model import Model
from aira_lib.agents.providers.baselines import Baselines
from aira_lib.agents.providers.litellm import LiteLLM
from aira_lib.agents.providers.offline import Offline
from aira_lib.agents.providers.provider import PROVIDERS, Provider, UnknownModel
from aira_lib.agents.providers.replay import Replay
from aira_lib.agents.providers.smollm2 import Smollm2
from aira_lib.study.agent import ReasoningEffort

__all__ = ["PROVIDERS", "Provider", "UnknownModel", "model_named", "provider_of"]

PROVIDERS.add("offline", Offline())
PROVIDERS.add("replay", Replay())
PROVIDERS.add("smollm2", Smollm2())
PROVIDERS.add("baselines", Baselines())

_EVERY_OTHER = LiteLLM()  # not in the registry: it would take the names of providers that are added after it


def provider_of(model: str) -> Provider:
    """The provider of a model: the first that owns its name, else litellm.

    Raises:
        UserError: a module of AIRA_PLUGINS cannot be imported.
    """
    return next((each for each in PROVIDERS.entries() if each.traits.owns(model)), _EVERY_OTHER)


def model_named(name: str, temperature: float = 1.0, reasoning_effort: ReasoningEffort = "none") -> Model:
    """Return a model by name.

    "offline" is the embedded agent, "replay:PATH" a recording (a file, or the folder of a search's record), "smollm2"
    a small model on this machine, "random", "regularised-evolution" and "bo-..." baselines, anything else a litellm
    model such as "openai/gpt-5".

    Raises:
        MissingDependency: litellm is not installed, or smollm2 and its server are not, or botorch for "bo-...".
        UserError: there is no such recording, or a baseline's number is none.
    """
    return provider_of(name).make(name, temperature, reasoning_effort)
