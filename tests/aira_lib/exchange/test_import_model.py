"""Checkpoints that transformers itself wrote, read as records: its own model is the reference."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, dynamic_module_utils

from aira_lib.architecture.pattern import parse
from aira_lib.architecture.scales import Scale
from aira_lib.cli.aira import main
from aira_lib.downstream.scorer import Scorer
from aira_lib.downstream.tokens import prompt_tokenizer
from aira_lib.errors import UserError
from aira_lib.exchange.export_model import export_model
from aira_lib.exchange.foreign_model import foreign_model
from aira_lib.exchange.import_model import import_model
from aira_lib.exchange.llama_weights import halves, neighbours
from aira_lib.exchange.trained_record import trained_record
from aira_lib.extrapolate.stage import describe
from aira_lib.models.language_model import LanguageModel
from aira_lib.records import TrainingRun, read_row
from aira_lib.settings import Settings
from aira_lib.store import RecordFolder, open_store
from aira_lib.study import DataSection, DownstreamSection
from aira_lib.training.checkpoint import Checkpoints
from aira_lib.training.trained import trained_model
from tests.aira_lib.training import tiny

ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
SMALL: dict[str, Any] = dict(
    vocab_size=260, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=128, rms_norm_eps=1e-5,
)  # fmt: skip
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 500_000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}  # fmt: skip


def tokenizer_into(folder: Path, begin: str | None = None) -> None:
    """A byte-level tokenizer with marks of a beginning and an end, the former put before texts if asked."""
    words = ["<s>", "</s>", *ALPHABET]
    tokenizer = Tokenizer(models.BPE({word: place for place, word in enumerate(words)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>", "</s>"])
    if begin:
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{begin} $A", special_tokens=[(begin, 0)])
    tokenizer.save(str(folder / "tokenizer.json"))


def reference(folder: Path, dtype: torch.dtype = torch.float32, shard: str = "1GB", **changes: Any) -> torch.nn.Module:
    """A Llama of random weights, saved by transformers."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**{**SMALL, **changes})).to(dtype).eval()
    with torch.no_grad():  # norms of 1 would hide a norm that is left out
        for name, weight in model.named_parameters():
            weight.copy_(torch.randn_like(weight) * (0.3 if "norm" in name else 0.2) + ("norm" in name))
    model.save_pretrained(folder, max_shard_size=shard)
    tokenizer_into(folder)
    return model


def imported(folder: Path, to: Path, **options: Any) -> tuple[TrainingRun, Path]:
    """The run of a folder's record, and the record's files."""
    list(import_model(folder, str(to), Settings(scratch=to.parent / "scratch"), **options))
    files = RecordFolder(open_store(str(to.parent)), to.name).fetch(to.parent / "scratch")
    return read_row(files / "run.json", TrainingRun), files


def model_of(folder: Path, to: Path) -> LanguageModel:
    return trained_model(*imported(folder, to))


@pytest.mark.parametrize(
    "changes",
    [
        {"tie_word_embeddings": True},
        {"tie_word_embeddings": False, "rms_norm_eps": 1e-2, "num_key_value_heads": 4},
        {"rope_parameters": LLAMA3, "num_key_value_heads": 1},
        {"head_dim": 16, "rope_parameters": {"rope_type": "default", "rope_theta": 100.0}},
    ],
    ids=["tied", "another-norm", "scaled-rope", "wide-heads"],
)
def test_logits_are_those_of_transformers(tmp_path: Path, changes: dict[str, Any]) -> None:
    theirs, tokens = reference(tmp_path / "theirs", **changes), torch.randint(260, (2, 100))
    ours = model_of(tmp_path / "theirs", tmp_path / "record")
    with torch.no_grad():
        torch.testing.assert_close(ours(tokens), theirs(tokens).logits, rtol=0, atol=2e-5)


def test_a_mistral_without_a_window_is_one_of_the_family(tmp_path: Path) -> None:
    theirs = MistralForCausalLM(MistralConfig(**SMALL, sliding_window=None)).eval()
    theirs.save_pretrained(tmp_path / "theirs")
    tokenizer_into(tmp_path / "theirs")
    tokens = torch.randint(260, (1, 50))
    with torch.no_grad():
        torch.testing.assert_close(
            model_of(tmp_path / "theirs", tmp_path / "record")(tokens), theirs(tokens).logits, rtol=0, atol=2e-5
        )


def test_several_files_are_read_as_one(tmp_path: Path) -> None:
    reference(tmp_path / "whole")
    reference(tmp_path / "parts", shard="20KB")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 2
    whole, parts = (model_of(tmp_path / name, tmp_path / f"{name}-record") for name in ("whole", "parts"))
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, parts.state_dict()[name]), name


def test_weights_keep_their_type_and_value(tmp_path: Path) -> None:
    theirs = reference(tmp_path / "theirs", dtype=torch.bfloat16)
    _, record = imported(tmp_path / "theirs", tmp_path / "record")
    (file,) = record.glob("checkpoints/*/model.*.pt")
    state = torch.load(file, weights_only=True)
    assert {weight.dtype for weight in state.values()} == {torch.bfloat16}
    down = theirs.get_submodule("model.layers.1.mlp.down_proj").weight
    assert torch.equal(state["backbone.layers.3.mixer.out.weight"], down)


def test_the_two_orders_of_rotary_channels_are_inverse() -> None:
    rows = torch.arange(48.0).reshape(24, 2)
    assert torch.equal(halves(neighbours(rows, 3), 3), rows)
    assert neighbours(torch.arange(8.0).reshape(8, 1), 1).flatten().tolist() == [0, 4, 1, 5, 2, 6, 3, 7]


def test_a_config_of_before_transformers_5_says_the_same(tmp_path: Path) -> None:
    reference(tmp_path / "theirs", rope_parameters=LLAMA3)
    new, _ = imported(tmp_path / "theirs", tmp_path / "new", name="one")
    path = tmp_path / "theirs" / "config.json"
    content = json.loads(path.read_text())
    rope = content.pop("rope_parameters")
    content |= {"rope_theta": rope.pop("rope_theta"), "rope_scaling": rope}
    path.write_text(json.dumps(content))
    old, _ = imported(tmp_path / "theirs", tmp_path / "old", name="one")
    assert old.point.design == new.point.design
    assert old.point.design.scale.rope_scaling is not None
    assert old.point.design.scale.rope_scaling.original_length == 32


def test_the_run_says_what_is_known_and_no_more(tmp_path: Path) -> None:
    theirs = reference(tmp_path / "theirs")
    run, record = imported(tmp_path / "theirs", tmp_path / "record", name="a/b model", precision="bf16")
    design, data = run.point.design, run.data
    assert (run.steps, run.tokens, run.flops, run.final_train_loss, run.trainer) == (0, 0, 0.0, None, None)
    assert (run.point.protocol, design.kind, run.precision) == ("imported", "imported", "bf16")
    assert (design.name, run.point.id) == ("a/b model", "a-b-model")
    assert sum(weight.numel() for weight in trained_model(run, record).parameters()) == theirs.num_parameters()
    assert data["corpus"] == "imported"
    assert data["files_sha256"].keys() == {"config.json", "model.safetensors", "tokenizer.json"}
    assert (record / data["tokenizer"]).is_file()


def test_the_mark_that_transformers_puts_before_texts_is_kept(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    from aira_lib.datasets.shards.tokenizer import TrainedTokenizer

    reference(tmp_path / "theirs")
    for number, (begin, asked) in enumerate([(None, None), ("<s>", None), (None, True), ("<s>", False)]):
        tokenizer_into(tmp_path / "theirs", begin)
        settings = {"bos_token": "<s>", "eos_token": "</s>", "tokenizer_class": "LlamaTokenizerFast"}
        settings |= {} if asked is None else {"add_bos_token": asked}
        (tmp_path / "theirs" / "tokenizer_config.json").write_text(json.dumps(settings))
        run, record = imported(tmp_path / "theirs", tmp_path / f"record{number}")
        kept = TrainedTokenizer(str(record / run.data["tokenizer"])).entry
        assert kept.digest == run.data["tokenizer_sha256"]
        theirs = AutoTokenizer.from_pretrained(tmp_path / "theirs").encode("text")
        assert ([] if kept.begin is None else [kept.begin]) == theirs[:-4], (begin, asked)


def test_the_same_files_make_nothing_twice_and_others_do_not_replace_them(tmp_path: Path) -> None:
    reference(tmp_path / "theirs")
    settings, to = Settings(scratch=tmp_path / "scratch"), str(tmp_path / "record")
    assert "parameters" in next(import_model(tmp_path / "theirs", to, settings))
    before = (tmp_path / "record" / "manifest.json").read_bytes()
    assert "there already" in next(import_model(tmp_path / "theirs", to, settings))
    assert (tmp_path / "record" / "manifest.json").read_bytes() == before
    with pytest.raises(UserError, match="holds another record"):
        next(import_model(tmp_path / "theirs", to, settings, name="another"))


EXPORTED: dict[str, tuple[str, dict[str, Any]]] = {
    "a Llama": ("2(A-M)", {"tie_embeddings": False, "rope_scaling": {"factor": 8.0, "original_length": 16}}),
    "all kinds": ("A-Mb-W-M", {"mlp": "relu", "window": 5, "norm_eps": 1e-3}),
}


@pytest.fixture(scope="module", params=EXPORTED)
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainingRun, Path, Path]:
    """A training, the folder of its record, and the folder of its export."""
    folder, (pattern, changes) = tmp_path_factory.mktemp("exported"), EXPORTED[request.param]
    point, scale = tiny.point(3), Scale.model_validate({**tiny.SCALE.model_dump(), **changes})
    design = describe("mine", base="mine", kind="find", method="stretch", layers=parse(pattern), scale=scale,
                      trainable=True)  # fmt: skip
    run = TrainingRun(
        point=point.model_copy(update={"design": design}), final_train_loss=1.5, steps=3, tokens=384, flops=9.0,
        status="ok", data={"corpus": "files", "packing": "across"}, device="cpu", precision="fp32",
    )  # fmt: skip
    model = LanguageModel(parse(pattern), scale)
    (folder / "record").mkdir()
    with Checkpoints(folder / "record") as checkpoints:
        checkpoints.save(3, {"model": [model.state_dict()]}, asynchronous=False)
    (folder / "record" / "run.json").write_text(run.json_line())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(folder / "modules"))
        patch.setattr("sys.path", list(sys.path))
        list(export_model(str(folder / "record"), folder / "export", Settings(scratch=folder / "scratch")))
    return run, folder / "record", folder / "export"


def test_what_was_exported_comes_back_bit_by_bit(exported: tuple[TrainingRun, Path, Path], tmp_path: Path) -> None:
    run, record, folder = exported
    back, files = imported(folder, tmp_path / "back")
    before, after = (trained_model(*each).state_dict() for each in ((run, record), (back, files)))
    assert before.keys() == after.keys()
    assert all(torch.equal(weight, after[name]) for name, weight in before.items())
    assert (back.point, back.steps, back.tokens, back.flops) == (run.point, 3, 384, 9.0)
    assert (back.data["corpus"], back.data["trained_on"]) == ("imported", run.data)


def test_prompts_of_an_import_have_the_tokens_of_the_training(
    exported: tuple[TrainingRun, Path, Path], tmp_path: Path
) -> None:
    run, record, folder = exported
    back, files = imported(folder, tmp_path / "back")
    before, after = prompt_tokenizer(run, DataSection(), record), prompt_tokenizer(back, DataSection(), files)
    for text in ("A sentence.", "", "naïve café\n\n  東京", "x = {'a': 1}</s>"):
        assert after.encode(text) == before.encode(text)
        assert after.decode(after.encode(text)) == text
    assert (after.prefix, after.before, after.entry.end) == (before.prefix, before.before, before.entry.end)


@pytest.mark.parametrize("exported", ["a Llama"], indirect=True)
def test_the_precision_is_that_of_the_training_unless_the_command_names_another(
    exported: tuple[TrainingRun, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _, folder = exported
    theirs = shutil.copytree(folder, tmp_path / "theirs")
    (theirs / "run.json").write_text(run.model_copy(update={"precision": "bf16"}).json_line())
    monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path / "scratch"))
    for name, asked, scored in (("default", [], "bf16"), ("fp32", ["--precision", "fp32"], "fp32")):
        to = str(tmp_path / name)
        monkeypatch.setattr("sys.argv", ["aira", "import-model", str(theirs), "--to", to, *asked])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        record = trained_record(to, Settings(scratch=tmp_path / "scratch"))
        scorer = Scorer(DownstreamSection(), DataSection(), record.run, record.folder)
        assert scorer.describe()["precision"] == scored


def test_a_run_of_another_model_is_not_believed(exported: tuple[TrainingRun, Path, Path], tmp_path: Path) -> None:
    run, _, folder = exported
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    scale = run.point.design.scale.model_copy(update={"rope_theta": 7.0})
    design = run.point.design.model_copy(update={"scale": scale})
    told = run.model_copy(update={"point": run.point.model_copy(update={"design": design})})
    for content, says in ((told.json_line(), "other rope_theta"), ("{}", "not the run of a training")):
        (tmp_path / "run.json").write_text(content)
        with pytest.raises(UserError, match=says):
            foreign_model(tmp_path, "x")
    (tmp_path / "run.json").unlink()
    alone, told_of = foreign_model(tmp_path, "x"), foreign_model(folder, "x")
    assert (alone.run, alone.layers, alone.sources) == (None, told_of.layers, told_of.sources)


def _config(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def _tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def rewrite(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors")

    return rewrite


def _cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _pickles(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _index(content: object) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "one.safetensors")
        (folder / "model.safetensors.index.json").write_text(json.dumps(content))

    return write


Q = "model.layers.1.self_attn.q_proj.weight"
BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda folder: (folder / "config.json").unlink(), "config.json: No such file"),
    "no JSON": (lambda folder: (folder / "config.json").write_text("{"), "config.json: not JSON"),
    "a list": (lambda folder: (folder / "config.json").write_text("[]"), "config.json: not the settings"),
    "family": (_config(model_type="gpt2"), "model_type 'gpt2'"),
    "no width": (_config(hidden_size=None), "hidden_size"),
    "biases": (_config(attention_bias=True), "attention_bias"),
    "MLP biases": (_config(mlp_bias=True), "mlp_bias"),
    "activation": (_config(hidden_act="gelu"), "hidden_act 'gelu'"),
    "window": (_config(sliding_window=64), "sliding_window 64"),
    "Mistral": (_config(model_type="mistral"), "sliding_window 4096"),
    "rope": (_config(rope_parameters={"rope_type": "yarn", "rope_theta": 1e4}), "rope_type 'yarn'"),
    "half-told rope": (_config(rope_parameters={"rope_type": "llama3", "rope_theta": 1e4}), "factor"),
    "part": (_config(partial_rotary_factor=0.5), "partial_rotary_factor"),
    "quantised": (_config(quantization_config={"quant_method": "gptq"}), "quantization_config"),
    "heads": (_config(num_key_value_heads=3), "n_heads 4 is not a multiple of n_kv_heads 3"),
    "shape": (_config(intermediate_size=64), "asks for [64, 32]"),
    "missing": (_tensors(lambda tensors: tensors.pop(Q)), f"no tensor {Q}"),
    "more": (_tensors(lambda tensors: tensors.update({Q[:-6] + "bias": torch.ones(32)})), "q_proj.bias"),
    "integers": (_tensors(lambda tensors: tensors.update({Q: torch.ones(32, 32, dtype=torch.int8)})), "type I8"),
    "not finite": (_tensors(lambda tensors: tensors[Q].fill_(float("inf"))), "no finite number"),
    "cut off": (_cut, "model.safetensors: not a whole safetensors file"),
    "pickles": (_pickles, "pytorch_model.bin is a pickle"),
    "index": (_index(["one.safetensors"]), "not an index"),
    "outside": (_index({"weight_map": {Q: "../one.safetensors"}}), "names ../one.safetensors"),
    "phantom": (_index({"weight_map": {"phantom": "one.safetensors"}}), "names phantom"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer.json"),
    "tokenizer": (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokenizer.json"),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    reference(folder)
    return folder


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_read_is_one_line_that_names_it(good: Path, tmp_path: Path, case: str) -> None:
    spoil, says = BAD[case]
    folder = tmp_path / "theirs"
    folder.mkdir()
    for path in good.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    spoil(folder)
    with pytest.raises(UserError) as refused:
        list(import_model(folder, str(tmp_path / "store" / "record"), Settings(scratch=tmp_path / "scratch")))
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "store" / "record" / "manifest.json").exists()


def test_a_tokenizer_of_more_ids_than_the_model_is_another_ones(tmp_path: Path) -> None:
    reference(tmp_path / "theirs", vocab_size=200)
    with pytest.raises(UserError, match="258 ids, and the model 200"):
        imported(tmp_path / "theirs", tmp_path / "record")


def test_the_command_takes_a_tokenizer_and_says_what_it_made(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path / "scratch"))
    (tmp_path / "theirs").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "theirs" / name).write_bytes((good / name).read_bytes())
    to = str(tmp_path / "runs" / "imported" / "mine")
    command = ["aira", "import-model", str(tmp_path / "theirs"), "--to", to]
    for arguments, code, says in (
        (command, 2, "name one with --tokenizer"),
        ([*command, "--tokenizer", str(good / "tokenizer.json")], 0, "2(A-M), 32,160 parameters"),
        (["aira", "import-model", str(tmp_path / "nowhere"), "--to", to], 2, "not a folder"),
        (["aira", "import-model", str(tmp_path / "one.gguf"), "--to", to], 2, "a GGUF file"),
        (["aira", "import-model", str(tmp_path / "theirs"), "--to", "/"], 2, "name a record in a store"),
    ):
        monkeypatch.setattr("sys.argv", arguments)
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        assert ended.value.code == code, shown
        assert says in shown.out + shown.err
        assert shown.err.count("\n") == (1 if code else 0)
