"""The precision of a pretraining, from its settings and the kind of device alone: keys need it, without PyTorch."""

from aira_lib.device import DeviceKind, Precision
from aira_lib.study import PretrainSection


def effective_precision(section: PretrainSection, kind: DeviceKind) -> Precision:
    """What matrix products of a training are rounded to: the section's precision, else bf16 on CUDA, fp32 on a CPU."""
    return section.precision or ("bf16" if kind == "cuda" else "fp32")
