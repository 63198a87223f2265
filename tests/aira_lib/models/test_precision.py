"""Models in bf16, whole or by FSDP's mixed precision: recurrences stay in fp32."""

from collections.abc import Iterator
from copy import deepcopy

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method

from aira_lib.architecture.scales import scale_named
from aira_lib.models import loss, mamba2
from aira_lib.models.language_model import LanguageModel
from aira_lib.models.mamba2 import Mamba2

DESIGN = ("Mb", "M", "A", "W", "Mb")
RECURRENT = ("A_log", "D", "dt_bias")
SCALE = scale_named("nano", 3)


def types(module: nn.Module) -> set[torch.dtype]:
    return {p.dtype for name, p in module.named_parameters() if name.rpartition(".")[2] in RECURRENT}


def model_of(kernel: str = "auto") -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(DESIGN, SCALE, kernel=kernel)


@pytest.mark.parametrize("turned", [lambda m: m.to(torch.bfloat16), lambda m: m.bfloat16(), lambda m: m.half()])
def test_recurrent_parameters_stay_in_fp32_to_the_last_bit(turned) -> None:
    model = model_of()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    model.loss(*torch.randint(0, 256, (2, 2, 9))).backward()
    turned(model)
    for name, parameter in model.named_parameters():
        if name.rpartition(".")[2] in RECURRENT:
            assert parameter.dtype == parameter.grad.dtype == torch.float32
            assert torch.equal(parameter, before[name])
        else:
            assert parameter.dtype == parameter.grad.dtype != torch.float32
    assert types(model.double()) == {torch.float64}
    assert types(model.float()) == {torch.float32}
    assert types(model.to("meta")) == {torch.float32}


@pytest.mark.parametrize("kernel", ["auto", "torch"])
def test_a_bf16_model_is_near_its_fp32_one(kernel: str) -> None:
    narrow = model_of(kernel).bfloat16()
    wide, tokens = deepcopy(narrow).float(), torch.randint(0, 256, (3, 200))
    for model in (wide, narrow):
        model.loss(tokens, tokens.roll(-1, 1)).backward()
    logits = wide(tokens)
    assert (narrow(tokens) - logits).abs().mean() < 0.02 * logits.abs().mean()
    for (name, a), b in zip(wide.named_parameters(), narrow.parameters(), strict=True):
        assert b.grad is not None
        assert (a.grad - b.grad).norm() < 0.1 * a.grad.norm(), name


def test_the_scan_of_a_bf16_mixer_has_its_time_steps_and_decays_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []

    def watched(x: Tensor, dt: Tensor, A: Tensor, *others: object) -> Tensor:
        seen.extend((dt, A))
        return plain(x, dt, A, *others)  # type: ignore[arg-type]

    plain = mamba2.ssd
    monkeypatch.setattr(mamba2, "ssd", watched)
    wide = Mamba2(SCALE, kernel="torch")
    narrow = deepcopy(wide).bfloat16()
    narrow(torch.randn(2, 40, 32, dtype=torch.bfloat16))
    dt, A = seen
    assert dt.dtype == A.dtype == torch.float32
    assert torch.equal(A, -wide.A_log.exp())


@pytest.fixture
def one_rank() -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()


@pytest.mark.parametrize("at_once", [2**26, 20_000])
def test_fsdp_trains_in_bf16_with_plain_kernels(one_rank: None, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(loss, "WHOLE", at_once)
    monkeypatch.setattr(loss, "CHUNK_BYTES", at_once)
    model = model_of("torch")
    tokens = torch.randint(0, 256, (2, 70))
    documents = (torch.arange(70) // 30).expand(2, -1)
    with torch.autocast("cpu", torch.bfloat16):
        wanted, _ = model.loss_sum(tokens, tokens.roll(-1, 1), documents)
    wanted.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    model.zero_grad()
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    for layer in model.backbone.layers:
        fully_shard(layer, mp_policy=policy, mesh=dist.init_device_mesh("cpu", (1,)))
    fully_shard(model, mp_policy=policy, mesh=dist.init_device_mesh("cpu", (1,)))
    register_fsdp_forward_method(model, "loss_sum")
    total, count = model.loss_sum(tokens, tokens.roll(-1, 1), documents)
    assert int(count) == 140
    assert total.item() == pytest.approx(wanted.item(), rel=5e-3)
    total.backward()
    for name, parameter in model.named_parameters():
        found = parameter.grad.full_tensor()
        assert found.dtype == torch.float32
        assert (found - gradients[name]).norm() < 0.1 * gradients[name].norm(), name
