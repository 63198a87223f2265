"""A trained model as a folder that transformers, and what builds on it, loads.

::

    config.json  generation_config.json  model.safetensors (several by an index, where it is large)
    tokenizer.json  tokenizer_config.json  README.md  run.json
    configuration_aira.py  layers_aira.py  modeling_aira.py      where transformers has no class of its own for it

The folder appears whole, after transformers has loaded it and its logits were found to be ours.
"""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from aira_lib import __version__
from aira_lib.datasets.shards.stored import StoredShards
from aira_lib.datasets.shards.tokenizer import TrainedTokenizer, tokenizer_of
from aira_lib.datasets.text_bytes import tokenizer_behind
from aira_lib.device import Precision
from aira_lib.downstream.tokens import PromptTokenizer, prompt_tokenizer
from aira_lib.errors import MissingDependency, UserError
from aira_lib.exchange import tokenizer_files
from aira_lib.exchange.beside import scores_beside, study_beside
from aira_lib.exchange.card import CARD, model_card
from aira_lib.exchange.file_names import CONFIG, RUN
from aira_lib.exchange.formats import Format, check_layers, format_of
from aira_lib.exchange.proof import MOST, proven
from aira_lib.exchange.trained_record import TrainedRecord, trained_record
from aira_lib.exchange.weight_files import MOST_BYTES, write_weights
from aira_lib.exchange.whole_folder import check_free, whole_folder
from aira_lib.models.language_model import LanguageModel
from aira_lib.records import TrainingRun
from aira_lib.settings import Settings
from aira_lib.study import DataSection
from aira_lib.training.trained import trained_model

GENERATION_CONFIG = "generation_config.json"
_NEEDED = ("transformers", "safetensors", "huggingface_hub", "tokenizers")
TYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


def export_model(
    place: str, to: Path, settings: Settings, *, dtype: Precision = "fp32", shards: str = "", tokenizer: str = "",
    force: bool = False, most_bytes: int = MOST_BYTES,
) -> Iterator[str]:  # fmt: skip
    """Write the model of a training, and say in lines what was written and how well it agrees with ours.

    Args:
        place: the record of the training, see `trained_record`.
        to: the folder to make.
        settings: where copies of a store that is no folder lie.
        dtype: of the weights there.
        shards: the token shards that it was trained on, where it was.
        tokenizer: their ``tokenizer.json``, where it does not lie beside them.
        force: replace an exported model.
        most_bytes: of one file of weights.

    Raises:
        UserError: the record, its layers or its tokenizer cannot be exported, the folder is there, or logits differ.
        MissingDependency: without the packages of the extra eval.
    """
    check_free(to, force)
    if not all(map(find_spec, _NEEDED)):
        raise MissingDependency("aira export-model", "eval")
    record = trained_record(place, settings)
    run, layers, scale = record.run, record.layers, record.run.point.design.scale
    check_layers(layers)
    data = _data(record, shards, tokenizer)
    prompts, trained = prompt_tokenizer(run, data, record.folder), _trained_tokenizer(run, data, record.folder)
    model = trained_model(run, record.folder)
    with whole_folder(to, force) as folder:
        written = format_of(layers, scale, model.state_dict(), TYPES[dtype])
        write_weights(folder, written.tensors, _told(record), most_bytes)
        written.write_files(folder)
        _write_configs(folder, written, prompts, dtype)
        tokenizer_files.write_tokenizer(folder, prompts, trained, scale.seq_len)
        (folder / RUN).write_text(run.json_line(), encoding="utf-8")
        (folder / CARD).write_text(_card(record, written), encoding="utf-8")
        yield f"{written.config['architectures'][0]}: {len(layers)} layers, {_count(model):,} parameters in {dtype}"
        yield _checked(folder, model, prompts, dtype, scale.seq_len)
    yield f"{to}: {_how_to_load(to, written)}"


def _data(record: TrainedRecord, shards: str, tokenizer: str) -> DataSection:
    """The text of a training, as far as its tokens are concerned."""
    run = record.run
    if run.data.get("corpus") != "shards":
        if shards or tokenizer:
            raise UserError(
                f"{'--shards' if shards else '--tokenizer'}: {run.point.id} was not trained on token shards, and its "
                "tokenizer is known; leave it out"
            )
        return DataSection()
    if shards:
        return DataSection(name="shards", shards=shards, tokenizer=tokenizer)
    if (study := study_beside(record)) is None:
        raise UserError(
            f"{run.point.id} was trained on token shards of the tokenizer {run.data.get('tokenizer')}; say where they "
            "lie with --shards, for its tokenizer belongs to the model"
        )
    return study.pretrain.data.model_copy(update={"tokenizer": tokenizer or study.pretrain.data.tokenizer})


def _card(record: TrainedRecord, written: Format) -> str:
    score, downstream = scores_beside(record)
    return model_card(
        record.run, record.manifest, score=score, downstream=downstream, remote_code=bool(written.files)
    )  # fmt: skip


def _trained_tokenizer(run: TrainingRun, data: DataSection, folder: Path) -> TrainedTokenizer | None:
    """The file behind the tokens of a training; None where they are bytes."""
    if run.data.get("corpus") == "imported":
        found = tokenizer_of(str(folder / str(run.data["tokenizer"])))
    elif data.shards:
        found = tokenizer_behind(StoredShards(data.shards), data.tokenizer)
    else:
        return None
    return found if isinstance(found, TrainedTokenizer) else None


def _told(record: TrainedRecord) -> dict[str, str]:
    """What the headers of the weights say of where they come from."""
    design = record.run.point.design
    told = {"made_by": f"aira {__version__}", "point": record.run.point.id, "pattern": design.pattern}
    return {**told, **({"record": record.manifest.key} if record.manifest else {})}


def _write_configs(folder: Path, written: Format, prompts: PromptTokenizer, dtype: Precision) -> None:
    marks = {"bos_token_id": prompts.prefix, "eos_token_id": prompts.entry.end}
    _write_json(folder / CONFIG, {**written.config, **marks, "dtype": str(TYPES[dtype]).removeprefix("torch.")})
    _write_json(folder / GENERATION_CONFIG, {**marks, "pad_token_id": prompts.entry.end})


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _checked(folder: Path, model: LanguageModel, prompts: PromptTokenizer, dtype: Precision, length: int) -> str:
    """Compare what transformers makes of the folder with ours, and say how much they differ.

    Raises:
        UserError: more than rounding does.
    """
    worst = proven(folder, model, TYPES[dtype], length)
    if text := tokenizer_files.difference(folder, prompts):
        raise UserError(f"the tokenizer gives other ids for {text!r} than training; nothing was exported")
    return (
        f"loaded by transformers: logits differ by {worst:.1e} at most ({MOST:.0e} is allowed), ids of texts are equal"
    )


def _count(model: LanguageModel) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _how_to_load(to: Path, written: Format) -> str:
    trust = ", trust_remote_code=True" if written.files else ""
    return f"AutoModelForCausalLM.from_pretrained({str(to)!r}{trust})"
