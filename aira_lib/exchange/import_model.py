"""A model that others trained, or that was exported, as a record that is evaluated like that of a training.

Its `run.json` says what is known: no steps, no tokens, no FLOPs, data of which nothing is known but the files that it
came in. The checkpoint has the weights in the type in which they came; `tokenizer.json` lies beside.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from torch import Tensor

from aira_lib.architecture.cost import exact_params
from aira_lib.architecture.pattern import Layers
from aira_lib.architecture.scales import Scale
from aira_lib.contents import file_digest
from aira_lib.device import Precision
from aira_lib.errors import UserError, nearest
from aira_lib.exchange.foreign_tokenizer import keep_tokenizer, tokenizer_file
from aira_lib.exchange.llama_config import CONFIG, llama_config, llama_scale, read_config
from aira_lib.exchange.llama_weights import Sources, from_llama, llama_sources
from aira_lib.exchange.safetensors_folder import SafetensorsFolder
from aira_lib.extrapolate.stage import describe
from aira_lib.flow.versions import versions
from aira_lib.naming import slug
from aira_lib.records import Manifest, PretrainPoint, TrainingRun
from aira_lib.settings import Settings
from aira_lib.store import RecordFolder, open_store, place_of
from aira_lib.store.attempt import LostClaim
from aira_lib.study import digest
from aira_lib.training.checkpoint import Checkpoints
from aira_lib.training.checkpoint.canonical import not_finite

STAGE = "import"
VERSION = 1
"""Raised when the same files would give another record."""

_UNREAD = ("rotary_emb.inv_freq", "masked_bias", ".attention.bias")
"""Endings of tensors that old checkpoints hold and that follow from the config."""


@dataclass(frozen=True)
class ForeignModel:
    """A checkpoint of which headers were read: what it is in our terms, and where its tensors are."""

    layers: Layers
    scale: Scale
    sources: Sources
    tensors: SafetensorsFolder

    def state(self) -> dict[str, Tensor]:
        """The state of our model; this reads all weights."""
        return from_llama(self.sources, self.tensors)


def import_model(
    folder: Path, to: str, settings: Settings, *, name: str | None = None, tokenizer: Path | None = None,
    precision: Precision | None = None,
) -> Iterator[str]:  # fmt: skip
    """Make the record of a checkpoint, and say in lines what it is and where.

    Args:
        folder: ``config.json``, safetensors and ``tokenizer.json``.
        to: the record to make, a name in a store such as ``runs/imported/SmolLM2`` or ``s3://bucket/prefix/SmolLM2``.
        settings: where copies of a store that is no folder lie.
        name: of the model in tables; the folder's by default.
        tokenizer: a ``tokenizer.json``, where the folder has none.
        precision: of matrix products when it is scored; None: fp32.

    Raises:
        UserError: the folder is no checkpoint that can be read, or another record lies there.
        MissingDependency: without the packages safetensors and tokenizers.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: not a folder; name that of a checkpoint, with {CONFIG} and *.safetensors")
    name = name or folder.resolve().name
    model = foreign_model(folder, name)
    record, section = _record_at(to), _section(folder, model, name, tokenizer, precision)
    if _is_there(record, digest(section)):
        yield f"{place_of(record.uri)}: there already, of the very same files"
        return
    try:
        with record.claim(settings.scratch) as attempt:
            if attempt is not None:
                data = _write(model, name, folder, tokenizer, precision, section, attempt.path)
                attempt.commit(_manifest(name, section))
                yield f"{place_of(record.uri)}: {_in_words(model)}, tokenizer {data['tokenizer_sha256'][:12]}"
    except LostClaim:
        raise UserError(f"{record.uri}: another process has made it in the meantime; look at what it is") from None


def foreign_model(folder: Path, name: str) -> ForeignModel:
    """Read the headers of a checkpoint, and refuse what does not fit its config.

    Raises:
        UserError: one line that names the first of what is wrong.
        MissingDependency: without the package safetensors.
    """
    config = llama_config(read_config(folder), folder / CONFIG)
    scale = llama_scale(config, name, folder / CONFIG)
    model = ForeignModel(
        ("A", "M") * config.num_hidden_layers,
        scale,
        llama_sources(scale, config.num_hidden_layers),
        SafetensorsFolder(folder),
    )
    _check_shapes(model, folder)
    return model


def _check_shapes(model: ForeignModel, folder: Path) -> None:
    expected = {part: source.shape for parts in model.sources.values() for part, source in parts.items()}
    shapes = model.tensors.shapes
    if lacking := [tensor for tensor in expected if tensor not in shapes]:
        more = f" and {len(lacking) - 1:,} more" if len(lacking) > 1 else ""
        raise UserError(f"{folder}: no tensor {lacking[0]}{more}{nearest(lacking[0], shapes) if not more else ''}")
    for tensor, shape in expected.items():
        if shapes[tensor] != shape:
            raise UserError(
                f"{folder}: {tensor} has the shape {list(shapes[tensor])}, and {CONFIG} asks for {list(shape)}; "
                "they are of two models"
            )
    tied = {"lm_head.weight"} if model.scale.tie_embeddings else set()
    unknown = sorted(name for name in shapes.keys() - expected.keys() - tied if not name.endswith(_UNREAD))
    if unknown:
        more = f" and {len(unknown) - 1:,} more tensors" if len(unknown) > 1 else ""
        raise UserError(f"{folder}: {unknown[0]}{more}: our layers have no such weights; it cannot be imported")


def _record_at(place: str) -> RecordFolder:
    """The record of a name in a store."""
    store, _, name = place.rstrip("/").rpartition("/")
    if not name or name in (".", "..") or store.endswith(":/"):
        raise UserError(f"--to {place!r}: name a record in a store, such as runs/imported/smol")
    return RecordFolder(open_store(store or ("/" if place.startswith("/") else ".")), name)


def _is_there(record: RecordFolder, key: str) -> bool:
    manifest = record.manifest()
    if manifest and manifest.key != key:
        raise UserError(f"{place_of(record.uri)}: holds another record; name another place with --to, or remove it")
    return manifest is not None


def _section(
    folder: Path, model: ForeignModel, name: str, tokenizer: Path | None, precision: Precision | None
) -> dict[str, Any]:
    """What determines the record."""
    paths = [*(folder / file for file in model.tensors.files), folder / CONFIG, tokenizer_file(folder, tokenizer)]
    files = {path.name: file_digest(path) for path in paths}
    return {"version": VERSION, "name": name, "files": files, **({"precision": precision} if precision else {})}


def _write(
    model: ForeignModel, name: str, folder: Path, tokenizer: Path | None, precision: Precision | None,
    section: dict[str, Any], path: Path,
) -> dict[str, Any]:  # fmt: skip
    """Fill the workplace of a record; what its run says of data."""
    data = keep_tokenizer(tokenizer_file(folder, tokenizer), model.scale.vocab_size, path)
    data = {"corpus": "imported", "files_sha256": section["files"], "contents_sha256": digest(section["files"]), **data}
    state = model.state()
    if bad := not_finite({"model": state}):
        raise UserError(f"{folder}: {bad.removeprefix('model')} holds what is no finite number; fetch it again")
    with Checkpoints(path) as checkpoints:
        checkpoints.save(0, {"model": [state]}, asynchronous=False)
    (path / "run.json").write_text(_run(model, name, precision, data).json_line(), encoding="utf-8")
    return data


def _run(model: ForeignModel, name: str, precision: Precision | None, data: dict[str, Any]) -> TrainingRun:
    design = describe(
        name, base=name, kind="imported", method="imported", layers=model.layers, scale=model.scale, trainable=False
    )
    point = PretrainPoint(
        id=slug(name), design=design, protocol="imported", budget_flops=None, steps=0, tokens=0, flops=0.0, seed=0
    )
    return TrainingRun(
        point=point, final_train_loss=None, steps=0, tokens=0, flops=0.0, status="ok", data=data, precision=precision
    )


def _manifest(name: str, section: dict[str, Any]) -> Manifest:
    return Manifest(
        stage=STAGE, unit=slug(name), key=digest(section), study="", spec_digest="", section=section,
        versions=versions(), created=datetime.now(UTC).isoformat(timespec="seconds"),
    )  # fmt: skip


def _in_words(model: ForeignModel) -> str:
    count = exact_params(model.layers, model.scale)
    return f"{len(model.layers) // 2}(A-M), {count:,} parameters, context {model.scale.seq_len:,}"
