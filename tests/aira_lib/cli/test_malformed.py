"""Over a thousand malformed inputs, made from seeds: each is refused by exit code 2 and one line, none by a traceback.

Studies, the environment and arguments. What a random change leaves whole may end well; nothing may end otherwise.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from aira_lib.study import Study
from aira_lib.study.document import sections_of
from tests.a_cluster import cluster_file
from tests.aira_lib.cli.in_process import Ended, aira

TASK = "NeuralArchitectureSearchMAD3PrimitivesMbAccuracy"
SMALL = {"name": "small", "agents": [{"model": "offline", "steps": 2}], "aggregate": [{"name": "vote"}]}
REQUIRED: dict[str, dict[str, Any]] = {
    "aggregate[]": {"name": "vote"},
    "scales.NAME": dict.fromkeys(
        ("d_model", "n_heads", "n_kv_heads", "head_dim", "d_ff", "d_ssm", "d_state", "ssm_head_dim", "seq_len",
         "vocab_size", "tokens_per_step"), 512,
    ),
    "pretrain.isotoken": {"scale": "nano", "tokens": 8192},
    "pretrain.isoflop": {"scales": ["nano"], "budgets": [1e12]},
}  # fmt: skip
"""Of sections with keys that must be there: values for them."""

WRONG_EVERYWHERE = (".nan", "-.inf", "[[1]]", "{zzz: 1}", '"\\0"', '"\\ud800"', "{[a]: 1}", "!!python/name:os", "[*a]")
"""Values that no key of a study takes."""


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIRA_STORE", str(tmp_path / "runs"))
    monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.setenv("AIRA_KERNELS", "plain")
    for name in ("AIRA_DEVICE", "AIRA_THREADS", "AIRA_PROFILE", "AIRA_EVALUATIONS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


def refused(ended: Ended, what: object) -> str:
    """The one line of a refusal."""
    assert ended.code == 2, (what, ended)
    assert ended.err.startswith("aira: "), (what, ended.err)
    assert ended.err.count("\n") == 1, (what, ended.err)
    assert len(ended.err) < 2_000, (what, ended.err)
    return ended.err


def ends_well(ended: Ended, what: object) -> bool:
    """Whether it was refused; it ended well, else."""
    if ended.code:
        refused(ended, what)
    return bool(ended.code)


def with_key(place: str, key: str, value: str) -> str:
    """The text of a small study in which a key of a section has a value."""
    marked: Any = {**REQUIRED.get(place, {}), key: "VALUE"}
    if not place:
        return yaml.safe_dump({**SMALL, **marked}).replace("VALUE", value)
    if place.startswith("agents[]"):
        for part in reversed(place.split(".")[1:]):
            marked = {part: marked}
        agent = {"model": "offline", "steps": 2, **marked}
        return yaml.safe_dump({**SMALL, "agents": [agent]}).replace("VALUE", value)
    for part in reversed(place.split(".")):
        marked = {"in-context-recall" if part == "NAME" and "difficulty" in place else part: marked}
        if part.endswith("[]"):
            marked = {part[:-2]: list(marked.values())}
    return yaml.safe_dump({**SMALL, **marked}).replace("VALUE", value)


def keys() -> Iterator[tuple[str, type[BaseModel], str]]:
    for place, model in sections_of("", Study):
        for key in model.model_fields:
            yield place, model, key


def test_no_key_takes_a_value_that_makes_no_sense(tmp_path: Path) -> None:
    study = tmp_path / "s.yaml"
    count = 0
    for place, _, key in keys():
        for value in WRONG_EVERYWHERE:
            study.write_text(with_key(place, key, value))
            line = refused(aira("plan", str(study)), study.read_text())
            assert str(study) in line
            count += 1
    assert count > 1_000


def test_every_key_is_found_again_under_a_name_that_is_nearly_its_own(tmp_path: Path) -> None:
    study, random_ = tmp_path / "s.yaml", random.Random(0)
    for place, model, key in keys():
        at = random_.randrange(len(key) - 1)
        swapped = key[:at] + key[at + 1] + key[at] + key[at + 2 :]
        for misspelt in {key.upper(), key.replace("_", "-"), key.capitalize(), swapped} - {*model.model_fields}:
            study.write_text(with_key(place, misspelt, "1"))
            line = refused(aira("plan", str(study)), study.read_text())
            assert f"did you mean {key!r}?" in line or swapped == misspelt, (misspelt, line)


@pytest.mark.parametrize("seed", range(3))
def test_damaged_files_are_refused_or_read(seed: int, tmp_path: Path) -> None:
    random_ = random.Random(seed)
    whole = yaml.safe_dump(SMALL).encode() + b"task: {layers: 4}\nproxy: {epochs: 2, d_model: 32, n_heads: 2}\n"
    bits = [b"\x00", b"\xff", b"[", b"{", b"? ", b": ", b"&a ", b"*a", b"!!", b"'", b'"', b"|", b">", b"%", b"\t",
            b"---\n", b"...", b"- ", b"\n", b"1e999", b"0x", b"~", b"#", b"@", b"2026-99-99", b"\xc3\xa4"]  # fmt: skip
    study, count = tmp_path / "s.yaml", 0
    for number in range(150):
        damaged = bytearray(whole)
        for _ in range(random_.randint(1, 4)):
            at = random_.randrange(len(damaged))
            match random_.randrange(3):
                case 0:
                    damaged[at:at] = random_.choice(bits)
                case 1:
                    del damaged[at : at + random_.randint(1, 6)]
                case 2:
                    damaged[at : at + 1] = random_.choice(bits)
        study.write_bytes(damaged)
        command = (["plan"], ["search", "--dry-run"], ["run", "--dry-run"])[number % 3]
        count += ends_well(aira(*command, str(study)), bytes(damaged))
    assert count > 75


@pytest.mark.parametrize(
    "text",
    ["[" * 50_000, "{a: " * 20_000, "- " * 20_000, "a: &a [*a]\nname: *a\n", "name: " + "x" * 2_000_000,
     "? [a, b]\n: 1\n", "&a [" + "x, " * 9 + "x]: 1", "name: " + "9" * 20_000, "agents: 0x" + "f" * 20_000],
)  # fmt: skip
def test_what_a_reader_of_yaml_chokes_on(text: str, tmp_path: Path) -> None:
    study = tmp_path / "s.yaml"
    study.write_text(text)
    refused(aira("plan", str(study)), text[:80])


def test_a_list_that_names_itself_ten_times_over_is_refused_at_once(tmp_path: Path) -> None:
    lines = ["name: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"k{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    study = tmp_path / "s.yaml"
    study.write_text("\n".join([*lines, "agents: *a11", "description: *a11"]))
    refused(aira("plan", str(study)), "a bomb")


ENVIRONMENT: dict[str, tuple[str, ...]] = {
    "AIRA_THREADS": ("abc", "0", "-1", "1.5", "1e3", "99999999999999999999", "²", " 4", "4 cores", "0x4"),
    "AIRA_DEVICE": ("tpu", "CUDA", "cuda:", "cuda:x", "cuda:-1", "gpu", "cpu:0", "mps", " ", "cuda:9999"),
    "AIRA_STORE": ("s4://b", "file://x", "s3://", "s3://a@b", "\t", "/proc/none", "/dev/null/x", "x" * 300, "s3:b"),
    "AIRA_CALL_SECONDS": ("abc", "0", "-1", "nan", "inf", "1 h"),
    "AIRA_CONCURRENT_CALLS": ("abc", "0", "-1", "nan", "inf", "1,5"),
    "AIRA_PLUGINS": ("no.such.module", "a b", ".", "..", "os.path.no", "1", "json,", "-"),
}  # fmt: skip


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_the_environment_is_refused_before_anything_else(name: str, tmp_path: Path) -> None:
    study = tmp_path / "s.yaml"
    study.write_text(yaml.safe_dump(SMALL))
    for value in ENVIRONMENT[name]:
        for command in (["run", str(study), "--dry-run"], ["search", str(study), "--dry-run"]):
            ended = aira(*command, **{name: value})
            assert ends_well(ended, (name, value)) or value == "json,", (name, value)
            if ended.code and name != "AIRA_STORE":
                assert name in ended.err


def arguments(study: str, folder: Path) -> Iterator[list[str]]:
    binary, nowhere = folder / "binary", "/proc/nowhere/x"
    binary.write_bytes(bytes(range(256)))
    (folder / "patterns").write_text("A-M\nA-\n")
    for name in ("run", "search", "archive", "aggregate", "extrapolate", "pretrain", "evaluate", "latency", "report",
                 "compile", "watch", "plan", "nodes"):  # fmt: skip
        unit = ["--unit", "x"] if name == "nodes" else []
        yield from ([name, *unit, path] for path in (nowhere, str(binary), str(folder), "/dev/null", "", "\udcff.yaml"))
        yield from ([name, *unit, study, *more] for more in (["--bogus"], ["--store"], ["--store", ""], ["a", "b"]))
    numbers = ("abc", "", "1.5x", "0", "-1", "nan", "²")
    for option in ("--seeds", "--steps", "--workers", "--max-tokens"):
        yield from (["search", TASK, "--dry-run", option, number] for number in numbers)
    for option in ("--hours", "--max-dollars"):
        yield from (
            ["search", TASK, "--dry-run", option, number] for number in ("abc", "0", "-1", "nan", "inf", "-inf")
        )
    yield from (["search", TASK, "--dry-run", option, "gredy"] for option in ("--agent", "--profile"))
    yield from (["search", study, "--dry-run", "--unit", unit] for unit in ("greedy", "greedy-offline.s9", "../x"))
    yield from (["plan", "--mfu", number] for number in ("0", "-1", "2", "nan", "inf", "x"))
    yield from (
        ["plan", "--export", path] for path in (nowhere, f"{nowhere}.csv", str(folder / "x.xlsx"), f"{study}/x.csv")
    )
    yield from (["pattern", "4(A-M)", "--primitives", number] for number in numbers if number != "²")
    yield from (["design", "show", name] for name in ("", "Lama", "Llama 3.2@9B", "\udcff"))
    yield from (["proxy", "evaluate", "--dry-run", *more] for more in (
        [], ["--file", str(binary)], ["--file", str(folder)], ["--file", nowhere], ["--file", str(folder / "patterns")],
        ["A", "--seed", "-1"], ["A", "--seed", str(2**70)], ["A", "--profile", "x"],
        ["A", "--profile", f"{nowhere}.yaml"], ["A", "--task", "x"], ["A-W", "--task", TASK],
    ))  # fmt: skip
    yield from (["proxy", "fidelity", *more] for more in (
        ["--designs", "0", "--dry-run"], ["--designs", str(binary), "--dry-run"], ["--designs", "9" * 30, "--dry-run"],
        ["--seeds", "a", "--dry-run"], ["--seeds", "9" * 30, "--dry-run"], ["--large", "1x", "--dry-run"],
        ["--large", "laptop", "--small", "laptop", "--dry-run"], ["--task", "x", "--dry-run"],
        ["--small", "laptop", "--output", nowhere], ["--small", "laptop", "--output", f"{study}/x"],
    ))  # fmt: skip
    yield from (["store", *more] for more in (
        ["export", str(folder / "x.csv")], ["export", "/proc/nowhere/x.parquet"], ["query", "--dataset", "maad"],
        ["query", "--limit", "0"], ["query", "--layers", "x"], ["query", "--study", str(binary)],
        ["query", "--study", study, "--settings", "0"], ["stats", "--store", "s9://x"],
    ))  # fmt: skip
    yield from (["tasks", *more] for more in (["show", "x"], ["check", nowhere], ["new", "/proc/nowhere/NewTask"],
                                              ["new", "lower"], ["new", f"{study}/NewTask"], ["bogus"]))  # fmt: skip
    yield from (["models", *more] for more in (["check", "offline", "--temperature", "-1"],
                ["check", "offline", "--reasoning-effort", "much"], ["check", f"replay:{nowhere}"],
                ["check", f"replay:{binary}"], ["serve", "gpt"], ["serve", "smollm2", "--port", "70000"]))  # fmt: skip
    cluster = str(cluster_file(folder))
    yield from (
        ["compile", study, "--cluster", cluster, "-o", path]
        for path in (f"{nowhere}.yaml", str(folder / "x.json"), f"{study}/x.yaml")
    )
    yield from (["compile", "--cluster", path] for path in (nowhere, str(binary), str(folder), study, "", "\udcff"))
    yield from ([bogus] for bogus in ("--bogus", "bogus", "-x", "run-", "\udcff"))


def test_arguments_that_make_no_sense(tmp_path: Path) -> None:
    study = tmp_path / "s.yaml"
    study.write_text(yaml.safe_dump(SMALL))
    count = 0
    for given in arguments(str(study), tmp_path):
        refused(aira(*given), given)
        count += 1
    assert count > 150
