"""Tensors that are made once and kept for later calls: tables of angles, masks."""

import torch


def making() -> torch.inference_mode:
    """The context to make them in: a tensor that was made in inference mode would be refused by a later training."""
    return torch.inference_mode(False)
