"""The module `prepare` of scripts that follow the original Autoresearch's interface, as they find it in the sandbox.

It offers the names that such scripts import (karpathy/autoresearch, prepare.py) over the files beside it: packed rows
of tokens, the bytes of each token, and about.json, which says in which of two ways this process runs:

- `claim`: the script trains as it is. `evaluate_bpb` scores whatever loss the model says of the validation rows, as the
  original's does: the result is what the script claims. The weights of that model are saved before it is asked.
- `answer`: the same script runs with next to no time to train. That is how its model is built again, whatever builds
  it: where the script hands it to `evaluate_bpb` the saved weights are put in, and its logits of the rows in
  `asked.npy` are the answer. No file here holds what comes after them.

Of this library it imports the one module that lies beside it. Where the original drops rows that fill no batch, they
are a smaller batch here.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aira_lib.tensors import read_tensors, write_tensors

_HERE, _WORK = Path(__file__).resolve().parent, Path.cwd()
_ABOUT: dict[str, Any] = json.loads((_HERE / "about.json").read_text(encoding="utf-8"))
_ANSWERS = _ABOUT["mode"] == "answer"
_DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
_WEIGHTS, _CLAIM, _LOGITS = "weights.safetensors", "claim.json", "logits.npy"

MAX_SEQ_LEN: int = _ABOUT["length"]
TIME_BUDGET: float = 1e-3 if _ANSWERS else _ABOUT["seconds"]
EVAL_TOKENS: int = _ABOUT["validation_tokens"]
VOCAB_SIZE: int = _ABOUT["vocabulary"]

Batch = tuple[torch.Tensor, torch.Tensor, int]


class Tokenizer:
    """The vocabulary; texts are given as tokens already, so the rows alone are ever read by most scripts."""

    def __init__(self) -> None:
        self._pieces = [bytes.fromhex(piece) for piece in json.loads((_HERE / "pieces.json").read_text())]
        self._fast: Any = None

    @classmethod
    def from_directory(cls, tokenizer_dir: str | None = None) -> "Tokenizer":
        """The only one there is."""
        return cls()

    def get_vocab_size(self) -> int:
        """Tokens, those that are reserved among them."""
        return len(self._pieces)

    def get_bos_token_id(self) -> int:
        """The token that begins each document."""
        return int(_ABOUT["bos"])

    def encode(self, text: Any, prepend: int | None = None, num_threads: int = 1) -> Any:
        """Tokens of a text, or of each of a list, behind the one that is to stand before them."""
        if isinstance(text, list):
            return [self.encode(each, prepend) for each in text]
        from tokenizers import Tokenizer as Fast

        self._fast = self._fast or Fast.from_file(str(_HERE / "tokenizer.json"))
        ids: list[int] = self._fast.encode(text).ids
        return ids if prepend is None else [prepend, *ids]

    def decode(self, ids: list[int]) -> str:
        """The text of tokens; what is no UTF-8 is replaced."""
        return b"".join(self._pieces[number] for number in ids).decode(errors="replace")


def get_token_bytes(device: str = _DEVICE) -> torch.Tensor:
    """Bytes of each token, int32 [vocabulary]; those of reserved ones are 0."""
    return torch.from_numpy(_load("token_bytes").astype(np.int32)).to(device)


def make_dataloader(tokenizer: Any, B: int, T: int, split: str, buffer_size: int = 1000) -> Iterator[Batch]:
    """Batches without end: inputs and targets, int64 [B, T], and which pass over the text this is, from 1.

    The packed rows come in their order; for another length than MAX_SEQ_LEN they are cut anew, end to end.
    """
    if split not in ("train", "val"):
        raise ValueError(f"split is 'train' or 'val', not {split!r}")
    rows = _rows("validation" if split == "val" and not _ANSWERS else "train", T)
    place, epoch = 0, 1
    while True:
        taken = np.arange(place, place + B)
        yield *_pair(rows[taken % len(rows)]), epoch
        place += B
        epoch = 1 + place // len(rows)


@torch.no_grad()
def evaluate_bpb(model: Any, tokenizer: Any, batch_size: int) -> float:
    """Bits per byte as the original counts them: what the model says its loss is, over bytes of the targets."""
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"evaluate_bpb was given a {type(model).__name__}, not a torch.nn.Module")
    if _ANSWERS:
        _answer(model, batch_size)
    _save(model)
    sizes, nats, count = get_token_bytes(), 0.0, 0
    for rows in _batches(_rows("validation", MAX_SEQ_LEN), batch_size):
        x, y = _pair(rows)
        here = sizes[y.view(-1)]
        nats += float((model(x, y, reduction="none").view(-1) * (here > 0)).sum().item())
        count += int(here.sum().item())
    claimed = nats / (math.log(2) * count)
    parameters = sum(each.numel() for each in model.parameters())
    told = {"bpb": claimed if math.isfinite(claimed) else None, "parameters": parameters}
    (_WORK / _CLAIM).write_text(json.dumps(told), encoding="utf-8")
    return claimed


def _answer(model: torch.nn.Module, batch_size: int) -> None:
    """Leave the logits of the rows that are asked for, float32 [rows, T, vocabulary], and end the script."""
    saved = read_tensors((_WORK / _WEIGHTS).read_bytes())
    model.load_state_dict({name: torch.from_numpy(values) for name, values in saved.items()})
    asked = np.load(_WORK / "asked.npy", allow_pickle=False).astype(np.int64)
    wanted = (*asked.shape, VOCAB_SIZE)
    logits = np.lib.format.open_memmap(_WORK / _LOGITS, mode="w+", dtype=np.float32, shape=wanted)
    for begin in range(0, len(asked), batch_size):
        rows = torch.from_numpy(asked[begin : begin + batch_size]).to(_DEVICE)
        said = model(rows)
        if not isinstance(said, torch.Tensor) or tuple(said.shape) != (*rows.shape, VOCAB_SIZE):
            shape = list(said.shape) if isinstance(said, torch.Tensor) else type(said).__name__
            raise ValueError(f"forward(idx) gave {shape} for tokens {list(rows.shape)}, not logits of each place")
        logits[begin : begin + len(rows)] = said.float().cpu().numpy()
    logits.flush()
    raise SystemExit(0)  # whatever the script would do after its evaluation is of no use here


def _save(model: torch.nn.Module) -> None:
    """Shared weights are written twice, and bfloat16 as float32, which loses nothing."""
    state = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    wide = {name: value.float() if value.dtype == torch.bfloat16 else value for name, value in state.items()}
    (_WORK / _WEIGHTS).write_bytes(write_tensors({name: value.numpy() for name, value in wide.items()}))


def _rows(split: str, length: int) -> NDArray[np.uint16]:
    """Packed rows [n, length + 1]."""
    rows = _load(split)
    if rows.shape[1] == length + 1:
        return rows
    text = rows.reshape(-1)
    if len(text) < length + 1:
        raise ValueError(f"rows of {length:,} tokens are longer than the text of {split}")
    return text[: len(text) // (length + 1) * (length + 1)].reshape(-1, length + 1)


def _load(name: str) -> NDArray[Any]:
    loaded: NDArray[Any] = np.load(_HERE / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    return loaded


def _batches(rows: NDArray[np.uint16], size: int) -> Iterator[NDArray[np.uint16]]:
    return (rows[begin : begin + size] for begin in range(0, len(rows), size))


def _pair(rows: NDArray[np.uint16]) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets of packed rows."""
    tokens = torch.from_numpy(rows.astype(np.int64)).to(_DEVICE)
    return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
