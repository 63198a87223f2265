"""What an exported folder says of its training: the ``run.json`` of the record that it was made of."""

from pathlib import Path

from pydantic import ValidationError

from aira_lib.architecture.pattern import Layers, parse
from aira_lib.architecture.scales import Scale
from aira_lib.errors import PatternError, UserError
from aira_lib.exchange.file_names import RUN
from aira_lib.records import TrainingRun, read_row

_OF_LLAMA = (
    "d_model", "n_heads", "n_kv_heads", "head_dim", "d_ff", "mlp", "seq_len", "vocab_size", "tie_embeddings",
    "rope_theta", "rope_scaling", "norm_eps",
)  # fmt: skip
_OF_OTHERS = ("d_ssm", "d_state", "ssm_head_dim", "n_groups", "d_conv", "attention_window")


def told_run(folder: Path, layers: Layers, scale: Scale) -> TrainingRun | None:
    """The training that a folder tells of; None where it tells of none.

    What is told is believed where the config asks for the very same model: whoever trains the weights further has to
    remove the file.

    Args:
        folder: of the checkpoint.
        layers: that its config asks for.
        scale: likewise; where a Llama has no such layers, it does not know the dimensions of Mamba-2 and windows.

    Raises:
        UserError: the file is damaged, or tells of another model.
    """
    path = folder / RUN
    if not path.is_file():
        return None
    try:
        run = read_row(path, TrainingRun)
        told = parse(run.point.design.pattern)
    except (ValidationError, UnicodeDecodeError, PatternError):
        raise UserError(f"{path}: not the run of a training; remove it, or export the model again") from None
    fields = _OF_LLAMA if set(layers) <= {"A", "M"} else (*_OF_LLAMA, *_OF_OTHERS)
    other = [name for name in fields if getattr(run.point.design.scale, name) != getattr(scale, name)]
    if told != layers or other:
        what = "layers" if told != layers else other[0]
        raise UserError(f"{path}: tells of a model of other {what} than config.json; remove it, or export again")
    return run
