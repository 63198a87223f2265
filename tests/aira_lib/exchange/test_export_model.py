"""An exported model is ours to whoever loads it: logits, generation, padding, tokens, lm-eval's scores."""

import ast
import json
import shutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from aira_lib.architecture.pattern import parse
from aira_lib.architecture.primitives import PRIMITIVES, Primitive, add_primitive
from aira_lib.architecture.scales import Scale
from aira_lib.datasets.shards.tokenizer import tokenizer_of
from aira_lib.errors import MissingDependency, UserError
from aira_lib.exchange import export_model as module
from aira_lib.exchange import proof
from aira_lib.exchange.beside import scores_beside
from aira_lib.exchange.export_model import export_model
from aira_lib.exchange.formats import SHIPPED, WIDE
from aira_lib.exchange.trained_record import trained_record
from aira_lib.models.language_model import LanguageModel
from aira_lib.records import Downstream, Manifest, Measured, Score, StandIn, TaskScore, TrainingRun, read_row
from aira_lib.settings import Settings
from aira_lib.store import RecordFolder, open_store
from aira_lib.training.checkpoint import Checkpoints
from tests.aira_lib.datasets.shards.small import write_shards
from tests.aira_lib.datasets.shards.texts import write_tokenizer
from tests.aira_lib.training import tiny
from tests.builders import tiny_study

pytestmark = pytest.mark.usefixtures("plain_kernels", "modules")

MIXED = "A-Mb-W-M"
STRETCHED = {"factor": 8.0, "original_length": 16}
CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "llama": ("A-M-A-M", {}, "LlamaForCausalLM"),
    "llama, untied, stretched": ("A-M", {"tie_embeddings": False, "rope_scaling": STRETCHED}, "LlamaForCausalLM"),
    "llama, another epsilon": ("A-M", {"norm_eps": 1e-3, "n_kv_heads": 2}, "LlamaForCausalLM"),
    "relu": ("A-M", {"mlp": "relu"}, "AiraForCausalLM"),
    "another order": ("M-A", {"tie_embeddings": False, "rope_scaling": STRETCHED}, "AiraForCausalLM"),
    "heads that fill nothing": ("A-M", {"n_heads": 3, "n_kv_heads": 3}, "AiraForCausalLM"),
    "groups": ("Mb-Mb", {"n_groups": 2, "d_conv": 2}, "AiraForCausalLM"),
    "windows": ("W-W", {"window": 5, "norm_eps": 1e-3}, "AiraForCausalLM"),
    "mixed": (MIXED, {"window": 5}, "AiraForCausalLM"),
}
LENGTH = 80
"""Longer than any window, the training, and a chunk of the scan."""


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Where transformers copies the files of a model to before it imports them."""
    from transformers import dynamic_module_utils

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path_factory.mktemp("modules")))
        patch.setattr(sys, "path", list(sys.path))
        yield


def write_record(folder: Path, pattern: str, data: dict[str, Any] | None = None, **changes: Any) -> LanguageModel:
    """A finished training of a tiny model, all of whose parameters are drawn; the model."""
    torch.manual_seed(len(pattern))
    point = tiny.point(1)
    scale = Scale.model_validate({**tiny.SCALE.model_dump(), **changes})
    point = point.model_copy(
        update={"design": point.design.model_copy(update={"scale": scale, "pattern": pattern})}
    )  # fmt: skip
    model = LanguageModel(parse(pattern), scale, kernel="torch")
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    folder.mkdir(parents=True)
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(1, {"model": [model.state_dict()]}, asynchronous=False)
    run = TrainingRun(
        point=point, final_train_loss=1.0, steps=1, tokens=1, flops=1.0, status="ok", data=data or {"corpus": "files"}
    )
    (folder / "run.json").write_text(run.json_line())
    return model.eval()


STAND_IN = StandIn(what="a tiny text", instead_of="a large one")


def commit(place: Path, files: Path, *, key: str, **manifest: Any) -> None:
    """A finished record of some files in the store three folders above it."""
    store = open_store(str(place.parents[2]))
    made = Manifest(
        **{"stage": "pretrain", "unit": "p", "study": "s", "spec_digest": "", "section": {}, **manifest}, key=key
    )
    with RecordFolder(store, str(place.relative_to(place.parents[2]))).claim(files) as attempt:
        assert attempt
        shutil.copytree(files, attempt.path, dirs_exist_ok=True)
        attempt.commit(made)


def export(record: Path, to: Path, **options: Any) -> list[str]:
    return list(export_model(str(record), to, Settings(scratch=record / "scratch"), **options))


def load(folder: Path, **options: Any) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, **options).eval()


def differ(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


def some_tokens(rows: int, length: int = LENGTH) -> Tensor:
    return torch.randint(1, 256, (rows, length), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[LanguageModel, Path, Any]:
    """Ours, its export, and that as transformers loads it."""
    folder = tmp_path_factory.mktemp("mixed")
    ours = write_record(folder / "record", MIXED, window=5)
    export(folder / "record", folder / "exported")
    return ours, folder / "exported", load(folder / "exported")


@pytest.mark.parametrize("case", CASES)
def test_logits_are_ours(case: str, tmp_path: Path) -> None:
    pattern, changes, kind = CASES[case]
    ours = write_record(tmp_path / "record", pattern, **changes)
    export(tmp_path / "record", tmp_path / "exported")
    theirs = load(tmp_path / "exported")
    assert type(theirs).__name__ == kind
    # Llama's class rounds rotary angles to fp32, of which a far position shows more; ours are made in fp64.
    tokens = some_tokens(2, tiny.SCALE.seq_len if kind.startswith("Llama") else LENGTH)
    assert sum(each.numel() for each in theirs.parameters()) == sum(each.numel() for each in ours.parameters())
    with torch.no_grad():
        assert differ(theirs(tokens).logits, ours(tokens)) < 1e-5


def test_a_text_in_pieces_is_the_whole(mixed: tuple[LanguageModel, Path, Any]) -> None:
    ours, _, theirs = mixed
    tokens, cache, parts = some_tokens(2), None, []
    with torch.no_grad():
        for piece in torch.split(tokens, [1, 2, 30, 1, 1, LENGTH - 35], dim=1):
            output = theirs(piece, past_key_values=cache)
            cache = output.cache
            parts.append(output.logits)
        assert differ(torch.cat(parts, dim=1), ours(tokens)) < 1e-5
    assert cache.states[2][0].shape[1] == 4, "a window holds what the next position can see"


@pytest.mark.parametrize("cuts", [[20], [7, 1, 9, 2, 1]])
def test_padding_is_no_part_of_a_text_wherever_it_lies(mixed: tuple[LanguageModel, Path, Any], cuts: list[int]) -> None:
    ours, _, theirs = mixed
    draw = torch.Generator().manual_seed(2)
    mask = (torch.rand(4, 20, generator=draw) < 0.6).long()
    mask[0] = (torch.arange(20) >= 11).long()  # on the left alone
    mask[1] = (torch.arange(20) < 9).long()
    mask[:, 17:] = 1  # pieces without padding, behind some with it
    tokens = some_tokens(4, 20)
    cache, parts, past = None, [], 0
    with torch.no_grad():
        for piece in torch.split(tokens, cuts, dim=1):
            past += piece.shape[1]
            output = theirs(piece, attention_mask=mask[:, :past], past_key_values=cache)
            cache = output.cache
            parts.append(output.logits)
        logits = torch.cat(parts, dim=1)
        for row, real in enumerate(mask.bool()):
            assert differ(logits[row, real], ours(tokens[row : row + 1, real])[0]) < 1e-5


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}], ids=["greedy", "beams"])
def test_generation_with_caches_is_that_without(
    mixed: tuple[LanguageModel, Path, Any], options: dict[str, Any]
) -> None:
    _, _, theirs = mixed
    lengths, longest, new = (12, 3, 8), 12, 10
    prompts, mask = torch.zeros(3, longest, dtype=torch.long), torch.zeros(3, longest, dtype=torch.long)
    for row, length in enumerate(lengths):
        prompts[row, longest - length :], mask[row, longest - length :] = some_tokens(3)[row, :length], 1

    def generated(ids: Tensor, seen: Tensor, **more: Any) -> Tensor:
        settings = {"max_new_tokens": new, "do_sample": False, "eos_token_id": None, **options, **more}
        return theirs.generate(ids, attention_mask=seen, **settings)[:, ids.shape[1] :]  # type: ignore[no-any-return]

    found = generated(prompts, mask)
    assert torch.equal(found, generated(prompts, mask, use_cache=False))
    for row, length in enumerate(lengths):
        alone = prompts[row : row + 1, longest - length :]
        assert torch.equal(found[row : row + 1], generated(alone, torch.ones_like(alone)))


def test_it_is_saved_and_loaded_again_and_trained_on(mixed: tuple[LanguageModel, Path, Any], tmp_path: Path) -> None:
    ours, _, theirs = mixed
    theirs.save_pretrained(tmp_path)
    again, tokens = load(tmp_path), some_tokens(2)
    output = again(tokens, labels=tokens, output_hidden_states=True)
    assert differ(output.logits.detach(), ours(tokens).detach()) < 1e-5
    assert len(output.hidden_states) == 5
    assert output.loss.item() == pytest.approx(ours.loss(tokens[:, :-1], tokens[:, 1:]).item(), rel=1e-5)
    output.loss.backward()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in again.parameters())


def test_in_bf16_decays_stay_in_fp32(mixed: tuple[LanguageModel, Path, Any]) -> None:
    ours, exported, _ = mixed
    theirs, tokens = load(exported, dtype=torch.bfloat16), some_tokens(2)
    types = {name: each.dtype for name, each in theirs.named_parameters()}
    assert {name.rpartition(".")[2] for name, kind in types.items() if kind == torch.float32} == set(WIDE)
    with torch.no_grad():
        wanted, found = ours(tokens), theirs(tokens).logits
    assert found.dtype == torch.bfloat16
    assert 1e-4 < differ(found.float(), wanted) < 0.05 * float(wanted.abs().max())


@pytest.mark.parametrize("pattern", ["A-M", "Mb-M"])
def test_weights_in_bf16_are_ours_rounded_and_large_ones_have_several_files(pattern: str, tmp_path: Path) -> None:
    ours = write_record(tmp_path / "record", pattern)
    export(tmp_path / "record", tmp_path / "exported", dtype="bf16", most_bytes=5_000)
    index = json.loads((tmp_path / "exported/model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 1
    for name, file in index["weight_map"].items():
        with safe_open(tmp_path / "exported" / file, "pt") as opened:
            wide = name.rpartition(".")[2] in WIDE
            assert opened.get_tensor(name).dtype == (torch.float32 if wide else torch.bfloat16)
            assert {"format": "pt", "pattern": pattern}.items() <= opened.metadata().items()
    for name, parameter in ours.named_parameters():
        if name.rpartition(".")[2] not in WIDE:
            parameter.data = parameter.bfloat16().float()
    tokens = some_tokens(1)
    with torch.no_grad():
        assert differ(load(tmp_path / "exported", dtype=torch.float32)(tokens).logits, ours(tokens)) < 1e-5


def test_the_files_that_are_shipped_need_nothing_of_ours(mixed: tuple[LanguageModel, Path, Any]) -> None:
    _, exported, _ = mixed
    for name in SHIPPED:
        nodes = list(ast.walk(ast.parse((exported / name).read_text())))
        named = {each.name.partition(".")[0] for node in nodes if isinstance(node, ast.Import) for each in node.names}
        within = {
            str(node.module).partition(".")[0] for node in nodes if isinstance(node, ast.ImportFrom) and not node.level
        }
        assert named | within <= {"math", "typing", "torch", "transformers"}


# --- tokens -----------------------------------------------------------------------------------------------------------


def tokenizer_in(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, trust_remote_code=True)


def test_tokens_are_bytes_behind_the_end_of_a_document(mixed: tuple[LanguageModel, Path, Any]) -> None:
    loaded = tokenizer_in(mixed[1])
    for text in ("", "a  b\n", "<|endoftext|>", "naïve 東京 🙂 \u0100", "".join(map(chr, range(1, 700)))):
        assert loaded(text)["input_ids"] == [0, *text.encode()]
        assert loaded(text, add_special_tokens=False)["input_ids"] == list(text.encode())
        assert loaded.decode(list(text.encode())) == text
    assert loaded("a\0b")["input_ids"] == [0, *b"ab"], "training takes it out of documents"
    assert (loaded.bos_token_id, loaded.eos_token_id, loaded.pad_token_id, loaded.padding_side) == (0, 0, 0, "left")


@pytest.mark.parametrize("kind", ["gpt2", "llama", "neox"])
@pytest.mark.parametrize("packing", ["across", "masked"])
def test_a_trained_tokenizer_goes_along(kind: str, packing: str, tmp_path: Path) -> None:
    file = write_tokenizer(tmp_path / "shards", kind)
    made = tokenizer_of(file)
    entry = made.entry.model_dump(exclude={"vocab_size"})
    write_shards(tmp_path / "shards", {"train": [], "validation": []}, made.entry.vocab_size, **entry)
    data = {"corpus": "shards", "tokenizer": entry["name"], "tokenizer_sha256": entry["digest"], "packing": packing}
    write_record(tmp_path / "record", "A-M", data, vocab_size=384)
    export(tmp_path / "record", tmp_path / "exported", shards=str(tmp_path / "shards"), tokenizer=file)
    loaded = tokenizer_in(tmp_path / "exported")
    begin, end = made.entry.begin, made.entry.end
    first = [begin] if begin is not None else [end] if packing == "across" else []
    for text in ("the model's token\n\n  café", "<|endoftext|> <|end_of_text|>", "a " * 20, ""):
        wanted = made.encode([text]).ids.tolist()[:-1]
        assert loaded(text)["input_ids"] == first + (wanted if begin is None else wanted[1:])
    assert loaded.eos_token_id == end
    assert json.loads((tmp_path / "exported/config.json").read_text())["bos_token_id"] == (first or [None])[0]


def test_what_lies_beside_the_record_in_its_store_goes_along(tmp_path: Path) -> None:
    file = write_tokenizer(tmp_path / "shards", "llama")
    made, shards = tokenizer_of(file), write_shards(tmp_path / "shards", {"train": [], "validation": []}, 352, **{
        **tokenizer_of(file).entry.model_dump(exclude={"vocab_size"}),
    })  # fmt: skip
    section = tiny_study(name="s").model_dump(mode="json")
    section["pretrain"]["data"] = {"name": "shards", "shards": str(shards), "tokenizer": file}
    data = {"corpus": "shards", "tokenizer": "llama.json", "tokenizer_sha256": made.entry.digest}
    write_record(tmp_path / "files", "Mb-M", data, vocab_size=384)
    run = read_row(tmp_path / "files/run.json", TrainingRun)
    score = Score(
        point=run.point, status="ok", loss=1.2345, loss_stderr=0.0678, bits_per_byte=1.0, samples=1, tokens=1
    )  # fmt: skip
    commit(tmp_path / "runs/s/pretrain/p-1", tmp_path / "files", key="of the training", stand_ins=[STAND_IN])
    for name, loss, key in (("a", 1.2345, "of the training"), ("b", 9.8765, "of another")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "score.json").write_text(score.model_copy(update={"loss": loss}).json_line())
        commit(tmp_path / f"runs/s/evaluate/p-{name}", tmp_path / name, key=name, stage="evaluate", inputs=(key,))
    with pytest.raises(UserError, match="a record of evaluate, and no training"):
        export(tmp_path / "runs/s/evaluate/p-a", tmp_path / "exported")
    with pytest.raises(UserError, match=r"llama\.json; say where they lie with --shards"):
        export(tmp_path / "runs/s/pretrain/p-1", tmp_path / "exported")
    (tmp_path / "runs/s/study.json").write_text(json.dumps(section))
    (attempt,) = (path for path in (tmp_path / "runs/s/pretrain/p-1").iterdir() if path.is_dir())
    for place in (tmp_path / "runs/s/pretrain/p-1", attempt, attempt / "run.json"):
        export(place, tmp_path / "exported", force=True)
        assert tokenizer_in(tmp_path / "exported")("a")["input_ids"] == [made.entry.begin, *made.exact("a")]
        card = (tmp_path / "exported/README.md").read_text()
        assert all(said in card for said in ("1.2345", "trust_remote_code=True", STAND_IN.what, "of the training"))
        assert "9.8765" not in card


def test_scores_on_most_items_are_the_cards_whatever_was_scored_afterwards(tmp_path: Path) -> None:
    write_record(tmp_path / "files", "A-M")
    commit(tmp_path / "runs/s/pretrain/p-1", tmp_path / "files", key="of the training")
    run = read_row(tmp_path / "files/run.json", TrainingRun)
    for when, items in (("2026-01-01", 5), ("2026-01-02", 1_000), ("2026-01-03", 20)):
        score = TaskScore(
            task="copa", shots=0, split="validation", paper_split="validation", primary="acc", items=items,
            metrics={"acc": Measured(value=0.5, stderr=0.1)}, chance=0.5, available=1_000, cut=0, constant=False,
            data={"source": "made up", "sha256": "0"},
        )  # fmt: skip
        (tmp_path / when).mkdir()
        found = Downstream(point=run.point, status="ok", tasks=(score,))
        (tmp_path / when / "downstream.json").write_text(found.json_line())
        made = {"key": when, "stage": "downstream", "inputs": ("of the training",), "created": when}
        commit(tmp_path / f"runs/s/downstream/p-{when}", tmp_path / when, **made)
    _, downstream = scores_beside(trained_record(str(tmp_path / "runs/s/pretrain/p-1"), Settings()))
    assert downstream
    assert [task.items for task in downstream.tasks] == [1_000]


def test_shards_are_asked_for_where_they_are_needed_and_only_there(tmp_path: Path) -> None:
    write_record(tmp_path / "shards", "A-M", {"corpus": "shards", "tokenizer": "x.json", "tokenizer_sha256": "0"})
    with pytest.raises(UserError, match=r"x\.json; say where they lie with --shards"):
        export(tmp_path / "shards", tmp_path / "exported")
    write_record(tmp_path / "bytes", "A-M")
    with pytest.raises(UserError, match=r"--shards: .* was not trained on token shards"):
        export(tmp_path / "bytes", tmp_path / "exported", shards="there")


# --- whole, or not at all ---------------------------------------------------------------------------------------------


def test_what_differs_is_not_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_record(tmp_path / "record", "A-M")
    kept = proof._loaded

    def disturbed(folder: Path) -> Any:
        theirs = kept(folder)
        theirs.model.layers[0].self_attn.q_proj.weight.data[0] += 1e-3
        return theirs

    monkeypatch.setattr(proof, "_loaded", disturbed)
    with pytest.raises(UserError, match=r"logits differ from ours by \d\.\de-0\d .*nothing was exported"):
        export(tmp_path / "record", tmp_path / "exported")
    assert [path.name for path in tmp_path.iterdir()] == ["record"]


def test_a_folder_is_replaced_only_where_it_is_a_model_and_only_by_force(tmp_path: Path) -> None:
    write_record(tmp_path / "record", "A-M")
    write_record(tmp_path / "other", "M-A")
    to = tmp_path / "exported"
    to.mkdir()  # an empty one is as good as none
    export(tmp_path / "record", to)
    with pytest.raises(UserError, match=r"is there already; .*--force"):
        export(tmp_path / "other", to)
    export(tmp_path / "other", to, force=True)
    assert json.loads((to / "config.json").read_text())["layers"] == ["M", "A"]
    (tmp_path / "mine").mkdir()  # as many a project has
    (tmp_path / "mine/config.json").write_text("{}")
    for place in (tmp_path / "record", tmp_path / "record/run.json", tmp_path / "mine"):
        with pytest.raises(UserError, match="is no exported model, and is left alone"):
            export(tmp_path / "other", place, force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exported", "mine", "other", "record"]


def test_what_cannot_be_exported_is_refused_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no record of a training"):
        export(tmp_path / "nowhere", tmp_path / "exported")
    write_record(tmp_path / "record", "A-M")
    run = json.loads((tmp_path / "record/run.json").read_text())
    (tmp_path / "record/run.json").write_text(json.dumps({**run, "status": "diverged"}))
    with pytest.raises(UserError, match="diverged"):
        export(tmp_path / "record", tmp_path / "exported")
    monkeypatch.setattr(PRIMITIVES, "_entries", dict(PRIMITIVES._entries))
    own = {**vars(PRIMITIVES.named("M")), "symbol": "Own", "spellings": ()}
    add_primitive(Primitive(**own))
    write_record(tmp_path / "own", "A-Own")
    with pytest.raises(UserError, match="primitive 'Own' is of your own"):
        export(tmp_path / "own", tmp_path / "exported")


@pytest.mark.parametrize("lacking", ["transformers", "safetensors", "huggingface_hub", "tokenizers"])
def test_nothing_is_exported_where_it_cannot_be_compared(
    lacking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_record(tmp_path / "record", "A-M")
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == lacking else find_spec(name))
    with pytest.raises(MissingDependency, match=r"aira export-model .*eval"):
        export(tmp_path / "record", tmp_path / "exported")
    assert [path.name for path in tmp_path.iterdir()] == ["record"]


# --- lm-evaluation-harness --------------------------------------------------------------------------------------------


@pytest.fixture
def harness() -> Callable[[Path], Any]:
    """lm-eval's model of transformers."""
    from lm_eval.models.huggingface import HFLM

    # Its cache takes requests for equal whose context and continuation are the same text, wherever the one ends.
    return lambda folder: HFLM(
        pretrained=load(folder), tokenizer=tokenizer_in(folder), batch_size=4, logits_cache=False
    )  # fmt: skip


def scored(model: LanguageModel, context: str, continuation: str) -> tuple[float, bool]:
    """The nats of a continuation and whether it is the likeliest, by one forward pass over what fits the context."""
    held = len(context) - len(context.rstrip())  # spaces at the end go to the continuation: bytes are bytes
    context, continuation = context[: len(context) - held], context[len(context) - held :] + continuation
    ids = [0, *context.encode(), *continuation.encode()]
    ids = ids[-tiny.SCALE.seq_len - 1 :]
    first = len(ids) - len(continuation.encode())
    with torch.no_grad():
        logs = model(torch.tensor([ids[:-1]]))[0].log_softmax(-1)[first - 1 :]
    targets = torch.tensor(ids[first:])
    return float(logs.gather(1, targets[:, None]).sum()), bool((logs.argmax(-1) == targets).all())


def test_lm_eval_scores_are_ours(mixed: tuple[LanguageModel, Path, Any], harness: Callable[[Path], Any]) -> None:
    from lm_eval.api.instance import Instance

    ours, exported, _ = mixed
    words = ["so", " it", " is ", "naïve", " a\n", "東京"]
    pairs = [("".join(words[: n % 6]), words[n % 5] * (1 + n % 2)) for n in range(30)]
    requests = [Instance("loglikelihood", {}, pair, number) for number, pair in enumerate(pairs)]
    found = harness(exported).loglikelihood(requests, disable_tqdm=True)
    for (nats, greedy), pair in zip(found, pairs, strict=True):
        wanted = scored(ours, *pair)
        assert (nats, greedy) == (pytest.approx(wanted[0], abs=1e-4), wanted[1])
