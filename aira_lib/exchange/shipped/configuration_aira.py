"""The configuration of an AIRA model: a list of layers, and their dimensions."""

from typing import Any

from transformers import PretrainedConfig


class AiraConfig(PretrainedConfig):
    """What `modeling_aira` builds a model of.

    Args:
        layers: one symbol a layer, first layer first: A attention, W attention in a window, M an MLP, Mb Mamba-2.
        vocab_size: kinds of tokens.
        d_model: width of the residual stream.
        n_heads: query heads of attention.
        n_kv_heads: key and value heads; each serves n_heads / n_kv_heads query heads.
        head_dim: width of a head of attention.
        window: positions that W sees, itself included.
        rotary_theta: base of the rotary frequencies of A and W.
        rotary_scaling: Llama 3's stretching of these frequencies: factor, low_freq_factor, high_freq_factor and
            original_length; None: none.
        d_ff: width of an MLP's hidden layer.
        mlp: "swiglu" or "relu".
        d_ssm: channels of a Mamba-2 layer.
        d_state: values that its state keeps for each channel.
        ssm_head_dim: channels that share a decay.
        n_groups: groups of heads; the heads of one share B and C.
        d_conv: positions that its convolution sees.
        norm_eps: added to the mean square in the norms of layers, and in the last.
        max_position_embeddings: positions that the model was trained on at once. Nothing forbids more.
        tie_word_embeddings: whether the head is the embedding.
        use_cache: whether a call says what the next one goes on from.
        **kwargs: of every configuration.
    """

    model_type = "aira"
    attribute_map = {
        "hidden_size": "d_model",
        "intermediate_size": "d_ff",
        "num_attention_heads": "n_heads",
        "num_key_value_heads": "n_kv_heads",
    }

    def __init__(
        self,
        layers: list[str] | None = None,
        vocab_size: int = 256,
        d_model: int = 64,
        n_heads: int = 4,
        n_kv_heads: int = 4,
        head_dim: int = 16,
        window: int = 64,
        rotary_theta: float = 500_000.0,
        rotary_scaling: dict[str, float] | None = None,
        d_ff: int = 256,
        mlp: str = "swiglu",
        d_ssm: int = 128,
        d_state: int = 64,
        ssm_head_dim: int = 32,
        n_groups: int = 1,
        d_conv: int = 4,
        norm_eps: float = 1e-5,
        max_position_embeddings: int = 256,
        tie_word_embeddings: bool = True,
        use_cache: bool = True,
        **kwargs: Any,
    ) -> None:
        self.layers = list(layers or ["A", "M"])
        self.vocab_size, self.d_model = vocab_size, d_model
        self.n_heads, self.n_kv_heads, self.head_dim, self.window = n_heads, n_kv_heads, head_dim, window
        self.rotary_theta, self.rotary_scaling = rotary_theta, rotary_scaling
        self.d_ff, self.mlp = d_ff, mlp
        self.d_ssm, self.d_state, self.ssm_head_dim = d_ssm, d_state, ssm_head_dim
        self.n_groups, self.d_conv = n_groups, d_conv
        self.norm_eps, self.max_position_embeddings = norm_eps, max_position_embeddings
        self.use_cache = use_cache
        kwargs |= {"num_hidden_layers": len(self.layers), "tie_word_embeddings": tie_word_embeddings}
        super().__init__(**kwargs)
