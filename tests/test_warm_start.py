"""Processes of tests that are forked warm end, whatever else their parent does."""

import importlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from tests.warm_server import _Popen, importing


def test_a_process_that_begins_amid_an_import_of_another_thread_does_not_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_to_import.py").write_text("import time\ntime.sleep(2)\n")
    monkeypatch.syspath_prepend(tmp_path)
    thread = threading.Thread(target=importlib.import_module, args=("slow_to_import",))
    thread.start()
    while not importing():
        time.sleep(0.01)
    command = [sys.executable, "-m", "this"]
    assert _Popen(command, stdout=subprocess.PIPE, text=True).communicate(timeout=60)[0].startswith("The Zen")
    thread.join()
    assert not importing()


def test_what_is_forked_leaves_temporary_folders_of_others_alone() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", "import tempfile; print(tempfile.TemporaryDirectory().name)"]
        own = _Popen(command, stdout=subprocess.PIPE, text=True).communicate(timeout=60)[0].strip()
        assert Path(folder).is_dir()
    assert own
    assert not Path(own).exists()


def test_what_is_forked_has_the_environment_and_the_word_of_its_parent() -> None:
    """Not the indented `print` that kfp.local has while a component runs; and what it prints is not held back."""
    program = "import os, sys; print(os.environ['PATH'], print.__module__, sys.argv); os.kill(os.getpid(), 9)"
    told = _Popen([sys.executable, "-c", program, "x"], stdout=subprocess.PIPE, text=True).communicate(timeout=60)[0]
    assert told == f"{os.environ['PATH']} builtins ['-c', 'x']\n"
