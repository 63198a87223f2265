"""Measured times of blocks and of whole designs."""

from typing import Literal

from aira_lib.records.row import HarmlessText, Row

Mode = Literal["prefill", "decode", "train"]

BUSY = 0.5
"""Processes a core, from which on times are those of others, too."""


class BlockTime(Row):
    """Seconds of a primitive such as A (its norm and its residual addition with it), or of embedding, norm or head.

    Of one block in one call: median and quartiles over `repeats`.
    """

    block: str
    mode: Mode
    seconds: float
    low: float
    high: float
    repeats: int


class DesignTime(Row):
    """A design in one mode: the sum of its blocks beside the whole as measured, and what its memory holds in bytes.

    `sum_seconds` are the medians of blocks times their numbers, embedding, norm and head once. `whole_seconds` is None
    where the whole does not fit into memory (`note` says so). `ratio` is sum by whole, the median and quartiles over
    rounds, each of which measured both, a few seconds apart: what slows the machine for a minute slows both. It is what
    tells whether they agree. `key_values` and `states` are those of the batch at the full length, 0 in training, which
    keeps none; `peak` is the most that a device held at once for this design, where the device tells.
    """

    design: str
    pattern: str
    mode: Mode
    sum_seconds: float
    whole_seconds: float | None
    whole_low: float | None
    whole_high: float | None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    weights: int
    key_values: int
    states: int
    peak: int | None = None
    note: HarmlessText = ""


class Latency(Row):
    """What was measured at a scale, on what; `graph`: prefill and decode as one CUDA graph a call.

    `load` is how many processes wanted each core in the minute before, None where nobody tells: times of a machine that
    others use are theirs, too.
    """

    scale: str
    batch: int
    seq_len: int
    device: str
    device_name: HarmlessText
    threads: int
    precision: str
    kernels: str
    graph: bool
    load: float | None = None
    blocks: tuple[BlockTime, ...]
    designs: tuple[DesignTime, ...]
    versions: dict[str, str] = {}
    seconds: float = 0.0

    @property
    def busy(self) -> str:
        """A sentence where others used the machine, else nothing."""
        if self.load is None or self.load <= BUSY:
            return ""
        return f"The machine was busy: {self.load:.1f} processes a core before this began."
