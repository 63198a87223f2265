"""A training that is killed at random moments ends with the bytes of one that was not (20 kills: see kill_training)."""

from pathlib import Path

import pytest

from tests import warm_start


@pytest.mark.slow
@pytest.mark.usefixtures("plain_kernels")
def test_a_training_that_is_killed_again_and_again_leaves_the_same_bytes(store_uri: str, tmp_path: Path) -> None:
    done = warm_start.run("tests.aira_lib.pretrain.kill_training", store_uri, str(tmp_path), "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 kills in ")
