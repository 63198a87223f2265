"""AdamW that starts at once."""

import inspect

import torch
from torch.optim import Optimizer


class EagerAdamW(torch.optim.AdamW):
    """`torch.optim.AdamW`, for training that is not compiled.

    PyTorch marks these methods for its compiler, and the marks import all of it: 1.4 s in every process, more than
    many of our trainings take. Without the marks the methods do the same.
    """

    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))
    add_param_group = inspect.unwrap(Optimizer.add_param_group)
    zero_grad = inspect.unwrap(Optimizer.zero_grad)
    state_dict = inspect.unwrap(Optimizer.state_dict)
    load_state_dict = inspect.unwrap(Optimizer.load_state_dict)
