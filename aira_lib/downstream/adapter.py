"""A model of ours as lm-evaluation-harness asks for one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM

from aira_lib.architecture.scales import Scale
from aira_lib.device import Precision
from aira_lib.downstream.tokens import PromptTokenizer
from aira_lib.models.language_model import LanguageModel


class HarnessModel(TemplateLM):  # type: ignore[misc]
    """A language model behind the requests of lm-evaluation-harness. Nothing is drawn: the same answers each time.

    Args:
        model: whose answers are wanted; it is moved to the device.
        scale: of its design; its windows are the most tokens that the model reads at once.
        tokens: the tokenizer that it was trained with.
        precision: of matrix products, as in its training.
        device: where to compute, see `aira_lib.device.ready_device`.
        batch_tokens: most tokens of a forward pass, padding included; a longer sequence has one of its own.
        cache: folder of answers that are kept, see `RequestsCache`; None: none are.
        progress: told how many requests of how many are answered.

    Attributes:
        cut: items of which a prompt was longer than the context, by the name of their task and their number there
            (`Instance.doc_id`), with the most tokens that one of their requests lost at its beginning.
        computed: requests that the model was asked, not the cache.
    """

    def __init__(
        self,
        model: LanguageModel,
        scale: Scale,
        tokens: PromptTokenizer,
        *,
        precision: Precision = "fp32",
        device: str = "cpu",
        batch_tokens: int = 16_384,
        cache: Path | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        super().__init__()
        self.cut: dict[tuple[str, int], int] = {}
        self.computed = 0

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Of (context, continuation): the nats of the continuation's tokens, and whether each was the likeliest."""
        raise NotImplementedError

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Of (text,): the nats of all its tokens, in windows as long as the context."""
        raise NotImplementedError

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Of (prompt, settings): the likeliest tokens, up to one of `until` or `max_gen_toks`."""
        raise NotImplementedError

    @property
    def eot_token_id(self) -> int:
        """The token that ends a document."""
        raise NotImplementedError

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        """The tokens of a prompt, with its prefix unless that is not wanted."""
        raise NotImplementedError

    def _loglikelihood_tokens(self, requests: Any, **kwargs: Any) -> Any:
        raise NotImplementedError
