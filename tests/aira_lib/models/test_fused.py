"""The fused CPU kernels against the plain blocks: values, every gradient, types, threads, broken numbers."""

import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from torch import Tensor, nn

from aira_lib.architecture.scales import Scale
from aira_lib.device import KERNELS_VARIABLE
from aira_lib.models import fused
from aira_lib.models.attention import Attention
from aira_lib.models.language_model import LanguageModel, RMSNorm
from aira_lib.models.mad_model import AutoEncoder
from aira_lib.models.mamba2 import Mamba2
from aira_lib.study import ProxySection

pytest.importorskip("numba", reason="the extra `fast` is not installed")


def scale(**changes: object) -> Scale:
    sizes: dict[str, object] = {
        "d_model": 32, "n_heads": 4, "n_kv_heads": 2, "head_dim": 8, "d_ff": 48, "d_ssm": 64, "d_state": 12,
        "ssm_head_dim": 16, "n_groups": 2, "vocab_size": 11, "seq_len": 40,
    }  # fmt: skip
    return ProxySection().scale().model_copy(update={**sizes, **changes})


def pair(block: type[nn.Module], *arguments: object) -> tuple[nn.Module, nn.Module]:
    """The same block by the fused kernels in fp32 and by plain PyTorch in fp64."""
    fast, plain = block(*arguments, kernel="auto"), block(*arguments, kernel="torch")
    with torch.no_grad():
        for parameter in fast.parameters():
            parameter.copy_(parameter + 0.3 * torch.randn_like(parameter))
    plain.load_state_dict(fast.state_dict())
    return fast, plain.double()


def errors(fast: nn.Module, plain: nn.Module, x: Tensor) -> dict[str, float]:
    """Relative errors of the output and of all gradients."""
    found = {}
    a, b = x.clone().requires_grad_(), x.double().requires_grad_()
    y, z = fast(a), plain(b)
    found["output"] = relative(y, z)
    weight = torch.randn_like(z)
    y.backward(weight.to(y.dtype))
    z.backward(weight)
    found["input"] = relative(a.grad, b.grad)
    for (name, p), q in zip(fast.named_parameters(), plain.parameters(), strict=True):
        found[name] = relative(p.grad, q.grad)
    return found


def relative(a: Tensor | None, b: Tensor | None) -> float:
    assert a is not None
    assert b is not None
    return ((a.double() - b).norm() / b.norm()).item()


@pytest.mark.parametrize("length", [1, 2, 31, 32, 33, 70])
@pytest.mark.parametrize(("heads", "kv_heads", "head_dim"), [(4, 4, 8), (4, 2, 12), (3, 1, 32), (2, 2, 2)])
def test_attention_equals_the_plain_one(length: int, heads: int, kv_heads: int, head_dim: int) -> None:
    torch.manual_seed(length)
    blocks = pair(Attention, scale(n_heads=heads, n_kv_heads=kv_heads, head_dim=head_dim))
    for name, error in errors(*blocks, torch.randn(3, length, 32)).items():
        assert error < 3e-6 or (length == 1 and math.isnan(error)), name


@pytest.mark.parametrize("length", [1, 3, 32, 45, 130])
@pytest.mark.parametrize(("groups", "width", "head_dim"), [(1, 4, 16), (2, 4, 16), (1, 2, 32), (1, 1, 4), (4, 3, 2)])
def test_mamba2_equals_the_plain_one(length: int, groups: int, width: int, head_dim: int) -> None:
    torch.manual_seed(length)
    blocks = pair(Mamba2, scale(n_groups=groups, d_conv=width, ssm_head_dim=head_dim))
    found = errors(*blocks, torch.randn(3, length, 32))
    assert len(found) == 10
    for name, error in found.items():
        # At length 1 nothing has decayed: the gradient of A is 0 on both sides.
        assert error < 2e-5 or (length == 1 and name == "A_log"), name


@pytest.mark.parametrize("shape", [(1, 7), (5, 33), (200, 128)])
def test_norm_equals_the_plain_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    blocks = pair(RMSNorm, shape[-1])
    for name, error in errors(*blocks, 3 * torch.randn(2, *shape)).items():
        assert error < 2e-6, name


@pytest.mark.parametrize("layers", [("A", "M", "A"), ("Mb", "M", "Mb")])
def test_the_autoencoder_equals_the_plain_one(layers: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    fast, plain = pair(AutoEncoder, layers, scale())
    tokens = torch.randint(0, 11, (6, 40))
    losses = [model.loss(tokens, tokens) for model in (fast, plain)]
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-5)
    for loss in losses:
        loss.backward()
    for (name, p), q in zip(fast.named_parameters(), plain.parameters(), strict=True):
        assert relative(p.grad, q.grad) < 1e-4, name


def test_a_long_decay_keeps_its_digits() -> None:
    """A strong A over many positions: running sums reach thousands, their differences matter."""
    torch.manual_seed(0)
    fast, plain = pair(Mamba2, scale(n_groups=1))
    for block in (fast, plain):
        block.A_log.data.fill_(math.log(300.0))
        block.dt_bias.data.fill_(-3.0)
    for name, error in errors(fast, plain, torch.randn(2, 300, 32)).items():
        assert error < 1e-4, name


@pytest.mark.parametrize("block", [Attention, Mamba2])
def test_no_position_sees_a_later_one(block: type[nn.Module]) -> None:
    mixer = block(scale())
    x = torch.randn(2, 50, 32)
    changed = x.clone()
    changed[:, 37:] += 1
    assert torch.equal(mixer(x)[:, :37], mixer(changed)[:, :37])
    assert not torch.allclose(mixer(x)[:, 37:], mixer(changed)[:, 37:])


@pytest.mark.parametrize("layers", [("A", "M"), ("Mb", "M"), ("Mb", "A", "M", "Mb")])
def test_bf16_is_as_near_to_fp64_as_plain_autocast(layers: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    models = [LanguageModel(layers, scale(), kernel=kernel) for kernel in ("auto", "torch", "torch")]
    for model in models[1:]:
        model.load_state_dict(models[0].state_dict())
    exact = models[2].double()
    tokens = torch.randint(0, 11, (8, 40))
    reference = torch.autograd.grad(exact.loss(tokens, tokens), list(exact.parameters()))
    off = []
    for model in models[:2]:
        with torch.autocast("cpu", torch.bfloat16):
            loss = model.loss(tokens, tokens)
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        off.append(sum(((g.double() - r).norm() / r.norm()).item() for g, r in zip(gradients, reference, strict=True)))
    assert 0 < off[0] < 1.5 * off[1]


def test_threads_do_not_change_a_bit() -> None:
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    results = []
    for count in (1, 3):
        torch.set_num_threads(count)
        torch.manual_seed(0)
        layers = nn.Sequential(RMSNorm(256, "auto"), Mamba2(scale(d_model=256)), Attention(scale(d_model=256)))
        x = torch.randn(32, 64, 256).requires_grad_()
        heads = layers(x)
        results.append((heads, *torch.autograd.grad(heads.square().sum(), [x, layers[0].weight, layers[1].A_log])))
    torch.set_num_threads(threads)
    # The products around the kernels may differ by rounding from one number of threads to another.
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-5 * one.abs().max().item())


@pytest.mark.parametrize("block", [Attention, Mamba2])
@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_what_is_not_a_number_is_not_hidden(block: type[nn.Module], broken: float) -> None:
    x = torch.randn(1, 40, 32)
    x[0, 5, 3] = broken
    y = block(scale())(x)
    assert not y[0, 5].isfinite().any()


@pytest.mark.parametrize("kernel", ["auto", "torch"])
@pytest.mark.parametrize(("block", "row"), [(Attention, 0), (Attention, 40), (Attention, 60), (Mamba2, 0)])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_one_weight_that_is_no_number_is_not_hidden(
    block: type[nn.Module], row: int, kernel: str, precision: torch.dtype
) -> None:
    """Of every parameter; of matrices from the input, one of queries, keys, values, and of each time step."""
    torch.manual_seed(0)
    mixer = block(scale(), kernel=kernel)
    rows = [row] if block is Attention else range(0, len(mixer.in_proj.weight), 11)
    places = {name: (rows if name in ("qkv.weight", "in_proj.weight") else [0]) for name, _ in mixer.named_parameters()}
    x = torch.randn(2, 40, 32)
    for name, parameter in mixer.named_parameters():
        for at in [*places[name], len(parameter) - 1]:
            kept = parameter.data[at].clone()
            parameter.data[at] = math.nan
            with torch.autocast("cpu", precision, enabled=precision == torch.bfloat16):
                assert not mixer(x).isfinite().all(), (name, at)
            parameter.data[at] = kept
    assert mixer(x).isfinite().all()


def test_machine_code_is_of_all_sources_as_they_are(tmp_path: Path) -> None:
    from aira_lib.models.fused import jit

    (tmp_path / "a.py").write_text("A = 1\n")
    (tmp_path / "b.py").write_text("B = 1\n")
    before = jit.cache_folder(tmp_path)
    assert jit.cache_folder(tmp_path) == before
    (tmp_path / "b.py").write_text("B = 2\n")
    assert jit.cache_folder(tmp_path) != before
    given = jit.config.CACHE_DIR
    kernel = jit.compiled(lambda x: x + 1)
    assert kernel(1) == 2
    assert kernel.stats.cache_path.startswith(str(jit.cache_folder(Path(jit.__file__).parent)))
    assert given == jit.config.CACHE_DIR


def test_machine_code_lies_where_it_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the sources, else in the scratch folder, which need not be there yet, else nowhere: never an error."""
    from aira_lib.models.fused import jit

    sources, scratch = tmp_path / "package", tmp_path / "deep" / "scratch"
    sources.mkdir()
    monkeypatch.setenv("AIRA_SCRATCH", str(scratch))
    readonly: list[Path] = []
    monkeypatch.setattr(jit.os, "access", lambda path, mode: path not in readonly)
    monkeypatch.setattr(jit.config, "CACHE_DIR", "")

    def place() -> Path | None:
        folder = jit.cache_folder(sources)
        return folder and folder.parent

    assert place() == sources / "__pycache__"
    readonly.append(sources)
    assert place() == scratch / "numba"
    readonly.append(tmp_path)
    assert place() is None
    readonly.clear()
    monkeypatch.setattr(jit.config, "CACHE_DIR", str(tmp_path / "own"))
    assert place() == tmp_path / "own"


def test_where_nothing_can_be_written_each_process_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    from aira_lib.models.fused import jit

    monkeypatch.setattr(jit, "_CACHE", None)
    kernel = jit.compiled(lambda x: x + 1)
    assert kernel(1) == 2
    assert kernel.stats.cache_path is None


def test_one_process_compiles_what_others_wait_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aira_lib.models.fused import jit

    def more(x: int) -> int:
        return x + 1

    monkeypatch.setattr(jit, "_CACHE", tmp_path)
    kernel = jit.compiled(more)
    with ThreadPoolExecutor(1) as threads, FileLock(tmp_path / f"{more.__module__}.{more.__qualname__}.lock"):
        waiting = threads.submit(kernel, 1)
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        assert not kernel.signatures
    assert waiting.result() == 2


def test_plain_is_used_where_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(1, 4, 32)
    monkeypatch.setenv(KERNELS_VARIABLE, "plain")
    assert not fused.usable(x, "auto")
    monkeypatch.delenv(KERNELS_VARIABLE)
    assert fused.usable(x, "auto")  # what was asked for before is not kept
    assert not fused.usable(x, "torch")
    assert not fused.usable(x.double(), "auto")
    code = (
        "import os, sys, torch; from aira_lib.models.mamba2 import Mamba2; from aira_lib.study import ProxySection\n"
        "s = ProxySection().scale()\n"
        "for variable in ('plain', 'fused'):\n"
        f"    os.environ[{KERNELS_VARIABLE!r}] = variable\n"
        "    print(Mamba2(s)(torch.randn(1, 4, s.d_model)).shape, 'numba' in sys.modules)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert [line.split()[-1] for line in said.splitlines()] == ["False", "True"]
