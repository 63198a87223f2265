"""Pairs of manual pages, real text in the place of AAN: does one page point to the other?

The pages are those of the Linux man-pages project (Debian's packages manpages and manpages-dev), below a folder as
`man2/accept.2.gz` or unpacked. Two pages of a pair are of class 1 where one has the other under SEE ALSO; of class 0
where they are of the same sections as such a pair, and no path of one or two links joins them. The section SEE ALSO is
taken out, and so are all references, and each page's names of its neighbours; else the answer would stand there.
Pages, not pairs, are split: no page of the test occurs in training.
"""

import gzip
import hashlib
import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from aira_lib.errors import UserError
from aira_lib.lra.data.roff import included, sections, title_of
from aira_lib.lra.data.rows import Row, Rows
from aira_lib.lra.data.sizes import Size

_SHARES = {"test": 0.2, "validation": 0.1}
_PROJECT = re.compile(r"Linux man-pages|Linux Programmer's Manual")
_REFERENCE = re.compile(r"([\w.+-]+) ?\((\d)\w*\)")
_SEE_ALSO = "SEE ALSO"
_LONGEST_ALIAS = 2_000  # characters, a licence as a comment among them
WHERE = (
    "Debian's packages manpages and manpages-dev put them under /usr/share/man, and `dpkg -x` of both into any folder; "
    "source shared-record needs none"
)


@dataclass(frozen=True)
class Page:
    """A manual page: its text without SEE ALSO, and what that names as (name, section)."""

    name: str
    section: str
    text: str
    cites: frozenset[tuple[str, str]]


def man_pages(folder: Path, size: Size, seed: int) -> Rows:
    """Pairs of the pages below a folder, half of each class.

    Raises:
        UserError: there are no such pages, or too few.
    """
    pages, links = _linked(read_pages(folder))
    parts = _parts(links, seed)
    texts = {i: _without_names(pages[i], [pages[j].name for j in links[i]]) for i in links}
    random = Random(f"man-pages {seed}")
    rows = {
        split: [Row((texts[a], texts[b]), label) for a, b, label in _pairs(pages, links, members, random)][
            : getattr(size, split)
        ]
        for split, members in parts.items()
    }
    if not all(rows.values()):
        raise UserError(f"{folder}: {len(pages)} pages are too few for three splits; {WHERE}")
    facts = {
        "pages": len(pages),
        "pages_linked": len(links),
        "links": sum(map(len, links.values())) // 2,
        "pages_of_splits": {split: len(members) for split, members in parts.items()},
    }
    return Rows(rows["train"], rows["validation"], rows["test"], facts)


def page_files(folder: Path) -> list[Path]:
    """The files of sections 1 to 8 below a folder in its own language, by name; also of a folder above share/man."""
    roots = (folder, folder / "man", folder / "share/man", folder / "usr/share/man")
    root = next((each for each in roots if any(each.glob("man[1-8]"))), folder)
    return sorted(path for path in root.glob("man[1-8]/*") if path.is_file())


def read_pages(folder: Path) -> list[Page]:
    """The distinct pages of the project below a folder, with links under whichever of their names resolved.

    Raises:
        UserError: there are none, or a file cannot be read.
    """
    sources: dict[tuple[str, str], str] = {}
    also: dict[tuple[str, str], tuple[str, str]] = {}
    for path in page_files(folder):
        key = _key(path.name)
        source = _source(path)
        title = title_of(source)
        if len(source) < _LONGEST_ALIAS and (other := included(source)):
            also[key] = _key(other.rpartition("/")[2])
        elif title and _PROJECT.search(title[2]):
            sources[key] = source
    if not sources:
        raise UserError(f"{folder}: no pages of the Linux man-pages project here; {WHERE}")
    first: dict[bytes, tuple[str, str]] = {}
    for key, source in sources.items():  # a page may lie under two names as two files
        also[key] = first.setdefault(hashlib.sha256(source.encode()).digest(), key)
    return [_page(key, sources[key], also) for key in first.values()]


def _source(path: Path) -> str:
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "replace")
    except (OSError, EOFError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as a manual page ({error})") from None


def _key(file: str) -> tuple[str, str]:
    """Name and section of a file such as abs.3.gz."""
    name, _, section = file.removesuffix(".gz").rpartition(".")
    return name, section[:1]


def _page(key: tuple[str, str], source: str, also: dict[tuple[str, str], tuple[str, str]]) -> Page:
    found = sections(source)
    cited = {(match[1], match[2]) for match in _REFERENCE.finditer(found.get(_SEE_ALSO, ""))}
    text = " ".join(f"{heading} {content}" for heading, content in found.items() if heading != _SEE_ALSO)
    return Page(*key, _REFERENCE.sub(" ", text), frozenset(also.get(each, each) for each in cited) - {key})


def _linked(pages: list[Page]) -> tuple[list[Page], dict[int, set[int]]]:
    """The pages, and the neighbours of each that has any: links count in both directions."""
    numbers = {(page.name, page.section): i for i, page in enumerate(pages)}
    links: dict[int, set[int]] = {}
    for i, page in enumerate(pages):
        for j in sorted(numbers[each] for each in page.cites if each in numbers):
            links.setdefault(i, set()).add(j)
            links.setdefault(j, set()).add(i)
    return pages, dict(sorted(links.items()))


def _parts(links: dict[int, set[int]], seed: int) -> dict[str, set[int]]:
    """The pages of each split: test and validation grow from drawn pages along links, so that most pairs stay whole."""
    free = set(links)
    parts: dict[str, set[int]] = {}
    for split, share in _SHARES.items():
        order = sorted(free)
        Random(f"man-pages {split} {seed}").shuffle(order)
        parts[split] = set(_grown(order, links, free, round(share * len(links))))
        free -= parts[split]
    return {"train": free, **parts}


def _grown(order: list[int], links: dict[int, set[int]], free: set[int], most: int) -> list[int]:
    found: dict[int, None] = {}
    waiting: deque[int] = deque()
    starts = iter(order)
    while len(found) < most:
        page = waiting.popleft() if waiting else next(starts)
        if page not in found:
            found[page] = None
            waiting += [each for each in sorted(links[page]) if each in free]
    return list(found)


def _pairs(
    pages: list[Page], links: dict[int, set[int]], members: set[int], random: Random
) -> Iterable[tuple[int, int, int]]:
    """Each link between members, and after it a pair with the same first page that nothing joins."""
    positive = [(a, b) for a in sorted(members) for b in sorted(links[a] & members) if a < b]
    random.shuffle(positive)
    # Drawn from ends of links, a page is in pairs of both classes about equally often.
    ends = [page for pair in positive for page in pair]
    for a, b in positive:
        if random.random() < 0.5:
            a, b = b, a
        near = {a}.union(links[a], *(links[each] for each in links[a]))
        far = [page for page in ends if page not in near and pages[page].section == pages[b].section]
        if far:
            yield from sorted([(a, b, 1), (a, random.choice(far), 0)], key=lambda _: random.random())


def _without_names(page: Page, names: Iterable[str]) -> bytes:
    """A page's text without the names of its neighbours, as whole words."""
    wanted = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    return " ".join(re.sub(rf"(?<![\w.])({wanted})(?![\w])", " ", page.text).split()).encode()
