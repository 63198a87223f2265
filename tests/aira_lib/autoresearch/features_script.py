"""A small training script, written for the tests of features, with places where an edit goes."""

SCRIPT = """
import os
import torch
import torch.nn as nn
import torch.nn.functional as F
from dataclasses import dataclass

@dataclass
class GPTConfig:
    n_layer: int = 2
    n_head: int = 2
    n_kv_head: int = 2
    n_embd: int = 64

def norm(x):
    return F.rms_norm(x, (x.size(-1),))

def has_ve(i, n):
    return i % 2 == (n - 1) % 2

def apply_rotary(x, cos, sin):
    d = x.shape[3] // 2
    x1, x2 = x[..., :d], x[..., d:]
    return torch.cat([x1 * cos + x2 * sin, x2 * cos - x1 * sin], 3)

class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.c_q = nn.Linear(64, 64)
        self.c_k = nn.Linear(64, 64)
        self.c_v = nn.Linear(64, 64)
        self.c_proj = nn.Linear(64, 64)
        # attention's own

    def forward(self, x, ve, cos, sin):
        q, k, v = self.c_q(x), self.c_k(x), self.c_v(x)
        if ve is not None:
            v = v + ve
        q, k = apply_rotary(q, cos, sin), apply_rotary(k, cos, sin)
        q, k = norm(q), norm(k)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        y = y.contiguous().view(2, 2, -1)
        return self.c_proj(y)

class MLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.c_fc = nn.Linear(64, 256)
        self.c_gate = nn.Linear(64, 256)
        self.c_proj = nn.Linear(256, 64)

    def forward(self, x):
        x = F.relu(self.c_fc(x)).square()
        return self.c_proj(x)

class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.attn = Attention(config)
        self.mlp = MLP(config)

    def forward(self, x, ve, cos, sin):
        x = x + self.attn(norm(x), ve, cos, sin)
        x = x + self.mlp(norm(x))
        return x

class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.wte = nn.Embedding(100, 64)
        self.blocks = nn.ModuleList([Block(config) for _ in range(2)])
        self.lm_head = nn.Linear(64, config.vocab_size)
        # the model's own
        self.cos, self.sin = self._rotary(64)

    def _rotary(self, dim, base=10000):
        inv_freq = 1.0 / (base ** (torch.arange(0, dim, 2) / dim))
        return inv_freq.cos(), inv_freq.sin()

    def windows(self, long_window):
        short_window = long_window // 2
        return short_window

    def forward(self, idx, targets=None):
        x = norm(self.wte(idx))
        # after the embedding
        for i, block in enumerate(self.blocks):
            ve = None
            x = block(x, ve, self.cos, self.sin)
        logits = self.lm_head(norm(x))
        if targets is not None:
            loss = F.cross_entropy(logits.view(-1, 100), targets.view(-1))
            # after the loss
            return loss
        return logits

DEPTH = 2
HEAD_DIM = 32
WINDOW_PATTERN = "SSSL"
TOTAL_BATCH_SIZE = 2**19
MATRIX_LR = 0.04
EMBEDDING_LR = 0.6
WEIGHT_DECAY = 0.2
WARMUP = 0.0
# constants

def build(depth):
    num_heads = depth * 64 // HEAD_DIM
    return GPTConfig(n_layer=depth, n_head=num_heads, n_kv_head=num_heads)

model = GPT(build(DEPTH))
optimizer = torch.optim.AdamW(model.parameters())
# before the loop
for step in range(100):
    x, y = next(loader)
    progress = step / 100
    # the batch
    loss = model(x, y)
    loss.backward()
    # after backward
    ema_beta = 0.9
    smooth_train_loss = ema_beta * 1.0 + (1 - ema_beta) * loss.item()
    optimizer.step()
    # after the step
"""

FOREIGN = "from library import train\n\nprint(train())\n"
"""A script from which nothing can be told."""


def edited(*edits: tuple[str, str]) -> str:
    """The script with texts replaced; each has to be there exactly once, and an added line takes the indent."""
    code = SCRIPT
    for old, new in edits:
        assert code.count(old) == 1, old
        indent = code[code.rfind("\n", 0, code.index(old)) + 1 : code.index(old)]
        code = code.replace(old, new.replace("\n", f"\n{indent}" if not indent.strip() else "\n"))
    return code
