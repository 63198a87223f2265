"""The stage on real models, its key, and the command: tables, refusals, and nothing measured twice."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from aira_lib import device
from aira_lib.architecture.pattern import parse
from aira_lib.architecture.scales import scale_named
from aira_lib.device import assuming
from aira_lib.errors import UserError
from aira_lib.flow.estimates import of_latency
from aira_lib.flow.stage import STAGES, Input, stages_of
from aira_lib.flow.units import units_of
from aira_lib.identity import VERSIONS
from aira_lib.latency import timing
from aira_lib.latency.stage import latency
from aira_lib.records import Latency, Manifest, read_row
from aira_lib.study import LatencySection, Study
from tests.aira_lib.cli.in_process import aira
from tests.builders import TINY_STUDY, SilentLog, tiny_study, work_in

pytestmark = pytest.mark.usefixtures("plain_kernels")


@pytest.fixture(autouse=True)
def _short_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """What times are is not looked at here."""
    monkeypatch.setattr(timing, "SAMPLE_SECONDS", 1e-4)
    monkeypatch.setattr("gc.collect", lambda: 0)


SECTION = {"scale": "nano", "batch": 2, "seq_len": 8, "repeats": 3}
DESIGNS = {"one": parse("A-M"), "two": parse("Mb-W"), "alias": parse("A-M")}


def timed(**changes: Any) -> Study:
    return tiny_study(latency={**SECTION, **changes})


def test_a_record_has_every_block_and_design_in_every_mode(tmp_path: Path) -> None:
    work = work_in(tmp_path)
    said = list[tuple[float, float, str]]()
    work.progress = lambda *so_far: said.append(so_far)
    latency(LatencySection.model_validate(SECTION), scale_named("nano", 3), DESIGNS, work)
    found = read_row(tmp_path / "latency.json", Latency)
    modes = ("prefill", "decode", "train")
    blocks = ("A", "M", "Mb", "W", "embedding", "norm", "head")
    assert [(each.mode, each.block) for each in found.blocks] == [(mode, block) for mode in modes for block in blocks]
    assert [(each.mode, each.design) for each in found.designs] == [(mode, name) for mode in modes for name in DESIGNS]
    assert all(0 < each.low <= each.seconds <= each.high and each.repeats == 3 for each in found.blocks)
    times = {(each.mode, each.block): each.seconds for each in found.blocks}
    for each in found.designs:
        parts = (*DESIGNS[each.design], "embedding", "norm", "head")
        assert each.sum_seconds == pytest.approx(sum(times[each.mode, part] for part in parts))
        assert each.whole_seconds is not None
        assert each.ratio is not None
    assert (found.scale, found.batch, found.seq_len, found.precision, found.graph) == ("nano", 2, 8, "fp32", False)
    assert (found.device, found.kernels, found.threads) == ("cpu", "torch", 1)
    assert found.device_name == device.device_name() != ""
    assert said[-1][:2] == (3, 3)
    assert [done for done, *_ in said] == sorted(done for done, *_ in said)
    assert "decode, about " in " ".join(note for *_, note in said)
    assert isinstance(work.log, SilentLog)
    ((_, (_, metrics)),) = work.log.logged
    assert metrics["latency_decode_Mb"] == times["decode", "Mb"]


def test_the_row_times_the_designs_at_its_scale(tmp_path: Path) -> None:
    study = timed(modes=["decode"])
    design = {"kind": "find", "method": "stack", "n_layers": 2, "counts": {}, "params_non_embedding": 1,
              "params_embedding": 1, "flops_per_token": 1, "trainable": True, "base": "x"}  # fmt: skip
    rows = [
        {**design, "name": f"x@{name}", "pattern": pattern, "scale": scale_named(name, 3).model_dump(mode="json")}
        for name, pattern in (("nano", "A-M"), ("350M", "2A"), ("nano", "2M"))
    ]
    rows[2]["name"] = "y@nano"
    (tmp_path / "designs").mkdir()
    (tmp_path / "designs" / "designs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    manifest = Manifest(stage="extrapolate", unit="all", key="k", study="tiny", spec_digest="", section={})
    (unit,) = units_of("latency", study, keys=["k"])
    work = work_in(tmp_path / "work")
    STAGES.named("latency").make(study, unit, [Input(manifest, tmp_path / "designs")], work)
    found = read_row(work.path / "latency.json", Latency)
    assert {each.design: each.pattern for each in found.designs} == {"x@nano": "A-M", "y@nano": "2M"}
    assert {each.block for each in found.blocks} == {"A", "M", "embedding", "norm", "head"}


# --- keys -------------------------------------------------------------------------------------------------------------


def key_of(study: Study) -> str:
    (unit,) = units_of("latency", study)
    return unit.key


def test_a_study_asks_for_it_by_its_section() -> None:
    assert units_of("latency", tiny_study()) == []
    assert "latency" not in {stage.name for stage in stages_of(tiny_study())}
    assert "latency" in {stage.name for stage in stages_of(timed())}


@pytest.mark.parametrize(
    ("setting", "value"),
    [("batch", 3), ("seq_len", 9), ("modes", ["decode"]), ("precision", "bf16"), ("repeats", 4), ("seconds", 7.0)],
)
def test_settings_are_in_its_key_and_in_no_other(setting: str, value: Any) -> None:
    before, after = timed(), timed(**{setting: value})
    assert key_of(before) != key_of(after)
    for stage in ("search", "archive", "aggregate", "extrapolate"):
        bare = [unit.key for unit in units_of(stage, tiny_study())]
        assert [unit.key for unit in units_of(stage, before)] == [unit.key for unit in units_of(stage, after)] == bare


def test_a_measurement_is_found_again_on_the_same_kind_of_machine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    first = key_of(timed())
    assert key_of(timed()) == first
    monkeypatch.setenv("AIRA_THREADS", "2")
    assert key_of(timed()) != first
    monkeypatch.delenv("AIRA_THREADS")
    monkeypatch.setattr("aira_lib.identity.device_name", lambda: "Another Processor")
    assert key_of(timed()) != first
    monkeypatch.undo()
    monkeypatch.setenv("AIRA_KERNELS", "fused-or-not")
    with assuming("cuda", "fla"):
        assert key_of(timed()) != first


@pytest.mark.parametrize("piece", ["latency", "models", "extrapolate"])
def test_code_is_in_its_key(piece: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = key_of(timed())
    monkeypatch.setitem(VERSIONS, piece, VERSIONS[piece] + 1)
    assert key_of(timed()) != before


def test_the_name_of_the_processor_is_its_makers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRA_DEVICE", "cpu")
    listing = tmp_path / "cpuinfo"
    listing.write_text("processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\nflags\t: a b\nmodel name\t: Some CPU @ 3 GHz\n")
    monkeypatch.setattr(device, "_CPU_INFO", listing)
    assert device.device_name() == "Some CPU @ 3 GHz"
    monkeypatch.setattr(device, "_CPU_INFO", tmp_path / "nothing")
    assert device.device_name() != ""
    with assuming("cuda", "torch"):
        assert device.device_name() == ""


# --- refusals and estimates -------------------------------------------------------------------------------------------


def test_a_scale_without_designs_is_refused() -> None:
    with pytest.raises(UserError, match=r"latency\.scale: no design is brought to scale 'micro'; .* one of nano, "):
        timed(scale="micro")
    assert tiny_study(latency={"scale": "1B"}, extrapolate={"baselines": ["Llama 3.2"], "scales": ["1B"]}).latency
    odd = {**scale_named("nano", 3).model_dump(exclude={"name"}), "head_dim": 15, "seq_len": 64}
    with pytest.raises(UserError, match=r"scales\.odd\.head_dim is odd"):
        tiny_study(
            latency={"scale": "odd"}, scales={"odd": odd}, extrapolate={"baselines": ["Llama 3.2"], "scales": ["odd"]}
        )  # fmt: skip


def test_what_it_will_take_is_bounded_by_its_seconds() -> None:
    short, long = of_latency(timed(repeats=3)), of_latency(timed(repeats=300))
    assert short.units == 1
    assert short.seconds < long.seconds
    bounded = of_latency(tiny_study(latency={"scale": "nano", "repeats": 10**9, "seconds": 1.0, "modes": ["decode"]}))
    assert bounded.seconds < 20


# --- the command ------------------------------------------------------------------------------------------------------


def test_times_of_a_pattern_are_a_table() -> None:
    ended = aira(
        "latency",
        "--pattern",
        "A-M-W",
        "--scale",
        "nano",
        "--seq-len",
        "8",
        "--modes",
        "decode,prefill",
        "--repeats",
        "3",
        COLUMNS="200",
    )
    assert ended.code == 0, ended.err
    for text in ("prefill", "decode", "embedding", "A-M-W", "sum / whole", "1 × 8 tokens at scale nano"):
        assert text in ended.out
    assert "train " not in ended.out


def test_times_of_a_busy_machine_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = (
        "latency",
        "--pattern",
        "M",
        "--scale",
        "nano",
        "--seq-len",
        "4",
        "--modes",
        "decode",
        "--repeats",
        "3",
    )
    for load, told in ((7.0, True), (0.1, False)):
        monkeypatch.setattr("os.getloadavg", lambda load=load: (load * (os.cpu_count() or 1), 0.0, 0.0))
        assert ("The machine was busy: 7.0 processes a core" in aira(*arguments).out) is told
    assert device.load() == pytest.approx(0.1)


def test_a_dry_run_tells_memory_and_measures_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("aira_lib.latency.measure.interleaved", None)
    ended = aira("latency", "--pattern", "2A", "--scale", "nano", "--batch", "4", "--dry-run")
    assert ended.code == 0, ended.err
    assert "4 × 128 tokens at scale nano, 20 repeats" in ended.out
    assert f"{2 * 4 * 128 * 2 * 16 * 4 / 1000:.1f} kB" in ended.out  # layers, batch, positions, K and V of width 16
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump({**TINY_STUDY, "latency": SECTION}))
    ended = aira("latency", str(file), "--dry-run", "--store", str(tmp_path / "runs"))
    assert ended.code == 0, ended.err
    assert "Llama 3.2@nano" in ended.out
    assert "The baselines alone" in ended.out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "name a study with a section `latency`, or one design by --pattern and --scale"),
        (["--pattern", "A"], "--pattern needs --scale"),
        (["--pattern", "A", "--scale", "nano", "STUDY"], "leave out one of them"),
        (["--pattern", "A-", "--scale", "nano"], "A-"),
        (["--pattern", "A", "--scale", "nana"], "did you mean 'nano'"),
        (["--pattern", "A", "--scale", "nano", "--modes", "decod"], "did you mean 'decode'"),
        (["--pattern", "A", "--scale", "nano", "--modes", "train,train"], "name each mode once"),
        (["STUDY", "--batch", "3"], "--batch goes with --pattern"),
        (["STUDY"], "does not ask for stage latency; give it a section 'latency'"),
        (["STUDY", "--dry-run"], "does not ask for stage latency; give it a section 'latency'"),
    ],
)
def test_what_makes_no_sense_is_one_line(arguments: list[str], line: str, tmp_path: Path) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(TINY_STUDY))
    given = [str(file) if each == "STUDY" else each for each in arguments]
    ended = aira("latency", *given, AIRA_STORE=str(tmp_path / "runs"))
    assert ended.code == 2
    assert line in ended.err


def test_a_study_that_was_not_extrapolated_says_which_command_is_first(tmp_path: Path) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump({**TINY_STUDY, "latency": SECTION}))
    ended = aira("latency", str(file), "--store", str(tmp_path / "runs"))
    assert ended.code == 2
    assert "run `aira extrapolate` first" in ended.err
