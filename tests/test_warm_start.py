"""Processes of tests that are forked warm end, whatever else their parent does."""

import importlib
import subprocess
import sys
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
