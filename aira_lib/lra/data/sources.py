"""Where the rows of a task come from: real files that a user has, or what is generated in their place."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aira_lib.errors import UserError, nearest
from aira_lib.lra.data import aan, imdb, listops_rows, mails, man_pages, reversals, shared_record
from aira_lib.lra.data.rows import Rows
from aira_lib.lra.data.sizes import LraSize, LraTask, Size


@dataclass(frozen=True)
class Source:
    """One origin of a task's rows.

    Attributes:
        name: how it is asked for.
        task: whose rows it has.
        build: rows from a folder, a size, its name, and a seed; the folder of a generator is never read.
        files: which files of a folder are read; None for a generator.
        stands_in: what it is, where it is not what the benchmark has.
        folder: where it is looked for unless a folder is named.
        where: how to come by the files.
    """

    name: str
    task: LraTask
    build: Callable[[Path, Size, LraSize, int], Rows]
    files: Callable[[Path], list[Path]] | None = None
    stands_in: str = ""
    folder: str = ""
    where: str = ""


BENCHMARK: dict[LraTask, str] = {
    "text": "IMDB's reviews, 1,000 bytes each",
    "listops": "ListOps of 500 to 2,000 tokens",
    "retrieval": "AAN's papers, 4,000 bytes each",
}

# The first of a task is the one that needs no files.
SOURCES = (
    Source("generated", "listops", lambda _, size, name, seed: listops_rows.generated(size, seed, name)),
    Source(
        "tsv", "listops", lambda folder, size, _, seed: listops_rows.from_files(folder, size, seed),
        files=lambda folder: [folder / name for name in listops_rows.FILES.values()],
        where=listops_rows.WHERE,
    ),
    Source(
        "reversals", "text", lambda _, size, name, seed: reversals.generate(size, seed, reversals.SETTINGS[name]),
        stands_in=reversals.STAND_IN,
    ),
    Source("imdb", "text", lambda folder, size, _, seed: imdb.imdb(folder, size, seed), files=imdb.imdb_files,
        where=imdb.WHERE,
    ),
    Source(
        "mails", "text", lambda folder, size, _, seed: mails.mails(folder, size, seed), files=mails.mail_files,
        stands_in="mails, spam or not (SpamAssassin's corpus), for a smoke test",
        where=mails.WHERE,
    ),
    Source(
        "shared-record", "retrieval",
        lambda _, size, name, seed: shared_record.generate(size, seed, shared_record.SETTINGS[name]),
        stands_in=shared_record.STAND_IN,
    ),
    Source(
        "aan", "retrieval", lambda folder, size, _, seed: aan.aan(folder, size, seed),
        files=lambda folder: [folder / name for name in aan.FILES.values()],
        where=aan.WHERE,
    ),
    Source(
        "man-pages", "retrieval", lambda folder, size, _, seed: man_pages.man_pages(folder, size, seed),
        files=man_pages.page_files, stands_in="pairs of Linux manual pages that refer to each other or do not",
        folder="/usr/share/man", where=man_pages.WHERE,
    ),
)  # fmt: skip


def sources_of(task: LraTask) -> list[Source]:
    """The sources of a task, the one that is taken unless another is named first."""
    return [each for each in SOURCES if each.task == task]


def source_named(task: LraTask, text: str) -> tuple[Source, Path]:
    """A source and its folder, from `NAME` or `NAME:FOLDER`; nothing is the one that needs no files.

    Raises:
        UserError: the task has no such source, or it lacks its folder, or has one that it does not read.
    """
    name, _, folder = text.partition(":")
    known = {each.name: each for each in sources_of(task)}
    source = known.get(name or next(iter(known)))
    if source is None:
        raise UserError(f"{task} has no source {name!r}{nearest(name, known)}; write NAME or NAME:FOLDER")
    if source.files is None:
        if folder:
            raise UserError(f"source {source.name} is generated and reads no folder; leave out :{folder}")
        return source, Path()
    if not (folder or source.folder):
        raise UserError(f"source {source.name} needs a folder: {source.name}:FOLDER; {source.where}")
    return source, Path(folder or source.folder).expanduser()
