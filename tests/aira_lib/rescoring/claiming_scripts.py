"""Small scripts of the original Autoresearch's interface, and a text for them."""

import numpy as np

from aira_lib.rescoring.text import Text

LENGTH, VOCABULARY = 16, 24

PLAIN = "F.cross_entropy(logits.view(-1, V), targets.view(-1), reduction=reduction)"
SMOOTHED = "F.cross_entropy(logits.view(-1, V), targets.view(-1), reduction=reduction, label_smoothing=0.1)"
FOCAL = "focal(logits.view(-1, V), targets.view(-1), reduction)"
NONE = "torch.zeros(targets.numel())"


def script(loss: str, mixing: str = "torch.tril(torch.ones(T, T))", end: str = "") -> str:
    """A script whose forward says `loss`; its model mixes places by `mixing`, and ties its weights."""
    return f"""
import time
from dataclasses import dataclass
import torch, torch.nn as nn, torch.nn.functional as F
from prepare import MAX_SEQ_LEN, TIME_BUDGET, Tokenizer, make_dataloader, evaluate_bpb

@dataclass
class GPTConfig:
    vocab_size: int

def focal(logits, targets, reduction):
    ce = F.cross_entropy(logits, targets, reduction="none")
    loss = (1 - torch.exp(-ce)) * ce
    return loss if reduction == "none" else loss.mean()

class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, 16)
        self.head = nn.Linear(16, config.vocab_size, bias=False)
        self.head.weight = self.wte.weight

    def forward(self, idx, targets=None, reduction="mean"):
        T, V = idx.shape[1], self.wte.num_embeddings
        mixing = {mixing}
        x = self.wte(idx) + (mixing / mixing.sum(1, keepdim=True)) @ self.wte(idx)
        logits = 3 * torch.tanh(self.head(x))
        if targets is None:
            return logits
        return {loss}

torch.manual_seed(1)
torch.set_num_threads(1)
tokenizer = Tokenizer.from_directory()
model = GPT(GPTConfig(tokenizer.get_vocab_size()))
train_loader = make_dataloader(tokenizer, 8, MAX_SEQ_LEN, "train")
optimizer = torch.optim.AdamW(model.parameters(), lr=0.03)
step, begun = 0, time.time()
while True:
    x, y, epoch = next(train_loader)
    loss = model(x, y)
    if loss.requires_grad:
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    step += 1
    if step > 10 and step / 100 >= TIME_BUDGET:  # a clock that is the same on every machine
        break
model.eval()
val_bpb = evaluate_bpb(model, tokenizer, 5)
{end}
print("---")
print(f"val_bpb:          {{val_bpb:.6f}}")
print(f"training_seconds: {{time.time() - begun:.1f}}")
print(f"num_steps:        {{step}}")
"""


def small_text() -> Text:
    """A walk over tokens, which mostly goes up by one; token 0 begins a row and has no bytes."""
    rng = np.random.default_rng(3)
    steps = np.where(rng.random((96, LENGTH)) < 0.7, 1, rng.integers(1, VOCABULARY, (96, LENGTH)))
    walk = 1 + (rng.integers(0, VOCABULARY, (96, 1)) + np.cumsum(steps, axis=1)) % (VOCABULARY - 1)
    rows = np.concatenate([np.zeros((96, 1), int), walk], axis=1).astype(np.uint16)
    pieces = [b"", *(bytes([97 + number]) * (1 + number % 3) for number in range(VOCABULARY - 1))]
    return Text(rows[:64], rows[64:80], rows[80:], pieces, 0)
