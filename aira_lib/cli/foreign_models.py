"""`aira import-model` and `aira export-model`: models of others as records, and records as models for others."""

from pathlib import Path
from typing import Annotated

import typer

from aira_lib.cli.options import a_folder_here, settings_of
from aira_lib.device import Precision
from aira_lib.foreign import harmless

app = typer.Typer()


@app.command(name="import-model")
def import_model(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="config.json, model*.safetensors, tokenizer.json: as transformers saves."),
    ],
    to: Annotated[
        str, typer.Option(help="The record to make, in a store: runs/imported/NAME or s3://bucket/prefix/NAME.")
    ],
    name: Annotated[str | None, typer.Option(help="Of the model, in tables; default: that of DIR.")] = None,
    tokenizer: Annotated[
        Path | None, typer.Option(help="A tokenizer.json, where DIR has none or has the wrong one.")
    ] = None,
    precision: Annotated[
        Precision | None,
        typer.Option(help="Of matrix products when it is scored; default: that of its training, fp32 if not known."),
    ] = None,
) -> None:
    """Make a record of a model that is a folder: of one that others trained, or that `aira export-model` wrote.

    Llama-format checkpoints can be read (Llama 1 to 3.3, SmolLM 1 and 2, TinyLlama, Mistral without sliding window, and
    all of their kind). What our layers do not have, such as biases, is refused by name. The record is then scored like
    that of a training: aira evaluate RECORD --tasks six. Nothing is known of its training, and it says so.
    """
    from aira_lib.exchange.import_model import import_model as make

    for line in make(folder, to, settings_of(None), name=name, tokenizer=tokenizer, precision=precision):
        print(harmless(line))


@app.command(name="export-model")
def export_model(
    record: Annotated[
        str, typer.Argument(metavar="RECORD", help="Of a training: runs/STUDY/pretrain/UNIT-KEY, or s3://bucket/...")
    ],
    to: Annotated[
        Path,
        typer.Option(
            metavar="DIR", callback=a_folder_here, help="The folder to make; it appears whole, or not at all."
        ),
    ],
    dtype: Annotated[Precision, typer.Option(help="Of the weights; what decays come from stays in fp32.")] = "fp32",
    shards: Annotated[
        str, typer.Option(help="The token shards that it was trained on, if so: their tokenizer goes with the model.")
    ] = "",
    tokenizer: Annotated[str, typer.Option(help="With --shards: their tokenizer.json, where it lies elsewhere.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace an exported model.")] = False,
) -> None:
    """Write a trained model as transformers, lm-evaluation-harness and other tools load it.

    (A-M)n becomes a LlamaForCausalLM. Any other order of A, W, M and Mb comes with files of its own, in plain PyTorch:
    load it by AutoModelForCausalLM.from_pretrained(DIR, trust_remote_code=True); it needs no AIRA. Weights are
    safetensors; the tokenizer begins a prompt as training began a document. Before the folder appears, transformers
    loads it, and its logits must be ours within 1e-5. docs/model-files.md says more.
    """
    from aira_lib.exchange.export_model import export_model as write

    for line in write(record, to, settings_of(None), dtype=dtype, shards=shards, tokenizer=tokenizer, force=force):
        print(harmless(line))
