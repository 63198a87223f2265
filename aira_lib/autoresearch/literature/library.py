"""All that agents may consult: entries merged by key, checkouts, and the words in which a prompt tells of them."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aira_lib.autoresearch.literature.checkouts import CODE, files_of, find_checkouts, lay_checkouts
from aira_lib.autoresearch.literature.entry import Entry
from aira_lib.autoresearch.literature.reading import INFO, Entries, merged, read_entries, shipped
from aira_lib.contents import folder_digest
from aira_lib.errors import UserError
from aira_lib.foreign import in_a_line

PWC = "pwc"
"""The folder in which submitted code finds it all, read-only."""
MOST_DIGEST, MOST_SHOWN, MOST_EACH, MOST_ASKED = 12_000, 24_000, 12_000, 4
"""Characters of the digest, of all that is shown of what was asked for and of each part of it; parts in one step."""
_MOST_NAMES = 80
_ASKED = re.compile(r"^[ \t>*`-]*CONSULT:[ \t]*`?([\w.-]+(?:/[\w./-]+)?)", re.MULTILINE)

_HOW = """\
# Literature
{count} papers that may help; each line below is a key, the title, the year and what it may be good for. To read all
that is known of one, write a line `CONSULT: key` into your plan, at most {most} of them: the next step shows it, and
the files of its reference code where there are any (marked "code here"). A line `CONSULT: key/path/of/file` shows such
a file. Prefer changes that cost little and let the model learn faster within the budget. Submitted code finds the same
in `./{pwc}`, read-only: `{info}`, and the code in `{code}/<key>/`."""


@dataclass(frozen=True)
class Shown:
    """What a prompt shows of what was asked for, and by which names; a name of nothing is told and not among them."""

    text: str = ""
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Library:
    """Entries by key, and folders of reference code by the keys of some of them."""

    entries: Entries
    checkouts: dict[str, Path] = field(default_factory=dict)

    def identity(self) -> str:
        """SHA-256 (hex) of all that it holds."""
        held = {key: entry.known() for key, entry in self.entries.items()}
        code = {key: folder_digest(path) for key, path in self.checkouts.items()}
        return hashlib.sha256(json.dumps([held, code], sort_keys=True).encode()).hexdigest()

    def lay(self, place: Path) -> Path:
        """Write it into a folder that is made, as submitted code sees it."""
        place.mkdir(parents=True)
        lines = [json.dumps(entry.known(), ensure_ascii=False) + "\n" for entry in self.entries.values()]
        (place / INFO).write_text("".join(lines), encoding="utf-8")
        lay_checkouts(self.checkouts, place / CODE)
        return place

    def digest(self) -> str:
        """A line for each paper, and how to consult them; what does not fit is counted."""
        told = _HOW.format(count=len(self.entries), most=MOST_ASKED, pwc=PWC, info=INFO, code=CODE)
        lines: list[str] = []
        room = MOST_DIGEST - len(told)
        for entry in self.entries.values():
            line = self._line(entry)
            if room < len(line) + 80:
                lines.append(f"({len(self.entries) - len(lines)} more are in ./{PWC}/{INFO}.)")
                break
            lines.append(line)
            room -= len(line) + 1
        return "\n".join([told, *lines])

    def shown(self, asked: Sequence[str]) -> Shown:
        """What was asked for, by key or by key/file: whole entries and files, each cut where it is too long."""
        parts: list[str] = []
        names: list[str] = []
        room = MOST_SHOWN
        for name in asked[:MOST_ASKED]:
            found = self._found(name)
            text = f"- `{name}`: there is no such entry or file." if found is None else found
            if len(text) > room:
                break
            room -= len(text)
            parts.append(text)
            if found is not None:
                names.append(name)
        return Shown("\n\n".join(["# What you asked to consult", *parts]) if parts else "", tuple(names))

    def _line(self, entry: Entry) -> str:
        year = f" ({entry.year})" if entry.year else ""
        code = " [code here]" if entry.key in self.checkouts else ""
        return f"- {entry.key}: {entry.title}{year}. {in_a_line(entry.relevance or '', 200)}{code}"

    def _found(self, name: str) -> str | None:
        key, _, inside = name.partition("/")
        entry = self.entries.get(key)
        if entry is None:
            return None
        if inside:
            text = self._file(key, inside)
            return None if text is None else f"`{name}`:\n{_cut(text)}"
        told = json.dumps(entry.known(), ensure_ascii=False, indent=1)
        return "\n".join([f"`{name}`:", _cut(told), *self._names(key)])

    def _names(self, key: str) -> list[str]:
        if key not in self.checkouts:
            return []
        root = self.checkouts[key]
        names = [path.relative_to(root).as_posix() for path in files_of(root)]
        more = [f"... and {len(names) - _MOST_NAMES} more"] if len(names) > _MOST_NAMES else []
        return ["Files of its code:", *(f"- {name}" for name in names[:_MOST_NAMES]), *more]

    def _file(self, key: str, inside: str) -> str | None:
        """A text file of a checkout; only one that `files_of` gives, so nothing outside of it."""
        root = self.checkouts.get(key)
        if root is None:
            return None
        path = next((each for each in files_of(root) if each.relative_to(root).as_posix() == inside), None)
        if path is None:
            return None
        with path.open("rb") as file:
            content = file.read(4 * MOST_EACH)
        return None if b"\0" in content else content.decode("utf-8", "replace")


def open_library(folder: Path | None) -> Library:
    """The papers that come with AIRA, and a user's own summaries and checkouts over them.

    Args:
        folder: Holds task_info.jsonl, `code/<key>/`, or both.

    Raises:
        UserError: it holds neither, or something that is wrong.
    """
    if folder is None:
        return Library(shipped())
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; literature is a folder with {INFO}, {CODE}/<key>/ or both")
    if not (folder / INFO).exists() and not (folder / CODE).is_dir():
        raise UserError(f"{folder}: holds neither {INFO} nor {CODE}/")
    own = read_entries(folder / INFO) if (folder / INFO).exists() else {}
    entries = merged(own, shipped())
    return Library(entries, find_checkouts(folder, entries))


def asked_for(plan: str) -> tuple[str, ...]:
    """What the lines `CONSULT: key` of a plan ask for, each once, in their order."""
    return tuple(dict.fromkeys(name.rstrip("./") for name in _ASKED.findall(plan)))


def _cut(text: str) -> str:
    return text if len(text) <= MOST_EACH else f"{text[:MOST_EACH]}\n[... the rest is left out ...]"
