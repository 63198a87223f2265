"""The packed rows of tokens that a script is trained and scored on, laid out as its module `prepare` reads them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aira_lib.contents import folder_digest
from aira_lib.errors import UserError

Mode = Literal["claim", "answer"]
Tokens = NDArray[np.uint16]
_LIBRARY = resources.files("aira_lib")
_MODULES = {"prepare.py": _LIBRARY / "autoresearch/rescore/prepare.py", "aira_lib/tensors.py": _LIBRARY / "tensors.py"}


@dataclass(frozen=True)
class Text:
    """Packed rows, a token more than a model sees at once.

    Attributes:
        train: uint16 [n, T + 1].
        validation: The rows that a script scores itself by, and may read.
        unseen: Rows that no script is given.
        pieces: What each token stands for; nothing for reserved ones.
        bos: The token that begins a document.
        tokenizer: A tokenizer.json of these tokens, for scripts that encode texts of their own; empty: none can.
        hides: Installed packages that hold some of the text, and that no script sees.
    """

    train: Tokens
    validation: Tokens
    unseen: Tokens
    pieces: Sequence[bytes]
    bos: int
    tokenizer: str = ""
    hides: Sequence[str] = ()

    @property
    def length(self) -> int:
        """T, the tokens that a model sees at once."""
        return int(self.train.shape[1]) - 1

    @property
    def token_bytes(self) -> NDArray[np.int32]:
        """Bytes of each token, int32 [V]; those of reserved ones are 0."""
        return np.array([len(piece) for piece in self.pieces], np.int32)

    def lay(self, place: Path, mode: Mode, seconds: float) -> Path:
        """Write what one process finds beside its module `prepare`.

        Args:
            place: A folder to make.
            mode: `answer`: without validation, or anything else that tells a target.
            seconds: What the script is told that it may train.
        """
        place.mkdir(parents=True)
        for name, source in _MODULES.items():
            (place / name).parent.mkdir(exist_ok=True)
            (place / name).write_bytes(source.read_bytes())
        (place / "aira_lib" / "__init__.py").touch()  # so that no other package of this name is found before it
        np.save(place / "train.npy", self.train, allow_pickle=False)
        if mode == "claim":
            np.save(place / "validation.npy", self.validation, allow_pickle=False)
        np.save(place / "token_bytes.npy", self.token_bytes, allow_pickle=False)
        (place / "pieces.json").write_text(json.dumps([piece.hex() for piece in self.pieces]), encoding="utf-8")
        if self.tokenizer:
            (place / "tokenizer.json").write_text(self.tokenizer, encoding="utf-8")
        about = {
            "mode": mode, "length": self.length, "seconds": seconds, "bos": self.bos, "vocabulary": len(self.pieces),
            "validation_tokens": len(self.validation) * self.length,
        }  # fmt: skip
        (place / "about.json").write_text(json.dumps(about), encoding="utf-8")
        return place


def digest_of(place: Path) -> str:
    """SHA-256 (hex) of what `Text.lay` wrote: the rows, the vocabulary, the module and the time."""
    return folder_digest(place)


def require_fitting(text: Text) -> None:
    """Refuse rows that do not belong together.

    Raises:
        UserError: their lengths differ, or a token is none of the vocabulary.
    """
    for name, rows in (("validation", text.validation), ("unseen", text.unseen)):
        if rows.shape[1] != text.train.shape[1]:
            raise UserError(f"rows of {name} have {rows.shape[1]} tokens, those of train {text.train.shape[1]}")
    most = max(int(rows.max()) for rows in (text.train, text.validation, text.unseen))
    if most >= len(text.pieces):
        raise UserError(f"token {most} is none of a vocabulary of {len(text.pieces)}")
