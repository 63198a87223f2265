"""Remembers of each document the value of one key, `seal = ...`, and how often each byte occurs; compares both.

The value is found by its key's bytes; what an agreement means is learned, and so is what bytes in common mean.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

KEY, BITS = b"seal = ", 5


class CustomDualEncoder(nn.Module):
    """A perceptron over products and differences of what is remembered."""

    vocab_size: int
    num_classes: int
    max_len: int
    emb_dim: int = 64
    mlp_dim: int = 128

    def setup(self) -> None:
        """Vectors of bytes, and a perceptron."""
        self.embed = nn.Embed(self.vocab_size, self.emb_dim)
        self.hidden = nn.Dense(self.mlp_dim)
        self.head = nn.Dense(self.num_classes, kernel_init=nn.initializers.zeros)

    def encode(self, inputs: jax.Array, *, train: bool) -> jax.Array:
        """From ids int32 [B, L] to the value, a capital, as bits, and the mean of vectors, [B, 5 + emb_dim]."""
        padded, length = jnp.pad(inputs, ((0, 0), (0, len(KEY) + 1))), inputs.shape[1]
        here = jnp.stack([padded[:, i : i + length] == byte + 1 for i, byte in enumerate(KEY)]).all(axis=0)
        letter = padded[:, len(KEY) :][:, :length] - ord("A") - 1
        value = ((2 * (letter[..., None] >> jnp.arange(BITS) & 1) - 1) * here[..., None]).sum(axis=1)
        mask = (inputs > 0)[..., None]
        mean = (self.embed(inputs) * mask).sum(axis=1) / jnp.maximum(mask.sum(axis=1), 1)
        return jnp.concatenate([value, mean], axis=-1)

    def classify(self, encoded1: jax.Array, encoded2: jax.Array, *, train: bool) -> jax.Array:
        """From the encodings of both documents to logits [B, num_classes]."""
        apart, together = jnp.abs(encoded1 - encoded2), encoded1 * encoded2
        agree = together[:, :BITS].sum(axis=-1, keepdims=True) >= BITS
        hidden = nn.relu(self.hidden(jnp.concatenate([apart, together], axis=-1)))
        return self.head(jnp.concatenate([hidden, 10.0 * agree - 5], axis=-1))

    def __call__(self, inputs1: jax.Array, inputs2: jax.Array, *, train: bool) -> jax.Array:
        """From two documents to logits [B, num_classes]."""
        return self.classify(self.encode(inputs1, train=train), self.encode(inputs2, train=train), train=train)
