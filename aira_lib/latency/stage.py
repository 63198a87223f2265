"""Measure the designs of a study at one of its scales, on the device at hand, in every mode that is asked for."""

import time
from collections.abc import Mapping

import torch

from aira_lib.architecture.pattern import Layers
from aira_lib.architecture.scales import Scale
from aira_lib.console import duration
from aira_lib.device import device_kind, device_name, kernels, load, ready_device
from aira_lib.latency.measure import Bounds, Found, measure, plan
from aira_lib.latency.memory import free
from aira_lib.latency.workload import Workload
from aira_lib.records import Latency
from aira_lib.study import LatencyMode, LatencySection
from aira_lib.work import Work

FILE = "latency.json"


def latency(section: LatencySection, scale: Scale, designs: Mapping[str, Layers], work: Work) -> None:
    """Write `latency.json` (a `Latency`).

    Args:
        section: modes, sizes, how often.
        scale: whose dimensions.
        designs: layers by the names of designs.
        work: the stage's workplace; its threads compute.

    Raises:
        UserError: blocks do not fit into memory, a layer cannot be built or cannot decode, or AIRA_DEVICE names a
            device that is not here.
    """
    measured = measured_latency(section, scale, designs, work)
    (work.path / FILE).write_text(measured.json_line(), encoding="utf-8")
    work.log.metrics({f"latency_{each.mode}_{each.block}": each.seconds for each in measured.blocks}, step=0)


def measured_latency(section: LatencySection, scale: Scale, designs: Mapping[str, Layers], work: Work) -> Latency:
    """As `latency`, and what it writes; nothing is written."""
    started, load_before = time.monotonic(), load()
    torch.set_num_threads(work.threads)
    loads = workloads(section, scale, torch.device(ready_device()))
    for each in loads:  # what does not fit is refused before anything is measured
        plan(each, list(dict.fromkeys(designs.values())), free(each.device))
    found = list[Found]()
    for number, each in enumerate(loads):
        tell = _Teller(work, number, len(loads), each.mode, started)
        found.append(measure(each, designs, Bounds(section.repeats, section.seconds), tell))
    work.progress(len(loads), len(loads), f"{len(designs)} designs at {scale.name}")
    graphs = [each.graph for each, work_load in zip(found, loads, strict=True) if work_load.mode != "train"]
    return Latency(
        scale=scale.name,
        batch=section.batch,
        seq_len=loads[0].seq_len,
        device=device_kind(),
        device_name=device_name(),
        threads=work.threads,
        precision=loads[0].precision,
        kernels=kernels(device_kind()),
        graph=bool(graphs) and all(graphs),
        load=load_before,
        blocks=tuple(each for of_mode in found for each in of_mode.blocks),
        designs=tuple(each for of_mode in found for each in of_mode.designs),
        versions={"torch": torch.__version__},
        seconds=time.monotonic() - started,
    )


def workloads(section: LatencySection, scale: Scale, device: torch.device) -> list[Workload]:
    """What is measured, mode by mode; in bf16 on CUDA and in fp32 on a CPU, unless the section says otherwise."""
    length = section.seq_len or scale.seq_len
    precision = section.precision or ("bf16" if device.type == "cuda" else "fp32")
    return [Workload(scale, section.batch, length, mode, precision, device) for mode in section.modes]


class _Teller:
    """Tells how far a mode is, and how long all modes will take by what they took until now."""

    def __init__(self, work: Work, mode_number: int, modes: int, mode: LatencyMode, started: float) -> None:
        self._work, self._number, self._modes, self._mode, self._started = work, mode_number, modes, mode, started

    def __call__(self, share: float) -> None:
        done, spent = self._number + share, time.monotonic() - self._started
        left = spent * (self._modes - done) / done if done else 0.0
        self._work.progress(done, self._modes, f"{self._mode}, about {duration(left)} left")
