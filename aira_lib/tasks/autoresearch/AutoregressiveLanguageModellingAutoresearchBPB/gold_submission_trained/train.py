"""A small trained model: the last four tokens, each embedded by its distance, through one hidden layer."""

import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

RUN = json.loads(Path("run.json").read_text(encoding="utf-8"))
VOCAB_SIZE: int = RUN["settings"]["vocabulary"]
STEPS, ROWS, BACK, WIDTH = 150, 8, 4, 64


class LastTokens(nn.Module):
    """forward(idx [B, T]) -> logits [B, T, V] of what follows the last tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.ModuleList(nn.Embedding(VOCAB_SIZE + 1, WIDTH) for _ in range(BACK))
        self.head = nn.Linear(WIDTH, VOCAB_SIZE)

    def forward(self, idx: Tensor) -> Tensor:
        """From tokens [B, T] to logits [B, T, V]; before a row's first token stands one that does not occur."""
        padded = F.pad(idx, (BACK - 1, 0), value=VOCAB_SIZE)
        length = idx.size(1)
        summed = sum(each(padded[:, i : i + length]) for i, each in enumerate(self.embed))
        logits: Tensor = self.head(torch.tanh(summed))
        return logits


def build_model() -> nn.Module:
    """The model, newly initialised."""
    return LastTokens()


def train() -> None:
    """A fixed number of steps, unless the budget ends before."""
    torch.set_num_threads(1)
    torch.manual_seed(RUN["seed"])
    model = LastTokens()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    tokens, targets = (np.load(f"data/train/{name}.npy", mmap_mode="r") for name in ("tokens", "labels"))
    generator = np.random.default_rng(RUN["seed"])
    clock = time.process_time if RUN["settings"]["clock"] == "cpu" else time.monotonic
    begun = 0.0 if RUN["settings"]["clock"] == "cpu" else time.monotonic()
    for step in range(STEPS):
        if clock() - begun > 0.8 * RUN["settings"]["budget_seconds"]:
            break
        rows = generator.integers(0, len(tokens), ROWS)
        idx, target = (torch.from_numpy(each[rows].astype(np.int64)) for each in (tokens, targets))
        loss = F.cross_entropy(model(idx).flatten(0, 1), target.flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step % 50 == 0:
            print(f"step {step}: loss {loss.item():.3f}", flush=True)
    save_file(model.state_dict(), "weights.safetensors")


if __name__ == "__main__":
    train()
