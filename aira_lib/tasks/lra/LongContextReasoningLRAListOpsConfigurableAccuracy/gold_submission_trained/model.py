"""Reads two levels of an expression: the outermost operator, and the operators and digits right below it.

Places are counted by how many operators are open there, which needs no learning; a perceptron learns the rest.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

FIRST_OPERATOR, CLOSE = 11, 15  # ids 1 to 10 are digits, 11 to 14 operators


class CustomEncoder(nn.Module):
    """A perceptron over what stands at the first two depths."""

    vocab_size: int
    num_classes: int
    max_len: int
    mlp_dim: int = 128

    @nn.compact
    def __call__(self, inputs: jax.Array, *, train: bool) -> jax.Array:
        """From ids int32 [B, L] to logits [B, num_classes]."""
        opens, closes = (inputs >= FIRST_OPERATOR) & (inputs < CLOSE), inputs == CLOSE
        depth = jnp.cumsum(opens, axis=1) - jnp.cumsum(closes, axis=1) - opens  # of operators open around a place
        token = jax.nn.one_hot(inputs, self.vocab_size) * (inputs > 0)[..., None]
        root = token[:, 0]
        counts = jnp.einsum("bl,blv->bv", (depth == 1).astype(token.dtype), token)
        seen = jnp.concatenate([root, counts, counts > 0], axis=-1)
        joint = (root[:, FIRST_OPERATOR:CLOSE, None] * seen[:, None, :]).reshape(len(seen), -1)
        x = nn.relu(nn.Dense(4 * self.mlp_dim)(joint))
        return nn.Dense(self.num_classes, kernel_init=nn.initializers.zeros)(nn.relu(nn.Dense(self.mlp_dim)(x)))
