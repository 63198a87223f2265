"""The command group `aira literature`: what agents of Autoresearch may consult."""

from pathlib import Path
from typing import Annotated

import typer

from aira_lib.foreign import harmless

app = typer.Typer(no_args_is_help=True, help="Literature that agents may consult: list it, check one's own.")


@app.command(name="list")
def list_entries(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="One's own summaries and checkouts, over those shipped.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="All that is known of each, as JSON lines.")] = False,
) -> None:
    """List the papers that come with AIRA, or these with the summaries and code of DIR merged in."""
    import json

    from aira_lib.autoresearch.literature.library import open_library

    library = open_library(folder)
    for key, entry in library.entries.items():
        if full:
            print(harmless(json.dumps(entry.known(), ensure_ascii=False)))
            continue
        code = f"  code at {entry.code.commit}" if key in library.checkouts and entry.code else ""
        print(harmless(f"{key}  {entry.year or '-'}  {entry.category or '-'}  {entry.title}{code}"))


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Holds task_info.jsonl, code/<key>/, or both.")],
) -> None:
    """Check one's own literature: each line of task_info.jsonl, and that each checkout is pinned and not too large."""
    from aira_lib.autoresearch.literature.library import open_library
    from aira_lib.autoresearch.literature.reading import INFO, read_entries, shipped

    library = open_library(folder)
    own = read_entries(folder / INFO) if (folder / INFO).exists() else {}
    new = len(own.keys() - shipped().keys())
    told = f"{folder}: {len(own)} entries, {new} of them new; {len(library.checkouts)} checkouts at their commits; "
    print(harmless(f"{told}a prompt tells of it in {len(library.digest()):,} characters"))
