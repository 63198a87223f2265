"""The layers of an AIRA model, and what each keeps of the positions before.

Shapes are written as [batch, new, channels]: `new` are the positions of this call, behind those that a state knows.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .configuration_aira import AiraConfig

CHUNK = 64
"""Positions of a chunk of Mamba-2's scan."""

SSM_NORM_EPS = 1e-5
"""Added to the mean square in the gated norm of Mamba-2, as in the published block."""

State = tuple[Tensor, Tensor]
"""What a layer keeps: attention its keys and values [batch, held, key heads, head_dim], Mamba-2 the last inputs of its
convolution [batch, d_conv - 1, channels] and the memory of its scan [batch, heads, ssm_head_dim, d_state]."""


class Step(NamedTuple):
    """What the layers of one call share.

    Attributes:
        tokens: which positions are tokens, those before the padding [batch, new]; None: all are.
        angles: cosines and sines of the rotary angles, each [batch, new, 1, head_dim / 2].
        seen: of attention over all, what each new position sees [batch, 1, new, columns]; None: all up to itself.
        near: of attention in a window, the same over the columns that it holds.
        kept: columns that attention in a window goes on to hold.
    """

    tokens: Tensor | None
    angles: tuple[Tensor, Tensor]
    seen: Tensor | None
    near: Tensor | None = None
    kept: int = 0


class Attention(nn.Module):
    """Grouped-query attention; queries, keys and values come from one projection, in this order."""

    def __init__(self, config: AiraConfig, windowed: bool) -> None:
        super().__init__()
        self.heads = [config.n_heads, config.n_kv_heads, config.n_kv_heads]
        self.head_dim, self.windowed = config.head_dim, windowed
        self.qkv = nn.Linear(config.d_model, sum(self.heads) * config.head_dim, bias=False)
        self.out = nn.Linear(config.n_heads * config.head_dim, config.d_model, bias=False)

    def forward(self, x: Tensor, step: Step, state: State | None) -> tuple[Tensor, State]:
        """Mix x [batch, new, d_model] over positions; the new state reaches up to them."""
        q, k, v = self.qkv(x).unflatten(-1, (-1, self.head_dim)).split(self.heads, dim=2)
        q, k = rotate(q, step.angles), rotate(k, step.angles)
        if state is not None:
            k, v = torch.cat((state[0], k), dim=1), torch.cat((state[1], v), dim=1)
        mask = step.near if self.windowed else step.seen
        mixed = F.scaled_dot_product_attention(
            q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), attn_mask=mask,
            is_causal=mask is None and q.shape[1] == k.shape[1], enable_gqa=q.shape[2] != k.shape[2],
        )  # fmt: skip
        if self.windowed:
            k, v = (each[:, each.shape[1] - step.kept :].clone() for each in (k, v))
        return self.out(mixed.transpose(1, 2).flatten(2)), (k, v)


class Rotary:
    """The table of rotary angles (Su et al. 2021, arXiv 2104.09864), made in fp64, for as many positions as are asked.

    It is no buffer, so that no conversion of the model rounds it.
    """

    def __init__(self, config: AiraConfig) -> None:
        self.config = config
        self.table: tuple[Tensor, Tensor] | None = None

    def __call__(self, positions: Tensor, most: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines of positions [batch, new], all below `most`: each [batch, new, 1, head_dim / 2] in fp32."""
        if self.table is None or len(self.table[0]) < most or self.table[0].device != positions.device:
            angles = torch.outer(torch.arange(2 * most, dtype=torch.float64), self.frequencies())
            self.table = angles.cos().float().to(positions.device), angles.sin().float().to(positions.device)
        return self.table[0][positions].unsqueeze(2), self.table[1][positions].unsqueeze(2)

    def frequencies(self) -> Tensor:
        """Radians a position of each pair of channels [head_dim / 2], stretched as Llama 3's where that is asked."""
        half = torch.arange(0, self.config.head_dim, 2, dtype=torch.float64) / self.config.head_dim
        plain = self.config.rotary_theta**-half
        if self.config.rotary_scaling is None:
            return plain
        factor, low, high, length = (
            self.config.rotary_scaling[name]
            for name in ("factor", "low_freq_factor", "high_freq_factor", "original_length")
        )
        kept = ((length * plain / (2 * math.pi) - low) / (high - low)).clamp(0, 1)
        return plain * (kept + (1 - kept) / factor)


def rotate(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Turn each pair of neighbouring channels of x [batch, new, heads, head_dim] by its position's angle."""
    cosines, sines = angles
    first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack((first * cosines - second * sines, second * cosines + first * sines), dim=-1)
    return turned.flatten(-2).to(x.dtype)


def visible(queries: Tensor, keys: Tensor, window: int | None = None) -> Tensor:
    """[batch, 1, new, columns]: True where a position sees a column; each, though it be padding, sees itself.

    Args:
        queries: positions [batch, new].
        keys: positions of the columns [batch, columns], the last of which are the queries' own; -1 is padding.
        window: positions that one sees, itself included; None: all up to itself.
    """
    behind = queries.unsqueeze(2) - keys.unsqueeze(1)
    seen = (behind >= 0) & (keys >= 0).unsqueeze(1)
    if window is not None:
        seen = seen & (behind < window)
    new, columns = behind.shape[1:]
    itself = torch.ones(new, columns, dtype=torch.bool, device=keys.device).triu(columns - new).tril(columns - new)
    return (seen | itself).unsqueeze(1)


class SwiGLU(nn.Module):
    """out(silu(gate(x)) * up(x)); gate and up come from one projection, in this order."""

    def __init__(self, config: AiraConfig) -> None:
        super().__init__()
        self.gate_up = nn.Linear(config.d_model, 2 * config.d_ff, bias=False)
        self.out = nn.Linear(config.d_ff, config.d_model, bias=False)

    def forward(self, x: Tensor, step: Step, state: None) -> tuple[Tensor, None]:
        """Transform every position of x [batch, new, d_model] on its own."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.out(F.silu(gate) * up), None


class ReLUMLP(nn.Module):
    """out(relu(up(x)))."""

    def __init__(self, config: AiraConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.out = nn.Linear(config.d_ff, config.d_model, bias=False)

    def forward(self, x: Tensor, step: Step, state: None) -> tuple[Tensor, None]:
        """Transform every position of x [batch, new, d_model] on its own."""
        return self.out(F.relu(self.up(x))), None


class Mamba2(nn.Module):
    """Projections, a short causal convolution, a state space recurrence and a gated norm.

    The input projection gives z (the gate), x, B, C and dt, in this order; the convolution runs over x, B and C.
    """

    def __init__(self, config: AiraConfig) -> None:
        super().__init__()
        self.d_ssm, self.d_state, self.groups = config.d_ssm, config.d_state, config.n_groups
        self.head_dim, self.heads = config.ssm_head_dim, config.d_ssm // config.ssm_head_dim
        self.d_xbc = self.d_ssm + 2 * self.groups * self.d_state
        self.in_proj = nn.Linear(config.d_model, self.d_ssm + self.d_xbc + self.heads, bias=False)
        self.conv_weight = nn.Parameter(torch.zeros(self.d_xbc, config.d_conv))
        self.conv_bias = nn.Parameter(torch.zeros(self.d_xbc))
        self.A_log = nn.Parameter(torch.zeros(self.heads))
        self.D = nn.Parameter(torch.ones(self.heads))
        self.dt_bias = nn.Parameter(torch.zeros(self.heads))
        self.norm_weight = nn.Parameter(torch.ones(self.d_ssm))
        self.out = nn.Linear(self.d_ssm, config.d_model, bias=False)

    def forward(self, u: Tensor, step: Step, state: State | None) -> tuple[Tensor, State]:
        """Mix u [batch, new, d_model] over positions; the new state reaches up to them."""
        before = self.conv_weight.shape[1] - 1
        z, xbc, dt = self.in_proj(u).split([self.d_ssm, self.d_xbc, self.heads], dim=-1)
        inputs = F.pad(xbc, (0, 0, before, 0)) if state is None else torch.cat((state[0], xbc), dim=1)
        convolved = F.conv1d(inputs.mT, self.conv_weight.unsqueeze(1), self.conv_bias, groups=self.d_xbc).mT
        x, B, C = F.silu(convolved).float().split([self.d_ssm, *[self.groups * self.d_state] * 2], dim=-1)
        x = x.unflatten(-1, (self.heads, self.head_dim))
        B, C = (each.unflatten(-1, (self.groups, self.d_state)) for each in (B, C))
        dt = F.softplus(dt.float() + self.dt_bias.float())
        if step.tokens is not None:
            dt = dt.masked_fill(~step.tokens.unsqueeze(-1), 0)  # without time the state stays as it is
        y, memory = scan(x, dt, -self.A_log.float().exp(), B, C, None if state is None else state[1])
        y = (y + self.D.float().unsqueeze(-1) * x).flatten(2) * F.silu(z)
        return self.out(self.normed(y).to(u.dtype)), (last_tokens(inputs, before, step.tokens), memory)

    def normed(self, y: Tensor) -> Tensor:
        """RMSNorm of [batch, new, d_ssm] within each group."""
        groups = y.unflatten(-1, (self.groups, -1))
        return F.rms_norm(groups, groups.shape[-1:], eps=SSM_NORM_EPS).flatten(2) * self.norm_weight


def last_tokens(inputs: Tensor, before: int, tokens: Tensor | None) -> Tensor:
    """The last `before` of inputs [batch, before + new, channels] up to each row's last token."""
    if tokens is None:
        return inputs[:, inputs.shape[1] - before :].clone()
    places = tokens.sum(1, keepdim=True) + torch.arange(before, device=inputs.device)
    return inputs.gather(1, places.unsqueeze(-1).expand(-1, -1, inputs.shape[2]))


def scan(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor]:
    """H_t = exp(A dt_t) H_{t-1} + dt_t x_t B_t^T and y_t = H_t C_t, chunk by chunk.

    Within a chunk, position i receives of position j: (C_i . B_j) exp(A (dt_{j+1} + ... + dt_i)) dt_j x_j. What comes
    from chunks before it has passed through the memory H. The end is filled up with dt = 0, which changes no memory.

    Args:
        x: inputs [batch, new, heads, ssm_head_dim], as all in fp32.
        dt: time steps [batch, new, heads].
        A: decay of each head, negative [heads].
        B: what is written where [batch, new, groups, d_state].
        C: what is read from where, as B.
        memory: H before the first position [batch, heads, ssm_head_dim, d_state]; None: zeros.

    Returns:
        y, shaped like x, and H after the last position.
    """
    new, groups = x.shape[1], B.shape[2]
    chunk = min(CHUNK, new)
    x, B, C = (F.pad(each, (0, 0, 0, 0, 0, -new % chunk)) for each in (x, B, C))
    dt = F.pad(dt, (0, 0, 0, -new % chunk))
    # b batch, c chunks, i and j positions within one, g groups, r heads of a group, p channels of a head, n the state
    values = (x * dt.unsqueeze(-1)).unflatten(2, (groups, -1)).unflatten(1, (-1, chunk))
    B, C = B.unflatten(1, (-1, chunk)), C.unflatten(1, (-1, chunk))
    logs = (dt * A).unflatten(2, (groups, -1)).unflatten(1, (-1, chunk)).permute(0, 1, 3, 4, 2)  # bcgri
    decay = segments(logs).exp()
    if memory is None:
        memory = x.new_zeros(*x.shape[:1], *x.shape[2:], B.shape[-1])
    memory, before = memory.unflatten(1, (groups, -1)), []
    written = torch.einsum("bcjgn,bcgrj,bcjgrp->bcgrpn", B, decay[..., -1, :], values)
    total = logs.sum(-1).exp()[..., None, None]
    for number in range(written.shape[1]):
        before.append(memory)
        memory = total[:, number] * memory + written[:, number]
    weights = torch.einsum("bcign,bcjgn->bcgij", C, B).tril().unsqueeze(3) * decay
    y = torch.einsum("bcgrij,bcjgrp->bcigrp", weights, values)
    read = torch.einsum("bcign,bcgrpn->bcigrp", C, torch.stack(before, dim=1))
    y = y + read * logs.cumsum(-1).exp().permute(0, 1, 4, 2, 3).unsqueeze(-1)
    return y.flatten(3, 4).flatten(1, 2)[:, :new], memory.flatten(1, 2)


def segments(logs: Tensor) -> Tensor:
    """Sums of all segments of the last axis: out[..., i, j] = logs[j+1] + ... + logs[i], 0 from the diagonal up.

    Each adds up its own terms alone: the difference of two long sums would lose digits.
    """
    length = logs.shape[-1]
    below = torch.ones(length, length, dtype=torch.bool, device=logs.device).tril(-1)
    return logs[..., None].expand(*logs.shape, length).masked_fill(~below, 0).cumsum(-2)


class Layer(nn.Module):
    """x + mixer(norm(x)), and what the mixer keeps."""

    def __init__(self, symbol: str, config: AiraConfig) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(config.d_model, eps=config.norm_eps)
        self.mixer = mixer(symbol, config)

    def forward(self, x: Tensor, step: Step, state: State | None) -> tuple[Tensor, State | None]:
        """Map x [batch, new, d_model] to the same shape."""
        mixed, state = self.mixer(self.norm(x), step, state)
        return x + mixed, state


def mixer(symbol: str, config: AiraConfig) -> nn.Module:
    """What mixes in a layer of this symbol."""
    if symbol in ("A", "W"):
        return Attention(config, windowed=symbol == "W")
    if symbol == "Mb":
        return Mamba2(config)
    if symbol == "M":
        return SwiGLU(config) if config.mlp == "swiglu" else ReLUMLP(config)
    raise ValueError(f"no layer {symbol!r}; there are A, W, M and Mb")
