"""All providers that litellm knows: the one that takes every name which is nobody else's."""

import difflib

from aira_lib.agents.llm import LiteLLMModel, import_litellm
from aira_lib.agents.model import Model
from aira_lib.agents.providers.provider import PROVIDERS, Provider, UnknownModel
from aira_lib.study.agent import ReasoningEffort
from aira_lib.study.model_traits import ModelTraits


class LiteLLM(Provider):
    """`model: PROVIDER/MODEL`, such as openai/gpt-5."""

    traits = ModelTraits()

    def make(self, model: str, temperature: float, reasoning_effort: ReasoningEffort) -> Model:
        """The model.

        Raises:
            MissingDependency: litellm is not installed.
        """
        return LiteLLMModel(model, temperature, reasoning_effort)

    def check(self, model: str, temperature: float) -> None:
        """Look for litellm, and whether it knows such a provider.

        Raises:
            MissingDependency: litellm is not installed.
            UnknownModel: it does not; the line gives the nearest name.
        """
        litellm = import_litellm(model)
        try:
            litellm.get_llm_provider(model)
        except Exception:  # litellm's own way to say that it knows no such provider
            ours = (name for each in PROVIDERS.entries() for name in each.traits.names)
            close = difflib.get_close_matches(model, [*ours, *litellm.model_cost], n=1)
            hint = (
                f"; did you mean {close[0]!r}?" if close else "; write PROVIDER/MODEL such as openai/gpt-5, or offline"
            )
            raise UnknownModel(f"unknown model {model!r}{hint}") from None

    def price(self, model: str) -> tuple[float, float] | None:
        """As litellm's table of prices has it."""
        litellm = import_litellm(model)
        prices = litellm.model_cost.get(model) or litellm.model_cost.get(model.partition("/")[2]) or {}
        prompt, reply = prices.get("input_cost_per_token"), prices.get("output_cost_per_token")
        return None if prompt is None or reply is None else (float(prompt), float(reply))
