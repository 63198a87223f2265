"""A model of ours as lm-evaluation-harness asks for one."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import normalize_gen_kwargs, postprocess_generated_text

from aira_lib.architecture.scales import Scale
from aira_lib.device import Precision
from aira_lib.downstream.generation import continued
from aira_lib.downstream.requests_cache import Answer, RequestsCache, identity_of, key_of
from aira_lib.downstream.scoring import scored
from aira_lib.downstream.tokens import PromptTokenizer
from aira_lib.downstream.windows import Computer, Window, windows_of
from aira_lib.errors import UserError
from aira_lib.models.language_model import LanguageModel

SLICE, SLICE_OF_TEXTS = 4096, 512
"""Requests that are tokenised, computed and kept at once: what an interruption loses, and what memory holds. Texts that
are written take many times as long."""

MAX_GEN_TOKS = 256
"""Tokens that are generated where a task names no number, as of the harness."""

_Compute = Callable[[list[Instance]], list[Answer]]
_Encoded = tuple[tuple[str, str], list[int], list[int]]


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
        progress: told how many requests of how many that the model must be asked are answered.

    Attributes:
        cut: items of which a prompt was longer than the context, by the name of their task and their number there
            (`Instance.doc_id`), with the most tokens that one of their requests lost at its beginning.
        computed: requests that the model was asked, not the cache.

    Raises:
        StoreError: the folder of the cache cannot be made.
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
        progress: Callable[[float, float], None] = lambda done, total: None,
    ) -> None:
        super().__init__()
        place = torch.device(device)
        self._device, self.context, self.tokens, self.progress = place, scale.seq_len, tokens, progress
        self._computer = Computer(model.to(place).eval(), place, precision, batch_tokens)
        identity = identity_of(model, scale, tokens, precision, self.context) if cache else ""
        self._cache = RequestsCache(cache, identity) if cache else None
        self._encode = lru_cache(maxsize=64)(tokens.encode)  # choices of an item share its prompt
        self.cut: dict[tuple[str, int], int] = {}
        self.computed = 0
        self._done, self._total = 0.0, 0

    @property
    def eot_token_id(self) -> int:
        """The token that ends a document."""
        return self.tokens.entry.end

    @property
    def prefix_token_id(self) -> int:
        """The token from which the first one of a text is predicted."""
        return self.tokens.before

    @property
    def max_length(self) -> int:
        """The most tokens that the model reads at once."""
        return self.context

    @property
    def tokenizer_name(self) -> str:
        """The digest of the tokenizer."""
        return self.tokens.entry.digest

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        """The tokens of a text, after the prefix of prompts unless it is declined."""
        prefix = None if add_special_tokens is False else self.tokens.prefix
        return [*([] if prefix is None else [prefix]), *self._encode(string)]

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Of (context, continuation): the nats of the continuation's tokens, and whether each was the likeliest.

        A prompt that is too long loses its beginning. A continuation that is longer than the context is scored in
        windows that predict half a context each.
        """
        answers = self._answers("loglikelihood", requests, self._score)
        return [(float(answer.value), answer.greedy) for answer in answers]

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Of (text,): the nats of all its tokens, in windows as long as the context, as the harness lays them."""
        return [float(answer.value) for answer in self._answers("loglikelihood_rolling", requests, self._roll)]

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Of (prompt, settings): the likeliest tokens, up to one of the texts `until` or to `max_gen_toks` of them.

        They have half of the context at most; a prompt that is too long for the rest loses its beginning.

        Raises:
            UserError: tokens shall be drawn, or a layer cannot decode.
        """
        return [str(answer.value) for answer in self._answers("generate_until", requests, self._generate)]

    # --- what all kinds of requests have in common --------------------------------------------------------------------

    def _answers(self, kind: str, requests: list[Instance], compute: _Compute) -> list[Answer]:
        """The answers to requests, from the cache where it has them; equal requests are computed once."""
        keys = [key_of(kind, request.args) for request in requests]
        known = self._cache.found(set(keys)) if self._cache else {}
        missing = {key: request for key, request in zip(keys, requests, strict=True) if key not in known}
        self._done, self._total = 0.0, len(missing)
        left, at_once = iter(missing.items()), SLICE_OF_TEXTS if kind == "generate_until" else SLICE
        while some := dict(islice(left, at_once)):
            answers = dict(zip(some, compute(list(some.values())), strict=True))
            self.computed += len(answers)
            known |= answers
            if self._cache:
                self._cache.keep(answers)
        for key, request in zip(keys, requests, strict=True):
            self._note_cut(request, known[key].lost)
        return [known[key] for key in keys]

    def _note_cut(self, request: Instance, lost: int) -> None:
        if lost and request.task_name is not None and request.doc_id is not None:
            item = request.task_name, request.doc_id
            self.cut[item] = max(lost, self.cut.get(item, 0))

    def _advance(self, requests: float) -> None:
        self._done += requests
        self.progress(self._done, self._total)

    def _sums(self, windows: Sequence[Sequence[Window]]) -> list[tuple[float, bool]]:
        """For each request, which has some windows, the sum of their nats, and whether all are greedy."""
        owners = [number for number, each in enumerate(windows) for _ in each]
        share = len(windows) / max(len(owners), 1)
        flat = [window for each in windows for window in each]
        scores = scored(self._computer, flat, lambda count: self._advance(count * share))
        sums = [(0.0, True)] * len(windows)
        for number, nats, greedy in zip(owners, scores.nats.tolist(), scores.greedy.tolist(), strict=True):
            sums[number] = sums[number][0] + nats, sums[number][1] and greedy
        return sums

    def _apart(self, tokens: list[int]) -> list[Window]:
        """The window of a text's first token where training showed it no prefix: it follows another document's end."""
        return [Window([self.tokens.before], tokens[:1])]

    # --- each kind ----------------------------------------------------------------------------------------------------

    def _score(self, requests: list[Instance]) -> list[Answer]:
        answers: list[Answer] = super().loglikelihood(requests, disable_tqdm=True)
        return answers

    def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        """See `TemplateLM`; a continuation that is merged into the prompt's last token is encoded by itself."""
        prompt, rest = super()._encode_pair(context, continuation)
        return prompt, rest or self.tok_encode(continuation, add_special_tokens=False)

    def _loglikelihood_tokens(self, requests: list[_Encoded], **kwargs: Any) -> list[Answer]:
        """An `Answer` for each ((context, continuation), prompt, continuation's tokens)."""
        windows = [self._windows(prompt, continuation) for _, prompt, continuation in requests]
        lost = [max(0, len(prompt) + len(rest) - 1 - self.context) for _, prompt, rest in requests]
        return [Answer(*sums, cut) for sums, cut in zip(self._sums(windows), lost, strict=True)]

    def _windows(self, prompt: list[int], continuation: list[int]) -> list[Window]:
        alone = self.tokens.prefix is None and prompt in ([], [self.tokens.before])
        first = self._apart(continuation) if alone else []
        sequence = continuation if alone else prompt + continuation
        place = 1 if alone else len(prompt)
        scored_tokens = len(sequence) - place
        stride = scored_tokens if scored_tokens <= self.context else max(1, self.context // 2)
        return first + windows_of(sequence, place, self.context, max(1, stride))

    def _roll(self, requests: list[Instance]) -> list[Answer]:
        windows = []
        for request in requests:
            tokens = self.tok_encode(request.args[0], add_special_tokens=False)
            if self.tokens.prefix is None and tokens:
                windows.append(self._apart(tokens) + windows_of(tokens, 1, self.context, self.context))
            else:
                windows.append(windows_of([self.tokens.before, *tokens], 1, self.context, self.context))
        return [Answer(*each) for each in self._sums(windows)]

    def _generate(self, requests: list[Instance]) -> list[Answer]:
        answers: dict[int, Answer] = {}
        settings = [_settings(request) for request in requests]
        for chosen in dict.fromkeys(settings):
            numbers = [number for number, each in enumerate(settings) if each == chosen]
            texts = self._continued([requests[number].args[0] for number in numbers], *chosen)
            answers |= dict(zip(numbers, texts, strict=True))
        return [answers[number] for number in range(len(requests))]

    def _continued(self, texts: list[str], until: tuple[str, ...], most: int) -> list[Answer]:
        most = min(most, max(1, self.context // 2))
        prompts = [self.tok_encode(text) or [self.tokens.before] for text in texts]
        room = max(1, self.context - most)

        def ends(added: Sequence[int]) -> bool:
            text = self.tokens.decode(added) if until else ""
            return added[-1] == self.eot_token_id or any(stop in text for stop in until)

        added = continued(self._computer, [prompt[-room:] for prompt in prompts], most, ends, self._advance)
        made = [postprocess_generated_text(self.tokens.decode(each), list(until), None) for each in added]
        return [Answer(text, False, max(0, len(prompt) - room)) for text, prompt in zip(made, prompts, strict=True)]


def _settings(request: Instance) -> tuple[tuple[str, ...], int]:
    """Texts that end what is generated, and the most tokens of it."""
    given = normalize_gen_kwargs(request.args[1], MAX_GEN_TOKS)
    if given.get("do_sample"):
        raise UserError(
            f"task {request.task_name}: draws tokens (do_sample), and an answer here is the likeliest; set do_sample: "
            "false and temperature: 0 in its generation_kwargs"
        )
    return tuple(text for text in given["until"] if text), given["max_gen_toks"]
