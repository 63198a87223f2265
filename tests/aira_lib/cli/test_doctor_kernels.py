"""What `aira doctor` says of kernels: which computes, and why no other does."""

import pytest

from aira_lib import device
from aira_lib.cli import doctor
from aira_lib.device import ImportProblem

MISSING = ImportProblem(True, "not installed")
BROKEN = ImportProblem(False, "RuntimeError: 0 active drivers [x]")


@pytest.mark.parametrize(
    ("fla", "mamba", "here", "remark"),
    [
        (None, None, True, "fla-core computes scans on CUDA"),
        (None, MISSING, True, "fla-core computes scans on CUDA (not mamba-ssm: not installed)"),
        (BROKEN, None, True, r"mamba-ssm computes scans on CUDA (not fla-core: RuntimeError: 0 active drivers \[x])"),
        (MISSING, BROKEN, False, r"(not fla-core: not installed; not mamba-ssm: RuntimeError: 0 active drivers \[x])"),
    ],
)
def test_the_scan_and_why_no_other(monkeypatch, fla, mamba, here, remark):
    def problem(target: str) -> ImportProblem | None:
        return fla if target.startswith("fla") else mamba

    monkeypatch.delenv("AIRA_KERNELS", raising=False)
    monkeypatch.setattr(device, "import_problem", problem)
    monkeypatch.setattr(doctor, "import_problem", problem)
    available, words = doctor._mamba_kernels()
    assert available == here
    assert remark in words
    assert ("pip install" in words) == (not here)


def test_plain_kernels_are_asked_for(monkeypatch):
    monkeypatch.setenv("AIRA_KERNELS", "plain")
    assert doctor._mamba_kernels() == (False, "plain PyTorch computes scans: AIRA_KERNELS=plain asks for it")


@pytest.mark.parametrize(("asked", "words"), [("", "a fused kernel computes short"), ("plain", "on a CPU as well")])
def test_attention_is_pytorchs(monkeypatch, asked, words):
    monkeypatch.setenv("AIRA_KERNELS", asked)
    available, remark = doctor._attention_kernels()
    assert available
    assert words in remark
