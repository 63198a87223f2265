"""Which layers are compiled, and where."""

import pytest
import torch

from aira_lib.models.language_model import LanguageModel, ResidualLayer
from aira_lib.training.one_device import OneDeviceTrainer
from aira_lib.training.regional import compile_layers
from tests.aira_lib.training import tiny

pytestmark = pytest.mark.usefixtures("plain_kernels")


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[torch.nn.Module]:
    layers: list[torch.nn.Module] = []
    monkeypatch.setattr(ResidualLayer, "compile", lambda self: layers.append(self))
    return layers


def test_all_layers_but_mamba_are_compiled_by_themselves(compiled: list[torch.nn.Module]) -> None:
    model = LanguageModel(("A", "Mb", "M", "W", "Mb"), tiny.SCALE)
    names = list(model.state_dict())
    compile_layers(model)
    assert compiled == [model.backbone.layers[at] for at in (0, 2, 3)]
    assert list(model.state_dict()) == names


def test_nothing_is_compiled_on_a_cpu(compiled: list[torch.nn.Module]) -> None:
    OneDeviceTrainer(tiny.section(compile=True), tiny.point(1), tiny.batches(), "cpu")
    assert compiled == []


def test_recomputing_gives_the_same_bits() -> None:
    """So no key holds it."""
    runs = [
        OneDeviceTrainer(tiny.section(recompute=recompute), tiny.point(3), tiny.batches(), "cpu")
        for recompute in (False, True)
    ]
    losses = [[result.loss for result in run.run()] for run in runs]
    assert losses[0] == losses[1]
    assert [run.model.backbone.recompute for run in runs] == [False, True]


def test_documents_of_a_window_are_kept_apart_where_the_batches_say_so() -> None:
    """The text has a document's end every 50 tokens, windows have 32."""
    losses = {
        packing: [result.loss for result in OneDeviceTrainer(tiny.section(), tiny.point(2), batches, "cpu").run()]
        for packing, batches in ((packing, tiny.batches(packing)) for packing in ("across", "masked"))
    }
    assert losses["across"][0] == pytest.approx(losses["masked"][0], abs=0.2)
    assert losses["across"][0] != losses["masked"][0]
