"""Invalid: it gives one number a row, where a logit for each class is asked for."""

import flax.linen as nn
import jax


class CustomEncoder(nn.Module):
    """A model with the wrong shape."""

    vocab_size: int
    num_classes: int
    max_len: int

    @nn.compact
    def __call__(self, inputs: jax.Array, *, train: bool) -> jax.Array:
        """From ids int32 [B, L] to [B]."""
        return nn.Embed(self.vocab_size, 1)(inputs).mean(axis=(1, 2))
