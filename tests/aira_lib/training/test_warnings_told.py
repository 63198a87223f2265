"""What a rank warns of is heard where a person looks."""

import socket
from pathlib import Path

import pytest

from aira_lib.pretrain.stage import pretrain
from aira_lib.training import together
from aira_lib.training.rank import RankSpec, train
from tests.aira_lib.training import tiny
from tests.builders import small_text, work_in


def test_a_damaged_checkpoint_that_a_rank_meets_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, plain_kernels: None
) -> None:
    section, point = tiny.section(trainer="ddp", data=small_text(tmp_path / "text")), tiny.point(2)
    pretrain(section, point, work_in(tmp_path / "run"))
    weights = next((tmp_path / "run/checkpoints").rglob("*.distcp"))
    weights.write_bytes(weights.read_bytes()[:-1])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    ranks = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    for name, value in ranks.items():
        monkeypatch.setenv(name, value)
    told = tmp_path / "told"
    told.mkdir()
    tell = together.teller(told, point, work_in(tmp_path / "watched"))
    tell()
    train(RankSpec(section=section, point=point, workspace=str(tmp_path / "run"), told=str(told), device="cpu",
                   threads=1))  # fmt: skip
    caplog.clear()
    tell()
    assert [line for line in caplog.messages if "the checkpoint before it is used" in line]
    caplog.clear()
    tell()
    assert not caplog.messages
