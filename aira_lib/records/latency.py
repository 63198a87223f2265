"""Measured times of blocks and of whole designs."""

from typing import Literal

from aira_lib.records.row import HarmlessText, Row


class BlockTime(Row):
    """A primitive such as A, or embedding, head, norm: seconds of one call, median and quartiles over `repeats`."""

    block: str
    mode: Literal["prefill", "decode", "train"]
    seconds: float
    low: float
    high: float
    repeats: int


class DesignTime(Row):
    """A design in one mode: the sum of its blocks beside the whole as measured, and what its memory holds in bytes.

    `key_values` and `states` are those of the batch at the full length.
    """

    design: str
    pattern: str
    mode: Literal["prefill", "decode", "train"]
    sum_seconds: float
    whole_seconds: float | None
    whole_low: float | None
    whole_high: float | None
    weights: int
    key_values: int
    states: int
    peak: int | None = None
    note: HarmlessText = ""


class Latency(Row):
    """What was measured at a scale, on what."""

    scale: str
    batch: int
    seq_len: int
    device: str
    device_name: HarmlessText
    threads: int
    precision: str
    kernels: str
    graph: bool
    blocks: tuple[BlockTime, ...]
    designs: tuple[DesignTime, ...]
    versions: dict[str, str] = {}
    seconds: float = 0.0
