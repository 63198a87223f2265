"""How often the probes of causality refuse a model that is causal: the baseline of Autoresearch, trained.

    python -m tests.benchmarks.bench_false_alarms [SECONDS] [TIMES]

The baseline trains for SECONDS (20) of CPU time on the profile `cpu`. Then it is measured TIMES (10) with fresh probes
in fp32, under bf16 autocast and with bf16 weights, on the GPU as well where there is one: how many were refused, and
by how much, in nats, an answer changed at most that should not have. Bound: no refusal in fp32.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

import aira_lib.autoresearch.measuring as measuring
from aira_lib.asking import Arrays, Ask, NotValid
from aira_lib.autoresearch.prepared import BASELINE
from aira_lib.tasks.airs.folder import built_in_programs
from aira_lib.tasks.programs.folder import load_program_folder

FOLDER = load_program_folder(built_in_programs()["AutoregressiveLanguageModellingAutoresearchBPB"])
MOST_ROWS, BATCH = 256, 64


def trained(place: Path, seconds: float) -> nn.Module:
    """The baseline after a training in `place`, where data are prepared as for a search."""
    (place / "raw").mkdir()
    (place / "data").mkdir()
    folders = ["--global-shared-data-dir", place / "raw", "--agent-data-mount-dir", place / "data"]
    subprocess.run([sys.executable, FOLDER.path / "prepare.py", *folders], check=True, stdout=subprocess.DEVNULL)
    settings = {**FOLDER.program.settings, "budget_seconds": seconds}
    (place / "run.json").write_text(json.dumps({"seed": 42, "settings": settings}), encoding="utf-8")
    subprocess.run([sys.executable, BASELINE], cwd=place, check=True)
    os.chdir(place)  # where the baseline reads run.json when it is imported
    spec = spec_from_file_location("baseline", BASELINE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["baseline"] = module
    spec.loader.exec_module(module)
    model: nn.Module = module.build_model()
    model.load_state_dict(load_file(place / "weights.safetensors"))
    return model.eval()


def asked(model: nn.Module, device: str, autocast: bool) -> Callable[[Arrays], NDArray[Any]]:
    """What a process answers that holds the model."""

    def infer(inputs: Arrays) -> NDArray[Any]:
        tokens = torch.from_numpy(np.asarray(inputs["tokens.npy"]).astype(np.int64))
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=autocast):
            found = [model(part.to(device)).float().cpu() for part in tokens.split(BATCH)]
        return torch.cat(found).numpy()

    return infer


def alarms(infer: Callable[[Arrays], NDArray[Any]], folder: Path, times: int) -> tuple[int, list[str]]:
    """How many of so many measurements were refused, and the reasons."""
    inputs = {"tokens.npy": np.load(folder / "tokens.npy")}
    labels = np.load(folder / "labels.npy")
    reasons = []
    for seed in range(times):
        ask = Ask(infer, MOST_ROWS, {"train_seconds": 1.0})
        try:
            measuring.measure(ask, inputs, labels, np.random.default_rng(seed), {})
        except NotValid as refused:
            reasons.append(str(refused))
    return len(reasons), reasons


def main() -> None:
    """Print refusals by arithmetic and device."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    times = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        model = trained(place, seconds)
        for device in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
            for words, kind, autocast in (
                ("fp32", torch.float32, False), ("bf16 autocast", torch.float32, True),
                ("bf16 weights", torch.bfloat16, False),
            ):  # fmt: skip
                infer = asked(model.to(device, kind), device, autocast)
                found, reasons = alarms(infer, place / "data" / "validation", times)
                print(f"{device}, {words}: {found} of {times} refused {sorted(set(reasons))[:2]}", flush=True)
                assert kind is torch.bfloat16 or autocast or not found, "a false alarm in fp32"


if __name__ == "__main__":
    main()
