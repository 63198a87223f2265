"""A study runs in the image whoever the container runs as and whatever it may: opt-in, since an image takes minutes.

Build it (`make images`), then name it: AIRA_TEST_IMAGE=localhost/aira-cpu:0.1.0 pytest tests/images
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.builders import TINY_STUDY

IMAGE = os.environ.get("AIRA_TEST_IMAGE", "")
SANDBOX = os.environ.get("AIRA_TEST_SANDBOX_IMAGE", "")
BUILDER = os.environ.get("BUILDER") or shutil.which("podman") or shutil.which("docker") or ""

SMALL = {
    **TINY_STUDY,
    "agents": [{"scaffold": "greedy", "model": "offline", "seeds": 1, "steps": 2}],
    "pretrain": {**TINY_STUDY["pretrain"], "isotoken": {"scale": "nano", "tokens": 4096, "seeds": [0]}},
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BUILDER, reason="neither podman nor docker is here"),
]
needs_image = pytest.mark.skipif(not IMAGE, reason="AIRA_TEST_IMAGE names no image")
needs_sandbox = pytest.mark.skipif(not SANDBOX, reason="AIRA_TEST_SANDBOX_IMAGE names no image")

READ_ONLY = ("--read-only", "--tmpfs", "/tmp:rw,mode=1777,size=2g")
FOREIGN = ("--user", "1000700000:0")
PROFILES = {
    "default": (),
    "read-only": READ_ONLY,
    "foreign uid": FOREIGN,
    "runtime default": ("SECCOMP",),
    "all of them": (*READ_ONLY, *FOREIGN, "SECCOMP"),
}
# What a container runtime refuses by default to whoever has no capability; podman's own default allows most of it.
REFUSED = (
    "mount", "umount", "umount2", "pivot_root", "setns", "unshare", "fsopen", "fsmount", "fsconfig", "move_mount",
    "open_tree", "mount_setattr", "bpf", "perf_event_open", "ptrace", "keyctl", "add_key", "request_key", "userfaultfd",
)  # fmt: skip
_NEW_USER, _EPERM, _ENOSYS = 0x10000000, 1, 38


def options(profile: str, folder: Path) -> list[str]:
    """What a container is started with; SECCOMP stands for what Kubernetes' restricted pods have."""
    filter_file = folder / "seccomp.json"
    masked = {"index": 0, "value": _NEW_USER, "valueTwo": _NEW_USER, "op": "SCMP_CMP_MASKED_EQ"}
    refused = [
        {"names": [*REFUSED], "action": "SCMP_ACT_ERRNO", "errnoRet": _EPERM},
        {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": _EPERM, "args": [masked]},
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS},
    ]
    filter_file.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": refused}))
    restricted = ("--cap-drop=all", "--security-opt=no-new-privileges", f"--security-opt=seccomp={filter_file}")
    return [word for each in PROFILES[profile] for word in (restricted if each == "SECCOMP" else (each,))]


def run(image: str, profile: str, folder: Path, *command: str) -> str:
    """What a command prints in a container without network that sees the folder, which it cannot write, as /given."""
    line = [BUILDER, "run", "--rm", "--network=none", "--volume", f"{folder}:/given:ro", *options(profile, folder)]
    done = subprocess.run([*line, image, *command], text=True, capture_output=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@needs_image
@pytest.mark.parametrize("profile", PROFILES)
def test_a_study_runs(profile: str, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(SMALL))
    tmp_path.chmod(0o755)
    twice = "aira run /given/tiny.yaml --store /tmp/runs && aira run /given/tiny.yaml --store /tmp/runs"
    said = run(IMAGE, profile, tmp_path, "sh", "-c", twice)
    assert "Nothing was recomputed" in said, said


@needs_image
def test_it_knows_what_it_was_built_of(tmp_path: Path) -> None:
    """Without git, and with the packages of all its extras."""
    program = (
        "import json; from importlib.util import find_spec; from aira_lib.cluster.image import image_here; "
        "from aira_lib.flow.versions import code_version; image = image_here(); "
        "print(json.dumps([code_version(), image.version, image.revision, image.extras, "
        "[name for name in ('pip', 'pytest', 'pandas') if find_spec(name)]]))"
    )
    version, number, revision, extras, tools = json.loads(run(IMAGE, "default", tmp_path, "python", "-c", program))
    assert revision
    assert version == f"{number}+{revision}"
    assert "kfp" in extras
    assert tools == []
    inspected = subprocess.run([BUILDER, "image", "inspect", IMAGE], capture_output=True, check=True, text=True).stdout
    (about,) = json.loads(inspected)
    labels = about["Config"]["Labels"]
    assert labels["org.opencontainers.image.revision"] == revision
    assert labels["aira.extras"] == ",".join(extras)
    assert about["Config"]["User"] == "10001:0"


@needs_image
def test_there_is_no_compiler_and_no_git(tmp_path: Path) -> None:
    tools = "for name in gcc cc c++ make git curl wget; do command -v $name; done; true"
    assert run(IMAGE, "default", tmp_path, "sh", "-c", tools) == ""


@needs_image
def test_the_program_of_a_pipelines_task_runs(tmp_path: Path) -> None:
    """Kubeflow's launcher starts the executor of its SDK, and pipelines are compiled in a task."""
    said = run(IMAGE, "all of them", tmp_path, "sh", "-c", "python -m kfp.dsl.executor_main --help && aira doctor")
    assert "--executor_input" in said


@needs_sandbox
def test_candidates_find_their_packages_and_nothing_of_this_project(tmp_path: Path) -> None:
    program = (
        "import json, importlib.util, torch, numpy, scipy, pandas, sklearn; x = torch.ones(2, requires_grad=True); "
        "(x @ x).backward(); print(json.dumps([x.grad.tolist(), importlib.util.find_spec('aira_lib') is None]))"
    )
    assert json.loads(run(SANDBOX, "all of them", tmp_path, "python", "-c", program)) == [[2.0, 2.0], True]
