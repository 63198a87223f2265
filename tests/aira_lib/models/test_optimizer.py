"""Our AdamW is PyTorch's, without its compiler."""

import subprocess
import sys

import pytest
import torch

from aira_lib.models.optimizer import EagerAdamW

TRAIN = """
import sys, torch
from aira_lib.models.optimizer import EagerAdamW
model = torch.nn.Linear(3, 2)
optimizer = EagerAdamW(model.parameters(), lr=0.1, fused=True)
for _ in range(2):
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
optimizer.load_state_dict(optimizer.state_dict())
print("torch._dynamo" in sys.modules)
"""


@pytest.mark.parametrize("fused", [False, True])
def test_same_weights_as_pytorchs(fused: bool) -> None:
    results = []
    for kind in (torch.optim.AdamW, EagerAdamW):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
        groups = [{"params": [p], "weight_decay": 0.1 * i} for i, p in enumerate(model.parameters())]
        optimizer = kind(groups, lr=0.05, betas=(0.9, 0.95), fused=fused)
        for _ in range(5):
            model(torch.randn(16, 4)).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        results.append([p.detach().clone() for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_training_does_not_import_the_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", TRAIN], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
