"""Several ranks train what one device trains: the same losses and weights, but for the order of fp32 sums."""

import json
import math
import os
import socket
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from aira_lib.errors import UserError
from aira_lib.training.arithmetic import Objective
from aira_lib.training.ddp import DdpTrainer
from aira_lib.training.ranks import Ranks
from tests import warm_start
from tests.aira_lib.training import tiny
from tests.aira_lib.training.rank_program import trained

SPECS: list[dict[str, Any]] = [
    {"trainer": "ddp", "steps": 50},
    {"trainer": "fsdp", "steps": 50},
    {"trainer": "ddp", "steps": 20, "changes": {"micro_batch_tokens": 32, "recompute": True}},
    {"trainer": "fsdp", "steps": 20, "changes": {"micro_batch_tokens": 64}},
    {"trainer": "ddp", "steps": 4, "spoil": 2},
    {"trainer": "fsdp", "steps": 4, "spoil": 2},
    {"trainer": "fsdp", "steps": 6, "changes": {"precision": "bf16"}},
    {"trainer": "ddp", "steps": 6, "changes": {"precision": "bf16"}},
]


OF = {2: range(len(SPECS)), 3: (0, 3)}
"""Which of them are tried with so many ranks."""
Group = dict[int, dict[str, Any]]


def in_ranks(count: int, folder: Path) -> Group:
    """What each of these `SPECS` gives on so many ranks, by number."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "AIRA_KERNELS": "plain"}
    program, out = "tests.aira_lib.training.rank_program", folder / f"{count}.json"
    arguments = [str(out), *(json.dumps(SPECS[number]) for number in OF[count])]
    ranks = [
        warm_start.start(program, *arguments, env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(count)
    ]
    said = [rank.communicate(300)[1] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0] * count, said
    return dict(zip(OF[count], json.loads(out.read_text()), strict=True))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Group:
    return in_ranks(2, tmp_path_factory.mktemp("ranks"))


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Group:
    return in_ranks(3, tmp_path_factory.mktemp("ranks"))


@pytest.fixture(scope="module")
def alone() -> Group:
    """What one device makes of so many steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRA_KERNELS", "plain")
        return {steps: trained({"trainer": "one-device", "steps": steps}) for steps in (20, 50)}


@pytest.mark.slow
@pytest.mark.parametrize(("group", "number"), [*(("two", number) for number in range(4)), ("three", 0), ("three", 3)])
def test_ranks_train_what_one_device_trains(
    request: pytest.FixtureRequest, alone: Group, group: str, number: int
) -> None:
    ours, right = request.getfixturevalue(group)[number], alone[SPECS[number]["steps"]]
    np.testing.assert_allclose(ours["loss"], right["loss"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(ours["norm"], right["norm"], rtol=1e-3)
    assert right["loss"][-1] < right["loss"][0] - 0.5
    for name, value in right["weights"].items():
        np.testing.assert_allclose(ours["weights"][name], value, atol=2e-5, rtol=0, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("number", [4, 5])
def test_an_infinite_gradient_on_one_rank_changes_nothing_on_any(two: Group, number: int) -> None:
    assert [math.isfinite(norm) for norm in two[number]["norm"]] == [True, True, False, True]
    assert all(map(math.isfinite, two[number]["loss"]))
    assert all(np.isfinite(value).all() for value in two[number]["weights"].values())


@pytest.mark.slow
def test_shards_in_bf16_are_what_autocast_makes_of_fp32_weights(two: Group) -> None:
    np.testing.assert_allclose(two[6]["loss"][:2], two[7]["loss"][:2], atol=2e-5, rtol=0)
    # Weights that differ by an fp32 rounding are now and then rounded to other bf16 numbers.
    np.testing.assert_allclose(two[6]["loss"], two[7]["loss"], atol=3e-3, rtol=0)
    assert not np.allclose(two[6]["loss"], two[0]["loss"][:6], atol=1e-4, rtol=0)


@pytest.mark.parametrize("rows", [5, 8, 64])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_shares_cover_a_step_and_differ_by_a_row_at_most(rows: int, count: int) -> None:
    shares = [Ranks(rank, count, torch.device("cpu")).share(rows) for rank in range(count)]
    assert [row for start, stop in shares for row in range(start, stop)] == list(range(rows))
    sizes = {stop - start for start, stop in shares}
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) == Ranks(0, count, torch.device("cpu")).largest_share(rows)


def test_more_ranks_than_windows_are_refused() -> None:
    with pytest.raises(UserError, match=r"6 ranks share the 5 windows of a step.*take 5 ranks at most"):
        Ranks(0, 6, torch.device("cpu")).share(5)


@pytest.mark.parametrize("trainer", ["ddp", "fsdp"])
def test_one_rank_alone_trains_as_one_device(trainer: str, plain_kernels: None) -> None:
    tiny_run = {"steps": 5, "changes": {"micro_batch_tokens": 64}}
    losses = {name: trained({"trainer": name, **tiny_run})["loss"] for name in ("one-device", trainer)}
    np.testing.assert_allclose(losses[trainer], losses["one-device"], atol=1e-6, rtol=0)


def test_sharded_layers_do_not_take_the_fused_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """They keep the memory of weights, which sharding must free: "Trying to resize storage that is not resizable"."""
    monkeypatch.delenv("AIRA_KERNELS", raising=False)
    fused = trained({"trainer": "fsdp", "steps": 2})["loss"]
    monkeypatch.setenv("AIRA_KERNELS", "plain")
    assert fused == trained({"trainer": "fsdp", "steps": 2})["loss"]


def test_wrapping_a_model_for_ranks_prints_no_warning(tmp_path: Path, plain_kernels: None) -> None:
    """What a rank prints last is taken for the reason of its end."""
    trainer = DdpTrainer(tiny.section(trainer="ddp"), tiny.point(1), tiny.batches(), "cpu")
    trainer.ranks = Ranks(0, 2, torch.device("cpu"))
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            wrapped = trainer._spread(Objective(trainer.model))
    finally:
        dist.destroy_process_group()
    assert isinstance(wrapped, DistributedDataParallel)
