"""Softmax attention within chunks, blended at every place with linear attention over the whole row.

Near places are told apart exactly and far ones through sums, so that work is linear in L: within chunks it grows with
L times CHUNK.
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


def chunk_attention(q: jax.Array, k: jax.Array, v: jax.Array, mask: jax.Array, size: int) -> jax.Array:
    """Softmax attention among the places of a chunk; q, k and v [B, L, H, d], mask [B, L]; returns [B, L, H, d]."""
    length = q.shape[1]
    q, k, v, kept = (chunked(each, size) for each in (q, k, v, mask))
    scores = jnp.einsum("bnqhd,bnkhd->bnhqk", q, k) / jnp.sqrt(q.shape[-1])
    weights = nn.softmax(jnp.where(kept[:, :, None, None, :], scores, -1e9))
    mixed = jnp.einsum("bnhqk,bnkhd->bnqhd", weights, v)
    return mixed.reshape(len(mixed), -1, *mixed.shape[3:])[:, :length]


def chunked(x: jax.Array, size: int) -> jax.Array:
    """From [B, L, ...] to [B, chunks, size, ...], the last chunk filled up with zeros."""
    x = jnp.pad(x, ((0, 0), (0, -x.shape[1] % size), *((0, 0),) * (x.ndim - 2)))
    return x.reshape(len(x), -1, size, *x.shape[2:])


def linear_attention(q: jax.Array, k: jax.Array, v: jax.Array, mask: jax.Array) -> jax.Array:
    """Weights proportional to phi(q) . phi(k) with phi = ELU + 1: sums over places come first, so work is linear.

    Takes q, k and v [B, L, H, d] and mask [B, L]; returns [B, L, H, d].
    """
    q, k = nn.elu(q) + 1, (nn.elu(k) + 1) * mask[..., None, None]
    summed = jnp.einsum("blhd,blhe->bhde", k, v)
    weight = jnp.einsum("blhd,bhd->blh", q, k.sum(axis=1))
    return jnp.einsum("blhd,bhde->blhe", q, summed) / (weight[..., None] + 1e-6)


class Mixer(nn.Module):
    """Both attentions of the same queries, keys and values; each place and head says how much of which it takes."""

    num_heads: int
    qkv_dim: int

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        """From [B, L, D] to [B, L, D]; mask [B, L] is false at padding."""
        heads = (self.num_heads, self.qkv_dim // self.num_heads)
        q, k, v = (nn.DenseGeneral(heads, use_bias=False)(x) for _ in range(3))
        near, far = chunk_attention(q, k, v, mask, CHUNK), linear_attention(q, k, v, mask)
        gate = nn.sigmoid(nn.Dense(self.num_heads)(x))[..., None]
        mixed = gate * near + (1 - gate) * far
        return nn.DenseGeneral(x.shape[-1], axis=(-2, -1), use_bias=False)(mixed)


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
