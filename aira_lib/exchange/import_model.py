"""A model that others trained, or that was exported, as a record that is evaluated like that of a training.

Its `run.json` says what is known. Of a model of others: no steps, no tokens, no FLOPs, and of the data nothing but the
files that it came in. Of an exported model: what the folder tells of its training. The checkpoint has the weights in
the type in which they came; `tokenizer.json` lies beside.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aira_lib.contents import file_digest
from aira_lib.device import Precision
from aira_lib.errors import UserError
from aira_lib.exchange.file_names import CONFIG, RUN
from aira_lib.exchange.foreign_model import ForeignModel, foreign_model
from aira_lib.exchange.foreign_tokenizer import keep_tokenizer, tokenizer_file
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


@dataclass(frozen=True)
class _Import:
    """What is asked for: a folder that was looked into, under which name, with which tokenizer, in which precision."""

    folder: Path
    model: ForeignModel
    name: str
    tokenizer: Path
    precision: Precision | None

    @property
    def section(self) -> dict[str, Any]:
        """What determines the record."""
        told = [self.folder / RUN] if self.model.run else []
        paths = [*(self.folder / file for file in self.model.tensors.files), self.folder / CONFIG, self.tokenizer]
        files = {path.name: file_digest(path) for path in [*paths, *told]}
        scored = {"precision": self.precision} if self.precision else {}
        return {"version": VERSION, "name": self.name, "files": files, **scored}


def import_model(
    folder: Path, to: str, settings: Settings, *, name: str | None = None, tokenizer: Path | None = None,
    precision: Precision | None = None,
) -> Iterator[str]:  # fmt: skip
    """Make the record of a checkpoint, and say in lines what it is and where.

    Args:
        folder: ``config.json``, safetensors and ``tokenizer.json``.
        to: the record to make, a name in a store such as ``runs/imported/SmolLM2`` or ``s3://bucket/prefix/SmolLM2``.
        settings: where copies of a store that is no folder lie.
        name: of the model in tables; by default that of the design that the folder tells of, or its own.
        tokenizer: a ``tokenizer.json``, where the folder has none.
        precision: of matrix products when it is scored; None: that of the training, fp32 where it is not known.

    Raises:
        UserError: the folder is no checkpoint that can be read, or another record lies there.
        MissingDependency: without the packages safetensors and tokenizers.
    """
    if not folder.is_dir():
        gguf = "; transformers turns a GGUF file into one (docs/model-files.md)" if folder.suffix == ".gguf" else ""
        raise UserError(f"{folder}: not a folder; name that of a checkpoint, with {CONFIG} and *.safetensors{gguf}")
    record = _record_at(to)
    model = foreign_model(folder, name or folder.resolve().name)
    called = name or (model.run.point.design.name if model.run else folder.resolve().name)
    asked = _Import(folder, model, called, tokenizer_file(folder, tokenizer), precision)
    section = asked.section
    if _is_there(record, digest(section)):
        yield f"{place_of(record.uri)}: there already, of the very same files"
        return
    try:
        with record.claim(settings.scratch) as attempt:
            if attempt is not None:
                _write(asked, section, attempt.path)
                attempt.commit(_manifest(asked, section))
    except LostClaim:
        raise UserError(f"{record.uri}: another process has made it in the meantime; look at what it is") from None
    yield f"{place_of(record.uri)}: {model}"
    yield _known(model)


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


def _write(asked: _Import, section: dict[str, Any], path: Path) -> None:
    """Fill the workplace of a record."""
    model, files = asked.model, section["files"]
    tokens = keep_tokenizer(asked.tokenizer, model.scale.vocab_size, model.end, path)
    data = {"corpus": "imported", "files_sha256": files, "contents_sha256": digest(files), **tokens}
    state = model.state()
    if bad := not_finite({"model": state}):
        raise UserError(f"{asked.folder}: {bad.removeprefix('model')} holds what is no finite number; fetch it again")
    run = _run(asked, data)
    with Checkpoints(path) as checkpoints:
        checkpoints.save(run.steps, {"model": [state]}, asynchronous=False)
    (path / RUN).write_text(run.json_line(), encoding="utf-8")


def _run(asked: _Import, data: dict[str, Any]) -> TrainingRun:
    told = asked.model.run
    if told is None:
        return _unknown_run(asked, data)
    design = told.point.design.model_copy(update={"name": asked.name})
    trained_on = told.data.get("trained_on") if told.data.get("corpus") == "imported" else told.data
    changes = {"point": told.point.model_copy(update={"design": design}), "data": data}
    if trained_on:
        changes["data"] = {**data, "trained_on": trained_on}
    return told.model_copy(update={**changes, "precision": asked.precision or told.precision})


def _unknown_run(asked: _Import, data: dict[str, Any]) -> TrainingRun:
    design = describe(
        asked.name, base=asked.name, kind="imported", method="imported", layers=asked.model.layers,
        scale=asked.model.scale, trainable=False,
    )  # fmt: skip
    point = PretrainPoint(
        id=slug(asked.name), design=design, protocol="imported", budget_flops=None, steps=0, tokens=0, flops=0.0, seed=0
    )
    return TrainingRun(
        point=point, final_train_loss=None, steps=0, tokens=0, flops=0.0, status="ok", data=data,
        precision=asked.precision,
    )  # fmt: skip


def _manifest(asked: _Import, section: dict[str, Any]) -> Manifest:
    return Manifest(
        stage=STAGE, unit=slug(asked.name), key=digest(section), study="", spec_digest="", section=section,
        versions=versions(), created=datetime.now(UTC).isoformat(timespec="seconds"),
    )  # fmt: skip


def _known(model: ForeignModel) -> str:
    if model.run is None or not model.run.steps:
        return "Of its training nothing is known, and its record says so."
    return f"Of its training its {RUN} tells: {model.run.tokens:,} tokens in {model.run.steps:,} steps."
