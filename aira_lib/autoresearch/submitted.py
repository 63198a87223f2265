"""The two parts of an Autoresearch task that run submitted code, as `aira_lib.tasks.programs` starts them.

Each finds `run.json`, `submission/train.py` and its data in `data/`. *Train* runs train.py as a script; *infer* imports
it, calls its `build_model()`, loads the weights and asks for logits. What goes wrong ends the process with one line.
"""

import contextlib
import importlib.util
import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

SCRIPT, WEIGHTS, TOKENS, PREDICTIONS = "train.py", "weights.safetensors", "tokens.npy", "predictions.npy"
_MOST_TOKENS = {"cpu": 4_096, "cuda": 16_384}
"""Of a batch that is asked for; on a processor larger ones leave its caches, and take half as long again."""


def train_submitted() -> None:
    """The train part: the submitted script as it is, in this process."""
    runpy.run_path(str(Path("submission", SCRIPT)), run_name="__main__")


def infer_submitted() -> None:
    """The infer part: logits of all rows, float32 [rows, T, vocabulary]; it ends the process."""
    told: dict[str, Any] = json.loads(Path("run.json").read_text(encoding="utf-8"))
    settings = told["settings"]
    torch.set_num_threads(told["cores"])
    device = torch.device("cuda" if torch.cuda.is_available() and settings.get("profile") == "gpu" else "cpu")
    tokens = np.load(Path("data", "inputs", TOKENS), allow_pickle=False)
    model = _loaded(_model_of(Path("submission", SCRIPT)), Path(WEIGHTS)).to(device).eval()
    _answer(model, tokens, int(settings["vocabulary"]), device)
    _end()


def _end() -> NoReturn:
    """End without the tidying up of modules, which takes PyTorch a third as long as its start: all is written."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(0)


def _model_of(path: Path) -> nn.Module:
    spec = importlib.util.spec_from_file_location("submitted_train", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["submitted_train"] = module
    spec.loader.exec_module(module)
    build = getattr(module, "build_model", None)
    if not callable(build):
        sys.exit(f"{SCRIPT} defines no build_model(); it has to return the model whose weights it saved")
    model = build()
    if not isinstance(model, nn.Module):
        sys.exit(f"build_model() of {SCRIPT} returned {type(model).__name__}, which is no torch.nn.Module")
    return model


def _loaded(model: nn.Module, weights: Path) -> nn.Module:
    """The model with the weights, each of which has to fit."""
    from safetensors.torch import load_file

    saved = load_file(weights)
    try:
        model.load_state_dict(saved, strict=True)
    except RuntimeError as error:
        told = " ".join(str(error).split())
        sys.exit(f"the weights do not fit the model that build_model() of {SCRIPT} returns: {told:.400}")
    return model


def _answer(model: nn.Module, tokens: NDArray[Any], vocabulary: int, device: torch.device) -> None:
    rows, length = tokens.shape
    batch = max(1, _MOST_TOKENS[device.type] // length)
    header = {"descr": "<f4", "fortran_order": False, "shape": (rows, length, vocabulary)}
    with open(PREDICTIONS, "wb") as file, torch.inference_mode():  # a mapped file would be zeroed page by page first
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, rows, batch):
            given = torch.from_numpy(tokens[start : start + batch].astype(np.int64)).to(device)
            logits = model(given)
            wanted = (*given.shape, vocabulary)
            if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != wanted:
                what = list(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
                sys.exit(f"forward of {SCRIPT}'s model gave {what} for tokens {list(given.shape)}, where logits of "
                         f"shape {list(wanted)} are asked for")  # fmt: skip
            if not all(map(torch.isfinite, torch.aminmax(logits))):  # without a copy, as isfinite(logits) takes
                sys.exit(f"forward of {SCRIPT}'s model gave logits that are not finite")
            logits.float().cpu().numpy().tofile(file)
