"""A small language model and its training within a fixed budget: the program to start from. Change what you like.

`build_model()` gives the model, whose forward takes tokens [B, T] to logits [B, T, V]; it is all that is used when the
model is scored. Run as a program, this file trains on ./data/train until the budget of ./run.json is nearly used and
leaves weights.safetensors. It defines no metric: the score is computed elsewhere, on text that is not here.

The architecture and the optimizer follow nanochat's speedrun (K. Jordan's Muon; NorMuon, arXiv 2510.05491; Polar
Express, arXiv 2505.16932; value embeddings and residual lambdas of modded-nanogpt).
"""

import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

STARTED = time.time()
RUN = json.loads(Path("run.json").read_text(encoding="utf-8"))
PROFILE: str = RUN["settings"]["profile"]
VOCAB_SIZE: int = RUN["settings"]["vocabulary"]
MAX_SEQ_LEN: int = RUN["settings"]["length"]
TIME_BUDGET: float = RUN["settings"]["budget_seconds"]
CLOCK: str = RUN["settings"]["clock"]  # what counts: "cpu", the process's CPU seconds, or "wall"

# Model. Its width is depth times aspect ratio.
DEPTH = 4
ASPECT_RATIO = 32
HEAD_DIM = 32
WINDOW_PATTERN = "SSSL"  # of layers in turn: L sees all that came before, S half the row; the last layer is L

# Optimization.
TOTAL_BATCH_SIZE = 1024  # tokens of a step
DEVICE_BATCH_SIZE = 4  # rows at once
EMBEDDING_LR = 0.6
UNEMBEDDING_LR = 0.004
MATRIX_LR = 0.04
SCALAR_LR = 0.5
WEIGHT_DECAY = 0.2
ADAM_BETAS = (0.8, 0.95)
WARMUP_RATIO = 0.0
WARMDOWN_RATIO = 0.5
FINAL_LR_FRAC = 0.0
SEED_OFFSET = 0  # added to the seed that the run is given

if PROFILE == "gpu":
    DEPTH = 8
    ASPECT_RATIO = 64
    HEAD_DIM = 128
    TOTAL_BATCH_SIZE = 2**19
    DEVICE_BATCH_SIZE = 128

RESERVE = 2.0 if CLOCK == "cpu" else 5.0  # seconds of the budget that are left for writing the weights
MOMENTUM_STEPS = 300  # over which Muon's momentum rises
POLAR_EXPRESS = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)


def norm(x: Tensor) -> Tensor:
    """RMS norm over the last axis, without weights."""
    return F.rms_norm(x, (x.size(-1),))


def has_value_embedding(layer: int) -> bool:
    """Every other layer, the last one included."""
    return layer % 2 == (DEPTH - 1) % 2


def window_sizes() -> list[int]:
    """How many places back each layer sees."""
    sizes = {"L": MAX_SEQ_LEN, "S": MAX_SEQ_LEN // 2}
    return [sizes[WINDOW_PATTERN[i % len(WINDOW_PATTERN)]] for i in range(DEPTH - 1)] + [MAX_SEQ_LEN]


def window_mask(length: int, window: int, device: torch.device) -> Tensor:
    """Bool [length, length]: whether the place of a row sees that of a column: itself and `window` places before."""
    place = torch.arange(length, device=device)
    back = place[:, None] - place[None, :]
    return (back >= 0) & (back <= window)


def rotations(length: int, device: torch.device, base: float = 10_000.0) -> tuple[Tensor, Tensor]:
    """Cosines and sines [1, length, 1, HEAD_DIM / 2] of rotary embeddings."""
    rates = base ** (-torch.arange(0, HEAD_DIM, 2, dtype=torch.float32, device=device) / HEAD_DIM)
    angles = torch.outer(torch.arange(length, dtype=torch.float32, device=device), rates)[None, :, None, :]
    return angles.cos(), angles.sin()


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Pairs of channels of x [B, T, H, HEAD_DIM] turned by the angle of their place."""
    a, b = x.chunk(2, dim=-1)
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    return torch.cat((a * cos + b * sin, b * cos - a * sin), dim=-1)


class Attention(nn.Module):
    """Causal attention within a window, with queries and keys normed, and a gated value embedding."""

    def __init__(self, layer: int, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD_DIM
        self.q, self.k, self.v, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.gate = nn.Linear(32, self.heads, bias=False) if has_value_embedding(layer) else None

    def forward(self, x: Tensor, ve: Tensor | None, turns: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        """From x [B, T, D], value embeddings [B, T, D] or none, and a mask [T, T] (None: all before) to [B, T, D]."""
        batch, length, width = x.shape
        q, k, v = (each(x).view(batch, length, self.heads, HEAD_DIM) for each in (self.q, self.k, self.v))
        if ve is not None and self.gate is not None:
            gate = 2 * torch.sigmoid(self.gate(x[..., :32]))
            v = v + gate[..., None] * ve.view(batch, length, self.heads, HEAD_DIM)
        q, k = (norm(rotated(each, *turns)) for each in (q, k))
        q, k, v = (each.transpose(1, 2) for each in (q, k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return out


class MLP(nn.Module):
    """Four times as wide inside, with the square of ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """From [B, T, D] to [B, T, D]."""
        out: Tensor = self.down(F.relu(self.up(x)).square())
        return out


class GPT(nn.Module):
    """The language model: forward(idx [B, T]) -> logits [B, T, V] in fp32."""

    def __init__(self) -> None:
        super().__init__()
        width = DEPTH * ASPECT_RATIO
        self.wte = nn.Embedding(VOCAB_SIZE, width)
        self.attention = nn.ModuleList(Attention(i, width) for i in range(DEPTH))
        self.mlp = nn.ModuleList(MLP(width) for _ in range(DEPTH))
        self.value_embeds = nn.ModuleDict(
            {str(i): nn.Embedding(VOCAB_SIZE, width) for i in range(DEPTH) if has_value_embedding(i)}
        )
        self.lm_head = nn.Linear(width, VOCAB_SIZE, bias=False)
        self.resid_lambdas = nn.Parameter(torch.ones(DEPTH))
        self.x0_lambdas = nn.Parameter(torch.full((DEPTH,), 0.1))
        self._initialise(width)

    @torch.no_grad()
    def _initialise(self, width: int) -> None:
        nn.init.normal_(self.wte.weight, std=1.0)
        nn.init.normal_(self.lm_head.weight, std=0.001)
        bound = math.sqrt(3) * width**-0.5
        for name, parameter in self.named_parameters():
            if name.endswith(("out.weight", "down.weight", "gate.weight")):
                nn.init.zeros_(parameter)
            elif name.startswith(("attention", "mlp", "value_embeds")):
                nn.init.uniform_(parameter, -bound, bound)

    def forward(self, idx: Tensor) -> Tensor:
        """From tokens [B, T] to logits [B, T, V]; those of a place depend on tokens up to it alone."""
        length = idx.size(1)
        turns = rotations(length, idx.device)
        x = x0 = norm(self.wte(idx))
        for i, window in enumerate(window_sizes()):
            mask = window_mask(length, window, idx.device) if window < length else None
            ve = self.value_embeds[str(i)](idx).to(x.dtype) if str(i) in self.value_embeds else None
            x = self.resid_lambdas[i] * x + self.x0_lambdas[i] * x0
            x = x + self.attention[i](norm(x), ve, turns, mask)
            x = x + self.mlp[i](norm(x))
        logits: Tensor = self.lm_head(norm(x)).float()
        return 15 * torch.tanh(logits / 15)


def build_model() -> nn.Module:
    """The model, newly initialised."""
    return GPT()


def polar(matrices: Tensor) -> Tensor:
    """About the nearest matrix with orthonormal rows or columns to each of [..., rows, columns]."""
    x: Tensor = matrices.bfloat16() if matrices.is_cuda else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) * 1.02 + 1e-6)
    tall = x.size(-2) > x.size(-1)
    x = x.mT if tall else x
    for a, b, c in POLAR_EXPRESS:
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum made orthogonal, evened out over neurons (NorMuon), with decay only where it goes the update's way.

    A group holds matrices of one shape, which are updated together.
    """

    def __init__(self, groups: list[dict[str, object]]) -> None:
        super().__init__(groups, {"lr": MATRIX_LR, "momentum": 0.95, "beta2": 0.95, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update all matrices by their gradients."""
        for group in self.param_groups:
            parameters, state = group["params"], self.state[group["params"][0]]
            gradient = torch.stack([each.grad for each in parameters])
            rows, columns = gradient.shape[-2:]
            if not state:
                state["momentum"] = torch.zeros_like(gradient)
                state["second"] = gradient.new_zeros(
                    (len(parameters), *((rows, 1) if rows >= columns else (1, columns)))
                )
            state["momentum"].lerp_(gradient, 1 - group["momentum"])
            update = polar(gradient.lerp(state["momentum"], group["momentum"])).float()  # Nesterov
            update = self._evened(update, state["second"], group["beta2"])
            lr = group["lr"] * max(1.0, rows / columns) ** 0.5
            weights = torch.stack(list(parameters))
            shrink = group["weight_decay"] * weights * (update * weights >= 0)
            weights -= lr * (update + shrink)
            for parameter, weight in zip(parameters, weights, strict=True):
                parameter.copy_(weight)

    @staticmethod
    def _evened(update: Tensor, second: Tensor, beta2: float) -> Tensor:
        """Each neuron's update divided by the root of its running mean square; the norm of the whole stays."""
        axis = -1 if second.size(-1) == 1 else -2
        second.lerp_(update.square().mean(dim=axis, keepdim=True), 1 - beta2)
        scaled: Tensor = update * second.clamp_min(1e-10).rsqrt()
        before, after = (each.norm(dim=(-2, -1), keepdim=True) for each in (update, scaled))
        scaled = scaled * (before / after.clamp_min(1e-10))
        return scaled


def optimizers_of(model: GPT) -> list[torch.optim.Optimizer]:
    """AdamW for embeddings, head and scalars; Muon for the matrices of the layers."""
    scale = (DEPTH * ASPECT_RATIO / 768) ** -0.5
    embeddings = [*model.wte.parameters(), *model.value_embeds.parameters()]
    adam = torch.optim.AdamW(
        [
            {"params": [*model.lm_head.parameters()], "lr": UNEMBEDDING_LR * scale},
            {"params": embeddings, "lr": EMBEDDING_LR * scale},
            {"params": [model.resid_lambdas], "lr": SCALAR_LR * 0.01},
            {"params": [model.x0_lambdas], "lr": SCALAR_LR, "betas": (0.96, 0.95)},
        ],
        betas=ADAM_BETAS, eps=1e-10, weight_decay=0.0,
    )  # fmt: skip
    by_shape: dict[tuple[int, ...], list[nn.Parameter]] = {}
    for parameter in [*model.attention.parameters(), *model.mlp.parameters()]:
        by_shape.setdefault(tuple(parameter.shape), []).append(parameter)
    muon = Muon([{"params": same, "lr": MATRIX_LR, "weight_decay": WEIGHT_DECAY} for same in by_shape.values()])
    for optimizer in (adam, muon):
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return [adam, muon]


def lr_factor(progress: float) -> float:
    """Of the learning rates, by the share of the budget that is used."""
    if progress < WARMUP_RATIO:
        return progress / WARMUP_RATIO
    if progress < 1 - WARMDOWN_RATIO:
        return 1.0
    left = max(0.0, 1 - progress) / WARMDOWN_RATIO
    return left + (1 - left) * FINAL_LR_FRAC


def set_rates(optimizers: list[torch.optim.Optimizer], progress: float, step: int) -> None:
    """Set learning rates, momentum and decay of a step."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * lr_factor(progress)
            if isinstance(optimizer, Muon):
                group["momentum"] = 0.85 + 0.10 * min(1.0, step / MOMENTUM_STEPS)
                group["weight_decay"] = WEIGHT_DECAY * (1 - progress)


def batches(folder: Path, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Tokens and the tokens that follow them, int64 [DEVICE_BATCH_SIZE, T], without end; each pass in a new order."""
    tokens, targets = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("tokens", "labels"))
    generator = np.random.default_rng(RUN["seed"] + SEED_OFFSET)
    while True:
        order = generator.permutation(len(tokens))
        for at in range(0, len(order) - DEVICE_BATCH_SIZE + 1, DEVICE_BATCH_SIZE):
            rows = np.sort(order[at : at + DEVICE_BATCH_SIZE])
            yield tuple(torch.from_numpy(each[rows].astype(np.int64)).to(device) for each in (tokens, targets))  # type: ignore[misc]


def elapsed() -> float:
    """Seconds of the budget that are used, imports included."""
    return time.process_time() if CLOCK == "cpu" else time.time() - STARTED


def train() -> None:
    """Train until the budget is nearly used, and write the weights."""
    device = torch.device("cuda" if PROFILE == "gpu" else "cpu")
    if PROFILE == "cpu":
        torch.set_num_threads(1)  # CPU seconds mean something with one thread alone: idle threads spin
    torch.manual_seed(RUN["seed"] + SEED_OFFSET)
    model = GPT().to(device)
    compiled = torch.compile(model, dynamic=False) if PROFILE == "gpu" else model
    optimizers = optimizers_of(model)
    data = batches(Path("data", "train"), device)
    micro_steps = max(1, TOTAL_BATCH_SIZE // (DEVICE_BATCH_SIZE * MAX_SEQ_LEN))
    usable, step, longest, smooth, told = TIME_BUDGET - RESERVE, 0, 0.0, 0.0, 0.0
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters; {usable:g} s of {CLOCK} time", flush=True)
    while (begun := elapsed()) + longest < usable:
        set_rates(optimizers, begun / usable, step)
        loss = 0.0
        for _ in range(micro_steps):
            tokens, targets = next(data)
            with torch.autocast(device.type, torch.bfloat16, enabled=PROFILE == "gpu"):
                logits = compiled(tokens)
            mean = F.cross_entropy(logits.flatten(0, 1), targets.flatten()) / micro_steps
            mean.backward()  # type: ignore[no-untyped-call]
            loss += mean.item()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        if not loss < 100:  # NaN as well
            print(f"FAIL: the loss is {loss} at step {step}", flush=True)
            sys.exit(1)
        step, smooth, now = step + 1, 0.9 * smooth + 0.1 * loss, elapsed()
        longest = max(longest, now - begun) if step > 1 else 0.0  # the first step warms up
        if now - told > usable / 20:
            told = now
            mean_loss = smooth / (1 - 0.9**step)
            print(f"step {step}: loss {mean_loss:.4f}, {now:.1f} s used, about {usable - now:.0f} s left", flush=True)
    save_file({name: each.contiguous() for name, each in model.state_dict().items()}, "weights.safetensors")
    tokens_seen = step * micro_steps * DEVICE_BATCH_SIZE * MAX_SEQ_LEN
    print(f"---\nnum_steps:        {step}\ntotal_tokens_M:   {tokens_seen / 1e6:.6f}")
    if PROFILE == "gpu":
        print(f"peak_vram_mb:     {torch.cuda.max_memory_allocated() / 2**20:.1f}")
    print(f"done after {elapsed():.1f} s", flush=True)


if __name__ == "__main__":
    train()
