"""An AIRA model for transformers: attention, MLP and Mamba-2 layers in any order, with what generation keeps of each.

Every layer is x + mixer(norm(x)); what mixes is named by a symbol in `config.layers`:

    A   causal self-attention over all positions, rotary
    W   the same, in which a position sees itself and the window - 1 positions before it
    M   an MLP on every position alone
    Mb  Mamba-2 (Dao and Gu 2024, arXiv 2405.21060), by matrix products over chunks of the sequence

Shapes are written as [batch, new, channels]: `new` are the positions of this call, behind those that the cache knows.

Padding, on whichever side, is no part of a text. Each row's tokens are moved before its padding, which then lies behind
all that sees it: attention masks it, a state passes over it, and at the end all goes back to where it was.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast

from .configuration_aira import AiraConfig
from .layers_aira import Layer, Mamba2, Rotary, State, Step, visible

CACHE = "cache" if "cache" in CausalLMOutputWithPast.__dataclass_fields__ else "past_key_values"
"""What this version of transformers calls what generation keeps."""


PASSED_ON: tuple[str, ...] = ("use_cache", "logits_to_keep", "output_hidden_states")
"""Arguments of generation that a call takes as they are."""


class AiraCache:
    """What generation keeps of the positions so far.

    Attributes:
        states: of each layer; None before the first position, and of an MLP always.
        positions: which position of its row each column is [batch, columns]; -1 where it is padding.
        padded: whether any is.
    """

    is_compileable = False
    is_croppable = False

    def __init__(self, n_layers: int) -> None:
        self.states: list[State | None] = [None] * n_layers
        self.positions: Tensor | None = None
        self.padded = False

    @property
    def is_linear(self) -> list[bool]:
        """Whether layers keep a state of one size alone; generation asks for it to know that columns are counted."""
        return [False]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Columns so far, padding included."""
        return 0 if self.positions is None else self.positions.shape[1]

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Take other rows, in beam search."""
        self.states = [state and (state[0][beam_idx], state[1][beam_idx]) for state in self.states]
        self.positions = None if self.positions is None else self.positions[beam_idx]


class AiraPreTrainedModel(PreTrainedModel):
    """What transformers has to know of the weights."""

    config_class = AiraConfig
    base_model_prefix = "backbone"
    _no_split_modules = ["Layer"]
    _supports_sdpa = True
    # decays multiply over a whole text: what they come from is in fp32, whatever the model is in
    _keep_in_fp32_modules_strict = ["mixer.A_log", "mixer.D", "mixer.dt_bias"]

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=self.config.d_model**-0.5)
        elif isinstance(module, nn.RMSNorm):
            nn.init.ones_(module.weight)
        elif isinstance(module, Mamba2):
            bound = module.conv_weight.shape[1] ** -0.5
            nn.init.uniform_(module.conv_weight, -bound, bound)
            nn.init.uniform_(module.conv_bias, -bound, bound)
            with torch.no_grad():
                module.A_log.uniform_(1, 16).log_()
                dt = torch.empty_like(module.dt_bias).uniform_(math.log(1e-3), math.log(0.1)).exp().clamp(min=1e-4)
                module.dt_bias.copy_(dt + torch.log(-torch.expm1(-dt)))  # softplus of this is dt
            nn.init.ones_(module.D)
            nn.init.ones_(module.norm_weight)


class AiraModel(AiraPreTrainedModel):
    """Embedding, the layers, a norm."""

    def __init__(self, config: AiraConfig) -> None:
        super().__init__(config)
        self.embedding: nn.Module = nn.Embedding(config.vocab_size, config.d_model)
        self.layers = nn.ModuleList(Layer(symbol, config) for symbol in config.layers)
        self.norm = nn.RMSNorm(config.d_model, eps=config.norm_eps)
        self.rotary = Rotary(config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """See transformers."""
        return self.embedding

    def set_input_embeddings(self, value: nn.Module) -> None:
        """See transformers."""
        self.embedding = value

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """Features of the next tokens [batch, new] of texts.

        Args:
            input_ids: the tokens.
            attention_mask: 1 where there is a token, 0 where there is padding [batch, columns]: of these tokens, or of
                those before them, too.
            inputs_embeds: in place of the tokens, their embeddings [batch, new, d_model].
            use_cache: whether to say what later calls go on from.
            output_hidden_states: whether to give the input of each layer, and the features, as well.
            return_dict: False gives a tuple.
            **kwargs: `cache` (`past_key_values`): an `AiraCache`, from the call before. Others are of no use here;
                positions follow from mask and cache.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give either input_ids or inputs_embeds")
        x = self.embedding(input_ids) if inputs_embeds is None else inputs_embeds
        use_cache = self.config.use_cache if use_cache is None else use_cache
        cache: AiraCache | None = kwargs.get("cache", kwargs.get("past_key_values"))
        cache = AiraCache(len(self.layers)) if cache is None else cache
        tokens, order = tokens_first(attention_mask, x.shape[1])
        x = moved(x, order)
        step, hidden = self.step(x, tokens, cache), []
        for number, layer in enumerate(self.layers):
            if output_hidden_states:
                hidden.append(x)
            x, state = layer(x, step, cache.states[number])
            if use_cache:
                cache.states[number] = state
        back = None if order is None else order.argsort(dim=1)
        x = moved(self.norm(x), back)
        given: dict[str, Any] = {CACHE: cache if use_cache else None}
        if output_hidden_states:
            given["hidden_states"] = (*(moved(each, back) for each in hidden), x)
        output = BaseModelOutputWithPast(last_hidden_state=x, **given)
        return output.to_tuple() if return_dict is False else output

    def step(self, x: Tensor, tokens: Tensor | None, cache: AiraCache) -> Step:
        """What the layers share of this call; the cache learns of its positions."""
        batch, new, before = *x.shape[:2], cache.get_seq_length()
        known = torch.empty(batch, 0, dtype=torch.long, device=x.device) if cache.positions is None else cache.positions
        first = known.amax(1, keepdim=True) + 1 if before else known.new_zeros(batch, 1)
        queries = first + torch.arange(new, device=x.device)
        keys = torch.cat((known, queries if tokens is None else queries.masked_fill(~tokens, -1)), dim=1)
        cache.positions, cache.padded = keys, cache.padded or tokens is not None
        plain = not cache.padded and (not before or new == 1)  # either causal, or all is seen
        seen, angles = None if plain else visible(queries, keys), self.rotary(queries, before + new)
        if "W" not in self.config.layers:
            return Step(tokens, angles, seen)
        window, held = self.config.window, self.held(cache) + new
        near = None if plain and held <= window else visible(queries, keys[:, -held:], window)
        return Step(
            tokens, angles, seen, near, kept(keys[:, -held:], window) if cache.padded else min(held, window - 1)
        )

    def held(self, cache: AiraCache) -> int:
        """Columns that attention in a window holds from the calls before."""
        state = cache.states[self.config.layers.index("W")]
        return 0 if state is None else state[0].shape[1]


def kept(keys: Tensor, window: int) -> int:
    """Of so many last columns [batch, columns], positions or -1, some row's next position sees the first."""
    first_seen = keys.amax(1, keepdim=True) + 2 - window
    seen = (keys >= first_seen.clamp(min=0)).any(0)
    return len(seen) - int(seen.int().argmax())


def tokens_first(attention_mask: Tensor | None, new: int) -> tuple[Tensor | None, Tensor | None]:
    """Which of the new positions are tokens once they come before the padding, and the order that moves them there.

    Both are [batch, new], and None where there is no padding.
    """
    if attention_mask is None:
        return None, None
    if attention_mask.dim() != 2:
        raise ValueError(f"attention_mask has {attention_mask.dim()} axes; give [batch, columns], 0 for padding")
    tokens = attention_mask[:, -new:].bool()
    if tokens.all():
        return None, None
    order = (~tokens).int().argsort(dim=1, stable=True)
    return tokens.gather(1, order), order


def moved(x: Tensor, order: Tensor | None) -> Tensor:
    """Put the positions of x [batch, new, channels] in another order."""
    return x if order is None else x.gather(1, order.unsqueeze(-1).expand_as(x))


class AiraForCausalLM(AiraPreTrainedModel, GenerationMixin):
    """The model with a head that gives the logits of the next token."""

    _tied_weights_keys = {"head.weight": "backbone.embedding.weight"}
    _is_stateful = True  # a state cannot be taken back by some tokens

    def __init__(self, config: AiraConfig) -> None:
        super().__init__(config)
        self.backbone = AiraModel(config)
        self.head: nn.Module = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """See transformers."""
        return self.backbone.embedding

    def set_input_embeddings(self, value: nn.Module) -> None:
        """See transformers."""
        self.backbone.embedding = value

    def get_output_embeddings(self) -> nn.Module:
        """See transformers."""
        return self.head

    def set_output_embeddings(self, value: nn.Module) -> None:
        """See transformers."""
        self.head = value

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """Logits [batch, new, vocab] of the token after each; arguments as of `AiraModel.forward`.

        Args:
            input_ids: see there.
            attention_mask: see there.
            inputs_embeds: see there.
            labels: the tokens again, -100 where none counts, for the mean loss.
            use_cache: see there.
            logits_to_keep: of how many last positions logits are wanted, or of which; 0: of all.
            return_dict: see there.
            **kwargs: see there.
        """
        output = self.backbone(input_ids, attention_mask, inputs_embeds, use_cache, **kwargs)
        wanted = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.head(output.last_hidden_state[:, wanted])
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())
        given: dict[str, Any] = {CACHE: output.get(CACHE), "hidden_states": output.get("hidden_states")}
        output = CausalLMOutputWithPast(loss=loss, logits=logits, **given)
        return output.to_tuple() if return_dict is False else output

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False  # the model makes its own

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The arguments of the next call: of columns that the cache does not know yet."""
        cache = kwargs.get(CACHE)
        known = 0 if cache is None else cache.get_seq_length()
        columns = input_ids.shape[1] if attention_mask is None else attention_mask.shape[1]
        given: dict[str, Any] = {"input_ids": input_ids[:, -(columns - known) :]}
        if inputs_embeds is not None and not known:
            given = {"inputs_embeds": inputs_embeds}
        given |= {name: kwargs[name] for name in PASSED_ON if name in kwargs}
        return {**given, "attention_mask": attention_mask, CACHE: cache}
