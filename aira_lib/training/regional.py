"""Compiling a model layer by layer ("regional"): equal layers share what is compiled, and graphs stay small."""

from aira_lib.models.language_model import LanguageModel
from aira_lib.models.mamba2 import Mamba2


def compile_layers(model: LanguageModel) -> None:
    """Have PyTorch compile each layer at its first call, on CUDA; names of weights stay as they are.

    Mamba-2 layers are left out: compiled ones have been seen to give NaN (pytorch#146129), and their time goes into
    kernels that are fused already. On a CPU the first call takes minutes, so that nothing is compiled there.
    """
    for layer in model.backbone.layers:
        if not any(isinstance(part, Mamba2) for part in layer.modules()):
            layer.compile()
