"""All providers that litellm knows: the one that takes every name which is nobody else's."""

import difflib
import json
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from aira_lib.agents.llm import LiteLLMModel, import_litellm, missing_litellm
from aira_lib.agents.model import Model
from aira_lib.agents.providers.provider import PROVIDERS, Provider, UnknownModel
from aira_lib.agents.telling import wait_aloud
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
        return LiteLLMModel(model, temperature, reasoning_effort, sleep=wait_aloud)

    def check(self, model: str, temperature: float) -> None:
        """Look for litellm, and whether it knows such a provider.

        Raises:
            MissingDependency: litellm is not installed.
            UnknownModel: it does not; the line gives the nearest name.
        """
        known = _known_models(model)
        if model in known or model.partition("/")[0] in {each.get("litellm_provider") for each in known.values()}:
            return
        try:
            import_litellm(model).get_llm_provider(model)
        except Exception:  # litellm's own way to say that it knows no such provider
            ours = (name for each in PROVIDERS.entries() for name in each.traits.names)
            close = difflib.get_close_matches(model, [*ours, *known], n=1)
            hint = (
                f"; did you mean {close[0]!r}?" if close else "; write PROVIDER/MODEL such as openai/gpt-5, or offline"
            )
            raise UnknownModel(f"unknown model {model!r}{hint}") from None

    def extras(self, model: str) -> tuple[str, ...]:
        """The package litellm."""
        return ("agents",)

    def price(self, model: str) -> tuple[float, float] | None:
        """As litellm's table of prices has it."""
        known = _known_models(model)
        prices = known.get(model) or known.get(model.partition("/")[2]) or {}
        prompt, reply = prices.get("input_cost_per_token"), prices.get("output_cost_per_token")
        return None if prompt is None or reply is None else (float(prompt), float(reply))


_TABLE = "model_prices_and_context_window_backup.json"


def _known_models(model: str) -> dict[str, dict[str, Any]]:
    """Litellm's table of models, with their providers and prices; it is imported for it only where it has no such file.

    Raises:
        MissingDependency: litellm is not installed; the line names the model that wants it.
    """
    if "litellm" not in sys.modules:
        if (spec := find_spec("litellm")) is None:
            raise missing_litellm(model)
        if (table := Path(spec.origin or "").with_name(_TABLE)).is_file():
            return _read(table)
    return dict(import_litellm(model).model_cost)


@cache
def _read(table: Path) -> dict[str, dict[str, Any]]:
    """A table as a file of JSON: tenths of a second, where importing litellm takes several."""
    models: dict[str, dict[str, Any]] = json.loads(table.read_text(encoding="utf-8"))
    return models
