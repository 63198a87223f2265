"""Whether an exported model, as transformers loads it, computes what ours does."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aira_lib.errors import UserError
from aira_lib.exchange.formats import rounded
from aira_lib.models.language_model import LanguageModel

MOST = 1e-5
"""Of the difference of two logits in fp32, in shares of the largest logit where that is above 1."""
ROWS, POSITIONS = 2, 128


def proven(folder: Path, model: LanguageModel, dtype: torch.dtype, seq_len: int) -> float:
    """The largest difference of logits between an exported model and ours with the weights as they were written.

    Both compute in fp32, on random tokens: the whole at once, and theirs again in two pieces, through its cache.

    Args:
        folder: of the exported model.
        model: ours; its weights are rounded if need be.
        dtype: of the weights there.
        seq_len: of its training.

    Returns:
        The difference, in shares of the largest logit where that is above 1.

    Raises:
        UserError: it is above `MOST`, or none: such an export is not finished.
        ModuleNotFoundError: transformers is not installed.
    """
    theirs = _loaded(folder)
    if dtype != torch.float32:
        model.load_state_dict({name: each.float() for name, each in rounded(model.state_dict(), dtype).items()})
    vocabulary, length = model.head.out_features, min(POSITIONS, seq_len)
    tokens = torch.randint(vocabulary, (ROWS, length), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted = model(tokens)
        found = (theirs(tokens).logits, _in_pieces(theirs, tokens))
    worst = max(float((each - wanted).abs().max()) for each in found) / max(1.0, float(wanted.abs().max()))
    if not worst <= MOST:
        raise UserError(
            f"as transformers loads this export, its logits differ from ours by {worst:.1e} ({MOST:.0e} is allowed): "
            "nothing was exported. It is a fault of aira export-model; please report it"
        )
    return worst


def _loaded(folder: Path) -> Any:
    """The model by its own class; ours is that of the very files that lie in the folder."""
    from transformers import LlamaForCausalLM
    from transformers.utils.logging import disable_progress_bar

    from aira_lib.exchange.shipped.modeling_aira import AiraForCausalLM

    disable_progress_bar()  # type: ignore[no-untyped-call]
    kind = AiraForCausalLM if (folder / "modeling_aira.py").is_file() else LlamaForCausalLM
    loaded: Any = kind.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    return loaded.eval()


def _in_pieces(theirs: Any, tokens: Tensor) -> Tensor:
    """Logits of tokens that come in two pieces, and a last one alone where there are enough."""
    from aira_lib.exchange.shipped.modeling_aira import CACHE

    length, cache, logits = tokens.shape[1], None, []
    cuts = [length // 2, length - length // 2 - 1, 1]
    for piece in torch.split(tokens, [cut for cut in cuts if cut], dim=1):
        output = theirs(piece, use_cache=True, **{CACHE: cache})
        cache = output[CACHE]
        logits.append(output.logits)
    return torch.cat(logits, dim=1)
