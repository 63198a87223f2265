"""Reads words that praise or blame, the "NOT" before them, and every "CONVERSELY", which turns what follows.

Words are found by their bytes, and the sum of what they mean is exact; beside it stands a bag of bytes and pairs of
bytes, so that texts of other words are learned from, too. A perceptron learns the rest.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

PRAISE = ("GOOD", "FINE", "GREAT", "LOVELY", "SUPERB", "BRILLIANT", "CHARMING", "MOVING", "CLEVER", "FRESH")
BLAME = ("BAD", "POOR", "AWFUL", "DULL", "DREADFUL", "CLUMSY", "BORING", "HOLLOW", "STALE", "WEAK")


def found(inputs: jax.Array, word: str) -> jax.Array:
    """Whether the word begins at each place, [B, L]; an id is a byte plus 1."""
    padded = jnp.pad(inputs, ((0, 0), (0, len(word))))
    same = [padded[:, i : i + inputs.shape[1]] == byte + 1 for i, byte in enumerate(word.encode())]
    return jnp.stack(same).all(axis=0)


def mood(inputs: jax.Array) -> jax.Array:
    """The sum of what the words mean, [B]."""
    praise, blame = (jnp.stack([found(inputs, word) for word in words]).sum(axis=0) for words in (PRAISE, BLAME))
    negated = jnp.pad(found(inputs, "NOT "), ((0, 0), (4, 0)))[:, : inputs.shape[1]]
    turned = jnp.cumsum(found(inputs, "CONVERSELY"), axis=1) % 2
    return ((praise - blame) * (1 - 2 * negated) * (1 - 2 * turned)).sum(axis=1)


class CustomEncoder(nn.Module):
    """A perceptron over the mood and a bag of bytes."""

    vocab_size: int
    num_classes: int
    max_len: int
    emb_dim: int = 64
    mlp_dim: int = 128

    @nn.compact
    def __call__(self, inputs: jax.Array, *, train: bool) -> jax.Array:
        """From ids int32 [B, L] to logits [B, num_classes]."""
        mask = (inputs > 0)[..., None]
        x = nn.gelu(nn.Conv(self.emb_dim, (5,))(nn.Embed(self.vocab_size, self.emb_dim)(inputs)))
        bag = (x * mask).sum(axis=1) / jnp.maximum(mask.sum(axis=1), 1)
        read = jnp.tanh(mood(inputs)[:, None].astype(x.dtype))
        hidden = nn.relu(nn.Dense(self.mlp_dim)(jnp.concatenate([bag, read], axis=-1)))
        joined = jnp.concatenate([hidden, 10 * read], axis=-1)
        return nn.Dense(self.num_classes, kernel_init=nn.initializers.zeros)(
            joined
        )  # so that it learns from no answer, and not from a wrong one
