"""The state space recurrence of Mamba-2 (SSD): by steps, by chunks, by the GPU kernels of fla-core or mamba-ssm.

With a_t = exp(A dt_t) per head, H_t = a_t H_{t-1} + dt_t x_t B_t^T (head_dim x d_state) and y_t = H_t C_t. B and C are
shared by the heads of a group (Dao and Gu 2024, arXiv 2405.21060). All functions take

    x  [batch, length, heads, head_dim]      dt [batch, length, heads], positive
    A  [heads], negative                     B, C [batch, length, groups, d_state]

dt and A are in fp32 at least, whatever the others have: products of many decays are what a model remembers by.
"""

from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from aira_lib.device import CUDA_SCANS, import_problem, kernels
from aira_lib.errors import MissingDependency, UserError
from aira_lib.models.kept import making

Kernel = Literal["auto", "torch", "fla", "mamba-ssm"]
"""What computes a layer. "torch" is plain PyTorch on any device: FSDP needs it on a CPU, for it frees the memory of
weights that fused kernels hold on to. "auto" is the fastest that is here: on a CPU the fused kernels of the extra
`fast`, on CUDA what `aira_lib.device.kernels` names."""

FORGET = -1e4
"""Log of the decay at a document's beginning: exp is 0, and sums with it stay finite."""

# Up to this length a product with a constant 0/1 table sums segments faster on a CPU than a masked cumulative sum.
TABLE_LENGTH = 64


def ssd_step(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """One position of the recurrence: all arguments without their length axis.

    Returns:
        y [batch, heads, head_dim] and the new state [batch, heads, head_dim, d_state].
    """
    per_group = x.shape[1] // B.shape[1]
    B, C = (t.repeat_interleave(per_group, dim=1) for t in (B, C))
    state = torch.exp(dt * A)[..., None, None] * state + (dt[..., None] * x)[..., None] * B[:, :, None]
    return torch.einsum("bhpn,bhn->bhp", state, C), state


def ssd_sequential(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The plain recurrence, position by position: slow, and the definition the others are tested against.

    Returns:
        y, shaped like x, and the last state [batch, heads, head_dim, d_state].
    """
    if state is None:
        state = x.new_zeros(x.shape[0], x.shape[2], x.shape[3], B.shape[-1])
    ys = []
    for t in range(x.shape[1]):
        y, state = ssd_step(x[:, t], dt[:, t], A, B[:, t], C[:, t], state)
        ys.append(y)
    return torch.stack(ys, dim=1), state


def segment_sum(a: Tensor) -> Tensor:
    """Sums of all segments: out[..., i, j] = a[j+1] + ... + a[i] for j < i, and 0 from the diagonal up.

    Every entry adds up its own terms only. The difference of two cumulative sums would be shorter and lose digits.
    What lies above the diagonal has to be masked after its exponential: exp(-inf) is a CPU's slow case.
    """
    length = a.shape[-1]
    if a.device.type == "cpu" and length <= TABLE_LENGTH:
        return (a.reshape(-1, length) @ _segment_table(length, a.dtype)).view(*a.shape, length)
    below = torch.ones(length, length, dtype=torch.bool, device=a.device).tril(-1)
    return a[..., None].expand(*a.shape, length).masked_fill(~below, 0).cumsum(-2)


@lru_cache(maxsize=16)
def _segment_table(length: int, dtype: torch.dtype) -> Tensor:
    """table[k, (i, j)] = 1 where j < k <= i, else 0."""
    with making():
        k, i, j = torch.meshgrid(*[torch.arange(length)] * 3, indexing="ij")
        return ((j < k) & (k <= i)).to(dtype).view(length, length * length)


def ssd_chunked(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    chunk: int = 32,
    state: Tensor | None = None,
    starts: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The recurrence by chunks: within a chunk masked matrix products, between chunks a scan over their states.

    Any length: the end is padded with dt = 0, which leaves the state as it is. `state` is that before the first
    position, None for zeros; `starts` [batch, length] is True where it is forgotten before a position.

    Returns:
        y, shaped like x, and the last state [batch, heads, head_dim, d_state].
    """
    length = x.shape[1]
    pad = -length % chunk
    x, B, C = (F.pad(t, (0, 0, 0, 0, 0, pad)) for t in (x, B, C))
    starts = starts if starts is None else F.pad(starts, (0, pad))
    xdt, a, B, C = _by_chunk(x, F.pad(dt, (0, 0, 0, pad)), A, B, C, chunk, starts)
    decay = segment_sum(a).exp()
    own = B.mT.unsqueeze(3) @ (xdt * decay[..., -1, :, None])
    carried = _carry(own, a.sum(-1), state)
    y = _within(xdt, decay, B, C) + (C.unsqueeze(3) @ carried[:, :-1]) * a.cumsum(-1).exp().unsqueeze(-1)
    return _by_position(y)[:, :length], carried[:, -1].flatten(1, 2).mT


def _by_chunk(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, chunk: int, starts: Tensor | None
) -> tuple[Tensor, ...]:
    """Cut the length into chunks and bring it next to the channels; the state is forgotten at `starts`.

    Returns:
        x dt [batch, chunks, groups, heads a group, chunk, head_dim], A dt (the same without head_dim), and
        B and C [batch, chunks, groups, chunk, d_state].
    """
    batch, length, heads, head_dim = x.shape
    chunks, groups = length // chunk, B.shape[2]
    heads_cut = (batch, chunks, chunk, groups, heads // groups)
    xdt = (x * dt.unsqueeze(-1)).view(*heads_cut, head_dim).permute(0, 1, 3, 4, 2, 5)
    a = dt * A if starts is None else (dt * A).masked_fill(starts.unsqueeze(-1), FORGET)
    a = a.view(*heads_cut).permute(0, 1, 3, 4, 2)
    B, C = (t.reshape(batch, chunks, chunk, groups, -1).transpose(2, 3) for t in (B, C))
    return xdt, a, B, C


def _within(xdt: Tensor, decay: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """What each position of a chunk receives from the chunk's own positions up to it."""
    return ((C @ B.mT).tril().unsqueeze(3) * decay) @ xdt


def _carry(own: Tensor, total: Tensor, state: Tensor | None) -> Tensor:
    """States at the chunks' borders, by the same segment sums one level up.

    Args:
        own: what each chunk adds to the state [batch, chunks, groups, heads a group, d_state, head_dim].
        total: log of each chunk's decay [batch, chunks, groups, heads a group].
        state: before the first chunk [batch, heads, head_dim, d_state], or None for zeros.

    Returns:
        [batch, chunks + 1, groups, heads a group, d_state, head_dim]: before each chunk, and after the last.
    """
    first = torch.zeros_like(own[:, 0]) if state is None else state.mT.reshape(own[:, 0].shape)
    decay = segment_sum(F.pad(total.movedim(1, -1), (1, 0))).exp().tril()
    return torch.einsum("bgrij,bjgrnp->bigrnp", decay, torch.cat((first.unsqueeze(1), own), dim=1))


def _by_position(y: Tensor) -> Tensor:
    """Undo `_by_chunk`: back to [batch, length, heads, head_dim]."""
    return y.permute(0, 1, 4, 2, 3, 5).flatten(3, 4).flatten(1, 2)


def ssd(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    chunk: int,
    kernel: Kernel = "auto",
    starts: Tensor | None = None,
) -> Tensor:
    """The recurrence from a zero state by the fastest way at hand; returns y, shaped like x.

    x, B and C may be in bf16. With `starts`, as of `ssd_chunked`, plain PyTorch computes it on any device.

    Raises:
        UserError: a GPU kernel is asked for on a device that is not CUDA, or cannot be imported.
        MissingDependency: it is asked for and not installed.
    """
    if starts is None and (scan := _gpu_scan(kernel, x.device)) != "torch":
        return (ssd_by_fla if scan == "fla" else _ssd_by_mamba_ssm)(x, dt, A, B, C, chunk)
    B, C = B.to(dt.dtype), C.to(dt.dtype)
    if x.shape[1] > chunk:
        return ssd_chunked(x, dt, A, B, C, chunk, starts=starts)[0]
    xdt, a, B, C = _by_chunk(x, dt, A, B, C, x.shape[1], starts)
    return _by_position(_within(xdt, segment_sum(a).exp(), B, C))


def ssd_by_fla(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, chunk: int) -> Tensor:
    """The recurrence as a gated linear attention with one gate a head (Yang and others 2024, arXiv 2312.06635).

    S_t = exp(g_t) S_{t-1} + k_t v_t^T and o_t = scale S_t^T q_t are it with q = C, k = B, v = dt x, g = dt A and scale
    1. There every head has its own k and q. The chunk is fla-core's own, for which its kernels are made.
    """
    from fla.ops.simple_gla import chunk_simple_gla

    each = x.shape[2] // B.shape[2]
    B, C = (t.to(x.dtype).repeat_interleave(each, dim=2) for t in (B, C))
    values = (x * dt.unsqueeze(-1)).to(x.dtype)
    y: Tensor = chunk_simple_gla(q=C, k=B, v=values, g=dt * A, scale=1.0)[0]
    return y


def _ssd_by_mamba_ssm(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, chunk: int) -> Tensor:
    from mamba_ssm.ops.triton.ssd_combined import mamba_chunk_scan_combined

    return mamba_chunk_scan_combined(x, dt, A, B, C, chunk_size=chunk)  # type: ignore[no-any-return]


def _gpu_scan(kernel: Kernel, device: torch.device) -> str:
    """What computes a scan: "fla", "mamba-ssm", or "torch" for plain PyTorch."""
    if kernel == "auto":
        return kernels("cuda") if device.type == "cuda" else "torch"
    if kernel == "torch":
        return kernel
    if device.type != "cuda":
        raise UserError(f"kernel {kernel!r} runs on CUDA, not on {device.type}: use kernel 'auto' or 'torch'")
    if problem := import_problem(CUDA_SCANS[kernel]):
        if problem.missing and kernel == "fla":
            raise MissingDependency(f"kernel {kernel!r}", "gpu")
        if problem.missing:
            raise MissingDependency(f"kernel {kernel!r}", "gpu-nvcc")
        raise UserError(f"kernel {kernel!r} cannot be imported ({problem.words}): use kernel 'auto' or 'torch'")
    return kernel
