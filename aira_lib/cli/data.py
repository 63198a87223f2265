"""The command group `aira data`: text into token shards, what is in them, and what evaluation data they hold."""

import shutil
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from aira_lib.cli import data_lra
from aira_lib.cli.evaluation_data import evaluation
from aira_lib.cli.options import MOST_AT_ONCE
from aira_lib.cli.progress_line import ProgressLine, interruptible, note
from aira_lib.console import duration, result_console, size
from aira_lib.errors import writing
from aira_lib.foreign import harmless

if TYPE_CHECKING:
    from aira_lib.datasets.shards.folder import ForeignShard
    from aira_lib.datasets.shards.manifest import ShardManifest
    from aira_lib.datasets.shards.plan import Preparation
    from aira_lib.store import Store

app = typer.Typer(
    no_args_is_help=True, help="Token shards, which a training reads: made from text, looked into, compared, adopted."
)
app.add_typer(data_lra.app, name="lra")

app.command()(evaluation)

_SHOWN_DOCUMENTS, _SHOWN_CHARACTERS = 2, 160


class Engine(StrEnum):
    """What computes the ids of a trained tokenizer."""

    AUTO = "auto"
    TOKENIZERS = "tokenizers"


class TokenTypes(StrEnum):
    """The types that tokens in a file may have."""

    UINT8 = "uint8"
    UINT16 = "uint16"
    INT32 = "int32"


Folder = Annotated[str, typer.Argument(metavar="FOLDER", help="Token shards: a folder, or s3://bucket/prefix.")]
Tokenizer = Annotated[str, typer.Option(help="bytes, a tokenizer.json file, or a name on Hugging Face.")]
Processes = Annotated[
    int | None, typer.Option(min=1, max=MOST_AT_ONCE, help="Side by side; they change no byte. Default: the cores.")
]
TextField = Annotated[str, typer.Option(help="The field or column that holds the text.")]


@app.command()
def prepare(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help=escape("Files, folders, s3://bucket/prefix, hf://OWNER/NAME[/CONFIG][@SPLIT]."),  # help is markup
        ),
    ],
    output: Annotated[str, typer.Option("--output", "-o", help="A folder or s3://bucket/prefix for the shards.")],
    tokenizer: Tokenizer = "bytes",
    text_field: TextField = "text",
    shard_tokens: Annotated[int, typer.Option(min=1, help="Most tokens of a shard.")] = 1 << 27,
    validation_one_in: Annotated[
        int, typer.Option(min=0, help="Hold out one document in so many, by a hash of its content; 0: none.")
    ] = 100,
    validation_tokens: Annotated[
        int | None, typer.Option(min=1, help="Hold out about as many at most; what is above is left out.")
    ] = None,
    processes: Processes = None,
    engine: Annotated[Engine, typer.Option(help="auto: tiktoken where ids are proven equal.")] = Engine.AUTO,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how much it would be.")] = False,
) -> None:
    """Turn text into token shards; run it again after an interruption, and it does what is missing."""
    with interruptible("the same command goes on from what is finished"):
        from aira_lib.datasets.shards.plan import Preparation
        from aira_lib.datasets.shards.prepare import prepare as prepare_shards
        from aira_lib.device import cores

        asked = Preparation(
            tuple(inputs), tokenizer=tokenizer, text_field=text_field, shard_tokens=shard_tokens,
            validation_one_in=validation_one_in, validation_tokens=validation_tokens,
        )  # fmt: skip
        if dry_run:
            return _say_estimate(asked, output, processes or cores(), engine)
        line = ProgressLine()
        with line:
            done = prepare_shards(asked, output, processes or cores(), line.show, engine.value)
    if done.remark:
        print(harmless(f"{tokenizer}: by the package tokenizers, not by tiktoken: {done.remark}"))
    print(harmless(f"{output}: {'all there already' if done.already else 'done'}"))
    _print_manifest(done.manifest)
    if validation_one_in and not done.manifest.splits["validation"].documents:
        print(f"no document was held out by one in {validation_one_in}; --validation-one-in with less holds out more")


@app.command()
def inspect(
    folder: Folder,
    verify: Annotated[bool, typer.Option("--verify", help="Read all shards and check their SHA-256.")] = False,
) -> None:
    """Show what shards hold, ours or another tool's, and the beginnings of their first documents."""
    from aira_lib.datasets.shards.folder import foreign_shards, read_manifest
    from aira_lib.datasets.shards.folder import verify as verify_shards
    from aira_lib.store import open_store
    from aira_lib.store.base import MANIFEST

    store = open_store(folder)
    if not store.exists(MANIFEST):
        found = foreign_shards(store) if any(name.endswith(".idx") and "/" not in name for name in store.list()) else []
        if not found or store.exists("parts/plan.json"):
            read_manifest(store)  # says what is missing
        return _print_foreign(found)
    manifest = read_manifest(store)
    _print_manifest(manifest)
    # Documents of a damaged shard cannot be shown, and its damage is to be named with that of all others.
    wrong = [f"{name}: {what}" for name, what in verify_shards(store, manifest) if what] if verify else []
    for each in wrong:
        print(harmless(each))
    if wrong:
        damaged = "1 file is damaged" if len(wrong) == 1 else f"{len(wrong)} files are damaged"
        print(f"{damaged}; put a whole copy there, or make the shards again with aira data prepare")
        raise typer.Exit(1)
    _print_documents(store, manifest)
    if verify:
        print("all files are whole")


@app.command()
def overlap(
    folder: Folder,
    with_: Annotated[list[str], typer.Option("--with", help="Evaluation data: a file or folder; may be repeated.")],
    words: Annotated[int, typer.Option(min=1, max=1000, help="Of a run that counts.")] = 13,
    text_field: Annotated[str | None, typer.Option(help="The field to compare; default: all text of an item.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", help="The JSON file; default: overlap.json in the folder.")
    ] = None,
    processes: Processes = None,
) -> None:
    """Say how much of evaluation data occurs in the training text, by runs of words that both have."""
    with interruptible("the same command begins anew"):
        from aira_lib.datasets.shards.overlap import overlap as compare
        from aira_lib.device import cores
        from aira_lib.store import open_store

        found = compare(folder, with_, text_field, words, processes or cores(), lambda name: note(f"{name}: compared"))
    content = found.model_dump_json(indent=1) + "\n"
    store = open_store(folder)
    if output is None:
        store.write("overlap.json", content.encode())
    else:
        with writing(output):
            output.write_text(content, encoding="utf-8")
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("evaluation data", "items", "too short", "overlapping", "share", "wholly"):
        table.add_column(column, justify="left" if column == "evaluation data" else "right")
    for file in found.files:
        measured = file.items - file.short
        wholly = sum(share >= 1 for share in file.shares.values())
        share = f"{file.overlapping / measured:.1%}" if measured else "-"
        table.add_row(
            Text(file.name), f"{file.items:,}", f"{file.short:,}", f"{file.overlapping:,}", share, f"{wholly:,}"
        )
    console = result_console()
    console.print(table)
    console.print(
        f"{found.documents_overlapping:,} of {found.documents:,} training documents share {words} words in a row with "
        f"them. Item by item: {output or store.shown('overlap.json')}", markup=False, soft_wrap=True,
    )  # fmt: skip


@app.command()
def adopt(
    folder: Folder,
    tokenizer: Tokenizer,
    validation: Annotated[
        list[str] | None, typer.Option(help="A name or pattern of shards that are held out; default: names say so.")
    ] = None,
    end: Annotated[
        str | None, typer.Option(help="The token that ends documents, where the file names another.")
    ] = None,
    tokens: Annotated[
        TokenTypes | None,
        typer.Option(help="The type of tokens in .bin files without .idx, which is written: cut behind each end."),
    ] = None,
) -> None:
    """Write the manifest of shards that another tool made (.bin and .idx as Megatron's), after checking all of them."""
    from aira_lib.datasets.shards.adopt import adopt as adopt_shards
    from aira_lib.store import open_store

    manifest = adopt_shards(
        open_store(folder), tokenizer, validation or [], end, tokens.value if tokens else None,
        lambda name: note(f"{name}: reading"),
    )  # fmt: skip
    _print_manifest(manifest)


def _say_estimate(asked: "Preparation", output: str, processes: int, engine: Engine) -> None:
    from aira_lib.datasets.shards.estimate import estimate, sample_of
    from aira_lib.datasets.shards.inputs import find_inputs
    from aira_lib.datasets.shards.prepare import engine_of
    from aira_lib.datasets.shards.tokenizer import tokenizer_of

    inputs = find_inputs(asked.places)
    tokenizer = tokenizer_of(asked.tokenizer)
    sample = sample_of(inputs, asked.text_field)
    computes, remark = engine_of(asked, sample, engine.value)
    found = estimate(inputs, sample, tokenizer_of(asked.tokenizer, computes))
    at_once = min(processes, len(inputs.parts))
    unknown = "unknown: the inputs do not say their size"
    said = {
        "inputs": f"{len(inputs.entries):,} of {size(inputs.bytes)}, read in {len(inputs.parts):,} parts",
        "text": unknown if found.text_bytes is None else f"about {size(found.text_bytes)}",
        "tokens": unknown if found.tokens is None else f"about {found.tokens:,}",
        "tokenizer": f"{asked.tokenizer}, {tokenizer.entry.vocab_size:,} ids, by {computes}"
        + f" ({remark})" * bool(remark),
        "disk": unknown if found.disk_bytes is None else f"about {size(found.disk_bytes)} in {output}{_free(output)}",
        "time": unknown
        if found.seconds is None
        else f"about {duration(found.seconds / at_once)} by {at_once} processes",
    }
    for name, value in said.items():
        print(harmless(f"{name + ':':11} {value}"))
    print("Nothing was written.")


def _print_manifest(manifest: "ShardManifest") -> None:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("shard", "tokens", "documents", "SHA-256"):
        table.add_column(column, justify="right" if column in ("tokens", "documents") else "left")
    for split, entry in manifest.splits.items():
        for shard in entry.shards:
            table.add_row(Text(shard.name), f"{shard.tokens:,}", f"{shard.documents:,}", shard.sha256[:12])
        total = Text(f"{split}, {size(entry.text_bytes)} of text", style="bold")
        table.add_row(total, f"{entry.tokens:,}", f"{entry.documents:,}", "", end_section=True)
    console = result_console()
    console.print(table)
    made = manifest.tokenizer
    begin = "" if made.begin is None else f"begin {made.begin}, "
    console.print(
        f"tokenizer {made.name} ({made.vocab_size:,} ids, {begin}end {made.end}, SHA-256 {made.digest[:12]}), "
        f"tokens as {manifest.type}", markup=False, soft_wrap=True,
    )  # fmt: skip
    counts = {name.replace("_", " "): value for name, value in manifest.source.items() if isinstance(value, int)}
    if counts:
        console.print(", ".join(f"{name} {value:,}" for name, value in counts.items()), markup=False, soft_wrap=True)


def _print_documents(store: "Store", manifest: "ShardManifest") -> None:
    """The beginnings of the first documents of each split, where the tokenizer is at hand."""
    from aira_lib.datasets.shards.folder import opened_shard, tokenizer_in

    tokenizer = tokenizer_in(store, manifest)
    for split, entry in manifest.splits.items():
        if tokenizer is None or not entry.shards:
            continue
        with opened_shard(store, entry.shards[0].name, manifest.type) as (ids, lengths):
            start = 0
            for length in lengths[:_SHOWN_DOCUMENTS].tolist():
                text = tokenizer.decode(ids[start : start + min(length, _SHOWN_CHARACTERS)])[:_SHOWN_CHARACTERS]
                print(harmless(f"{split}: {' '.join(text.split())}"))
                start += length


def _print_foreign(found: "list[ForeignShard]") -> None:
    for shard in found:
        count = len(shard.index.lengths)
        print(harmless(f"{shard.name}: {shard.index.tokens:,} {shard.index.type} tokens, {count:,} documents"))
    types = ", ".join(f"{count:,} of {name}" for name, count in Counter(shard.index.type for shard in found).items())
    print(f"{len(found):,} shards ({types}) of another tool, without a manifest; aira data adopt gives them one")


def _free(output: str) -> str:
    """How much room a folder has, that it is made in if it is not there."""
    if "://" in output:
        return ""
    there = next(each for each in (Path(output).absolute(), *Path(output).absolute().parents) if each.exists())
    return f", where {size(shutil.disk_usage(there).free)} are free"
