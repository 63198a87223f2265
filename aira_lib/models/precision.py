"""The precision of matrix products."""

import torch

from aira_lib.device import Precision


def rounded(device: torch.device, precision: Precision) -> torch.autocast:
    """The context in which matrix products have a precision; weights and sums stay fp32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
