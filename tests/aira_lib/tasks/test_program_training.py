"""What is known of a training beside its weights: counted, seen, or only said."""

import math

import numpy as np
import pytest

from aira_lib.sandbox import Outcome
from aira_lib.tasks.programs.training import measured_of, parameters_in, said_of
from aira_lib.tensors import tensors_in, write_tensors

NOTHING = [
    "", "num_steps: ", "num_steps: -3", "num_steps: nan", "num_steps: inf", "num_steps: 1e9", "num_steps: 1,000",
    f"num_steps: {'9' * 13}", f"num_steps: 1.{'0' * 10}", "num_steps: 0x10", "num_steps: \u0663", "num_steps:7",
    " num_steps: 7", "x num_steps: 7", "num_steps: 7 8", "steps: 7", "said_steps: 7", "num_steps:\n7", "NUM_STEPS: 7",
]  # fmt: skip


@pytest.mark.parametrize("printed", NOTHING)
def test_what_is_no_plain_number_is_not_said(printed: str) -> None:
    assert said_of(printed) == {}


def test_the_last_of_each_line_is_what_was_said() -> None:
    printed = "num_steps: 1\nval_bpb: 0.1\nnum_steps:        953  \ntotal_tokens_M:\t499.6\npeak_vram_mb: 45060.2\nend"
    said = said_of(printed)
    assert said == {"said_steps": 953.0, "said_tokens": pytest.approx(499.6e6), "said_peak_vram_mb": 45060.2}
    most = said_of(f"num_steps: {'9' * 12}.{'9' * 9}\ntotal_tokens_M: {'9' * 12}")
    assert all(map(math.isfinite, most.values()))


def test_floating_point_elements_are_parameters() -> None:
    saved = {
        "weight": np.zeros((3, 5), np.float32), "half": np.zeros(7, np.float16), "scale": np.zeros((), np.float64),
        "mask": np.zeros((9, 9), bool), "steps": np.zeros((), np.int64), "empty": np.zeros((0, 4), np.float32),
    }  # fmt: skip
    assert parameters_in(tensors_in(write_tensors(saved))) == 15 + 7 + 1
    assert parameters_in({}) == 0


def test_what_is_not_known_is_missing_and_the_host_s_memory_is_never_taken_for_a_gpu_s() -> None:
    ended = Outcome("ok", 0, "", "", 2.5, peak_memory=3 * 2**20, cpu_seconds=1.5)
    assert measured_of(ended, gpu=False) == {"train_seconds": 2.5, "train_cpu_seconds": 1.5, "peak_memory_mb": 3.0}
    on_gpu = {"train_seconds": 2.5, "train_cpu_seconds": 1.5, "peak_host_memory_mb": 3.0}
    assert measured_of(ended, gpu=True) == on_gpu
    assert measured_of(Outcome("ok", 0, "", "", 2.5), gpu=False) == {"train_seconds": 2.5}
