"""A folder with a checkpoint as a model of ours: its headers first, its weights when they are asked for."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from aira_lib.architecture.cost import exact_params
from aira_lib.architecture.pattern import Layers, render
from aira_lib.architecture.scales import Scale
from aira_lib.errors import UserError, nearest
from aira_lib.exchange.file_names import CONFIG
from aira_lib.exchange.llama_config import llama_config, llama_scale, read_config
from aira_lib.exchange.llama_weights import Sources, from_llama, llama_sources
from aira_lib.exchange.own_config import OWN, own_design, own_sources
from aira_lib.exchange.safetensors_folder import SafetensorsFolder
from aira_lib.exchange.told_run import told_run
from aira_lib.records import TrainingRun

_UNREAD = ("rotary_emb.inv_freq",)
"""Endings of tensors that old checkpoints hold and that follow from the config."""
_HEADS = {"lm_head.weight", "head.weight"}


@dataclass(frozen=True)
class ForeignModel:
    """What a checkpoint is in our terms.

    Attributes:
        layers: first layer first.
        scale: its dimensions.
        sources: what each tensor of ours is put together from.
        tensors: theirs.
        run: the training that the folder tells of; None: nothing is known of it.
        end: the token that ends a text, by the config; None: it names none.
    """

    layers: Layers
    scale: Scale
    sources: Sources
    tensors: SafetensorsFolder
    run: TrainingRun | None
    end: int | None

    def state(self) -> dict[str, Tensor]:
        """The state of our model; this reads all weights."""
        return from_llama(self.sources, self.tensors)

    def __str__(self) -> str:
        count = exact_params(self.layers, self.scale)
        return f"{render(self.layers)}, {count:,} parameters, context {self.scale.seq_len:,}"


def foreign_model(folder: Path, name: str) -> ForeignModel:
    """Read the headers of a checkpoint, and refuse what does not fit its config.

    Args:
        folder: Llama's format, or what `aira export-model` wrote.
        name: of the scale, where the folder tells of no training.

    Raises:
        UserError: one line that names the first of what is wrong.
        MissingDependency: without the package safetensors.
    """
    content, place = read_config(folder), folder / CONFIG
    if content.get("model_type") == OWN:
        layers, scale = own_design(content, name, place)
        sources = own_sources(layers, scale)
    else:
        config = llama_config(content, place)
        layers, scale = ("A", "M") * config.num_hidden_layers, llama_scale(config, name, place)
        sources = llama_sources(scale, config.num_hidden_layers)
    run = told_run(folder, layers, scale)
    end = content.get("eos_token_id")
    end = end[0] if isinstance(end, list) and end else end
    model = ForeignModel(
        layers, run.point.design.scale if run else scale, sources, SafetensorsFolder(folder), run,
        end if isinstance(end, int) and 0 <= end < scale.vocab_size else None,
    )  # fmt: skip
    _check_shapes(model, folder)
    return model


def _check_shapes(model: ForeignModel, folder: Path) -> None:
    expected = {part: source.shape for parts in model.sources.values() for part, source in parts.items()}
    shapes = model.tensors.shapes
    if lacking := [tensor for tensor in expected if tensor not in shapes]:
        more = f" and {len(lacking) - 1:,} more" if len(lacking) > 1 else nearest(lacking[0], shapes)
        raise UserError(f"{folder}: no tensor {lacking[0]}{more}")
    for tensor, shape in expected.items():
        if shapes[tensor] != shape:
            raise UserError(
                f"{folder}: {tensor} has the shape {list(shapes[tensor])}, and {CONFIG} asks for {list(shape)}; "
                "they are of two models"
            )
    tied = _HEADS if model.scale.tie_embeddings else set()
    unknown = sorted(name for name in shapes.keys() - expected.keys() - tied if not name.endswith(_UNREAD))
    if unknown:
        more = f" and {len(unknown) - 1:,} more tensors" if len(unknown) > 1 else ""
        raise UserError(f"{folder}: {unknown[0]}{more}: our layers have no such weights; it cannot be imported")
