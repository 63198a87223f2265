"""How fast a training is: tokens a second, and the share of the devices' peak that it makes use of (MFU)."""

import re
import time

import torch

from aira_lib.device import Precision

PEAKS: tuple[tuple[str, float], ...] = (
    (r"B300", 2.25e15),
    (r"G?B200", 2.25e15),
    (r"GH200|H200", 989e12),
    (r"H800", 989e12),
    (r"H100 NVL", 835e12),
    (r"H100 PCIe", 756e12),
    (r"H100 (80GB HBM3|SXM.*)", 989e12),
    (r"A100.*", 312e12),
    (r"A800.*", 312e12),
    (r"L40S", 362e12),
    (r"L4", 121e12),
    (r"A10", 125e12),
    (r"GeForce RTX 4090", 165e12),
    (r"GeForce RTX 3090", 71e12),
)
"""FLOPs a second of dense bf16 products with fp32 sums, by the name of a device after "NVIDIA"; from data sheets."""


def peak(device: torch.device, precision: Precision) -> float | None:
    """FLOPs a second that a device could do at most; None where it is not known, as that of a CPU or of fp32 is not."""
    if device.type != "cuda" or precision != "bf16":
        return None
    return peak_of(torch.cuda.get_device_name(device))


def peak_of(name: str) -> float | None:
    """The peak of a device by its name, such as "NVIDIA H100 80GB HBM3"; None for one that is not in `PEAKS`."""
    model = name.removeprefix("NVIDIA ").strip()
    return next((flops for pattern, flops in PEAKS if re.fullmatch(pattern, model)), None)


class Meter:
    """Counts tokens over time: since it was last asked, and in all. The first step, which warms up, does not count.

    What is measured is real time, with the loading of data and the stalls of checkpoints.
    """

    def __init__(self, flops_per_token: float, peak: float | None) -> None:
        """Begin; nothing counts before the first `count`.

        Args:
            flops_per_token: true training FLOPs (`aira_lib.architecture.cost.true_flops_per_token`).
            peak: FLOPs a second of all devices together; None: not known.
        """
        self._flops_per_token, self._peak = flops_per_token, peak
        self._began: float | None = None
        self._tokens, self._asked = 0, (0.0, 0)

    def count(self, tokens: int) -> None:
        """Say that a step is done that read so many tokens."""
        if self._began is None:
            self._began = time.monotonic()
            self._asked = (self._began, 0)
        else:
            self._tokens += tokens

    def lately(self) -> dict[str, float]:
        """`tokens_per_second`, and `mfu` where the peak is known, since this was asked last; empty: nothing yet."""
        (then, before), self._asked = self._asked, (time.monotonic(), self._tokens)
        return self._rates(self._tokens - before, self._asked[0] - then)

    def in_all(self) -> dict[str, float]:
        """The same since the first step."""
        return self._rates(self._tokens, time.monotonic() - (self._began or 0.0))

    def _rates(self, tokens: int, seconds: float) -> dict[str, float]:
        if not tokens or seconds <= 0:
            return {}
        rate = tokens / seconds
        used = {"mfu": rate * self._flops_per_token / self._peak} if self._peak else {}
        return {"tokens_per_second": rate, **used}
