"""A state-space model with states of one number a channel, run forwards and backwards over the row.

Each channel keeps a mean of what it has read that fades as the input says: h[t] = a[t] h[t-1] + (1 - a[t]) v[t], half
of the channels from the left and half from the right. Work is linear in L.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

CHUNK = 64


def positions(length: int, width: int) -> jax.Array:
    """Sines and cosines of every place, [length, width]."""
    channel = jnp.arange(width)
    angles = jnp.arange(length)[:, None] * jnp.exp(-jnp.log(10_000.0) * (channel // 2 * 2) / width)
    return jnp.where(channel % 2 == 0, jnp.sin(angles), jnp.cos(angles))


def recurrence(a: jax.Array, b: jax.Array, size: int) -> jax.Array:
    """The states h[t] = a[t] h[t-1] + b[t] from h = 0; a and b [B, L, D]; returns [B, L, D].

    An associative scan within chunks of `size` places, in a loop over the chunks that hands the last state on: scanned
    as a whole, a long row makes a program that takes minutes to compile.
    """
    length = a.shape[1]
    padding = ((0, 0), (0, -length % size), (0, 0))
    chunks = [jnp.pad(each, padding).reshape(len(a), -1, size, a.shape[2]).swapaxes(0, 1) for each in (a, b)]

    def advance(state: jax.Array, chunk: list[jax.Array]) -> tuple[jax.Array, jax.Array]:
        decay, states = jax.lax.associative_scan(composed, tuple(chunk), axis=1)
        states = states + decay * state[:, None]
        return states[:, -1], states

    states: jax.Array = jax.lax.scan(advance, jnp.zeros_like(a[:, 0]), chunks)[1]
    return states.swapaxes(0, 1).reshape(len(a), -1, a.shape[2])[:, :length]


def composed(first: tuple[jax.Array, jax.Array], then: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    """Two steps h -> a h + b as one."""
    return first[0] * then[0], then[0] * first[1] + then[1]


def from_both_ends(x: jax.Array) -> jax.Array:
    """The second half of the channels in the opposite order of places; twice is nothing. [B, L, D]."""
    half = x.shape[-1] // 2
    return jnp.concatenate([x[..., :half], x[:, ::-1, half:]], axis=-1)


def slow_decay(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
    """Biases by which memories reach from about three places to four hundred before anything is learned."""
    return jax.random.uniform(key, shape, dtype, 1.0, 6.0)


class Mixer(nn.Module):
    """The recurrence of `qkv_dim` channels, gated by the place that reads it. There are no heads."""

    num_heads: int
    qkv_dim: int

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        """From [B, L, D] to [B, L, D]; mask [B, L] is false at padding, which leaves a state of 0 as it is."""
        value = nn.Dense(self.qkv_dim, use_bias=False)(x) * mask[..., None]
        decay = nn.sigmoid(nn.Dense(self.qkv_dim, bias_init=slow_decay)(x))
        a, b = from_both_ends(decay), from_both_ends((1 - decay) * value)
        states = from_both_ends(recurrence(a, b, CHUNK))
        gate = nn.silu(nn.Dense(self.qkv_dim, use_bias=False)(x))
        return nn.Dense(x.shape[-1], use_bias=False)(gate * states)


class Block(nn.Module):
    """One layer: mixing over places, then a perceptron at each place, both on normed inputs and added to them."""

    num_heads: int
    qkv_dim: int
    mlp_dim: int
    dropout_rate: float

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array, *, train: bool) -> jax.Array:
        """From [B, L, D] to [B, L, D]; mask [B, L] is false at padding."""
        drop = nn.Dropout(self.dropout_rate, deterministic=not train)
        x = x + drop(Mixer(self.num_heads, self.qkv_dim)(nn.LayerNorm()(x), mask))
        hidden = drop(nn.gelu(nn.Dense(self.mlp_dim)(nn.LayerNorm()(x))))
        return x + drop(nn.Dense(x.shape[-1])(hidden))


class Encoder(nn.Module):
    """Ids to one vector a row: the mean over what is no padding after the last layer."""

    vocab_size: int
    emb_dim: int
    num_heads: int
    num_layers: int
    qkv_dim: int
    mlp_dim: int
    dropout_rate: float

    @nn.compact
    def __call__(self, inputs: jax.Array, *, train: bool) -> jax.Array:
        """From ids [B, L] to [B, emb_dim]."""
        mask = inputs > 0
        x = nn.Embed(self.vocab_size, self.emb_dim, embedding_init=nn.initializers.normal(1.0))(inputs)
        x = nn.Dropout(self.dropout_rate, deterministic=not train)(x + positions(x.shape[1], self.emb_dim))
        for _ in range(self.num_layers):
            x = Block(self.num_heads, self.qkv_dim, self.mlp_dim, self.dropout_rate)(x, mask, train=train)
        kept = mask[..., None]
        return (nn.LayerNorm()(x) * kept).sum(axis=1) / jnp.maximum(kept.sum(axis=1), 1)


class CustomEncoder(nn.Module):
    """Text and ListOps. The first three fields are needed; the rest are set where they are declared."""

    vocab_size: int
    num_classes: int
    max_len: int
    emb_dim: int = 64
    num_heads: int = 4
    num_layers: int = 2
    qkv_dim: int = 64
    mlp_dim: int = 128
    dropout_rate: float = 0.1

    @nn.compact
    def __call__(self, inputs: jax.Array, *, train: bool) -> jax.Array:
        """From ids int32 [B, L], 0 for padding, to logits [B, num_classes]."""
        encoder = Encoder(
            self.vocab_size, self.emb_dim, self.num_heads, self.num_layers, self.qkv_dim, self.mlp_dim,
            self.dropout_rate,
        )  # fmt: skip
        hidden = nn.relu(nn.Dense(self.mlp_dim)(encoder(inputs, train=train)))
        return nn.Dense(self.num_classes)(hidden)


class CustomDualEncoder(nn.Module):
    """Retrieval: each document is encoded without the other, then the two encodings are compared."""

    vocab_size: int
    num_classes: int
    max_len: int
    emb_dim: int = 64
    num_heads: int = 4
    num_layers: int = 2
    qkv_dim: int = 64
    mlp_dim: int = 128
    dropout_rate: float = 0.1

    def setup(self) -> None:
        """One encoder for both documents, and a perceptron over what it says of them."""
        self.encoder = Encoder(
            self.vocab_size, self.emb_dim, self.num_heads, self.num_layers, self.qkv_dim, self.mlp_dim,
            self.dropout_rate,
        )  # fmt: skip
        self.hidden = nn.Dense(self.mlp_dim), nn.Dense(self.mlp_dim // 2)
        self.head = nn.Dense(self.num_classes)

    def encode(self, inputs: jax.Array, *, train: bool) -> jax.Array:
        """From ids int32 [B, L], 0 for padding, to encodings [B, emb_dim]."""
        return self.encoder(inputs, train=train)

    def classify(self, encoded1: jax.Array, encoded2: jax.Array, *, train: bool) -> jax.Array:
        """From the encodings of both documents to logits [B, num_classes]."""
        x = jnp.concatenate([encoded1, encoded2, encoded1 * encoded2, encoded1 - encoded2], axis=-1)
        for layer in self.hidden:
            x = nn.relu(layer(x))
        return self.head(x)

    def __call__(self, inputs1: jax.Array, inputs2: jax.Array, *, train: bool) -> jax.Array:
        """From two documents, int32 [B, L] each, to logits [B, num_classes]."""
        return self.classify(self.encode(inputs1, train=train), self.encode(inputs2, train=train), train=train)
