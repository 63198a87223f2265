"""Invalid: it has no `encode` and `classify`, but reads both documents at once."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class CustomDualEncoder(nn.Module):
    """A model that attends from one document to the other could be written so."""

    vocab_size: int
    num_classes: int
    max_len: int

    @nn.compact
    def __call__(self, inputs1: jax.Array, inputs2: jax.Array, *, train: bool) -> jax.Array:
        """From two documents to logits [B, num_classes]."""
        both = nn.Embed(self.vocab_size, 8)(jnp.concatenate([inputs1, inputs2], axis=1))
        return nn.Dense(self.num_classes)(both.mean(axis=1))
