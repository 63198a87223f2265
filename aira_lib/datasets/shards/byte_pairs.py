"""Byte-level byte-pair encodings by tiktoken, several times as fast as the package `tokenizers`.

A ``tokenizer.json`` spells bytes as printable characters, as GPT-2's vocabulary does, and lists merges by rank.
tiktoken takes the bytes of every token with its id and merges the pair whose id is lowest, which is the same thing
where ids rise with the merges. What else such a file can hold is refused here, and that the ids are the same is proven
on texts: see `proven`.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aira_lib.errors import install_hint

TokenIds = NDArray[np.uint32]

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""How the pre-tokenizer ByteLevel of the package `tokenizers` splits text, unless it is told not to."""

HARD_CASES = (
    "", " ", "\n\n\n", "a  b   c    d\t\te \n  f\r\n\r\ng   ", "x" + " " * 200 + "y", "\u00a0\u2003\u3000 wide\u200b",
    "0123456789 3.14159 1,000,000 2026-11-26 0xDEADBEEF ١٢٣ ²³½ Ⅻ",
    "It's they'LL we'd I'M you've 'tis O'Neil don’t 'S'T'RE",
    "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪 ❤️ 𝔘𝔫𝔦 \U0001f9ec",
    "café cafe\u0301 naïve Å \u212b ﬁ ñ n\u0303 Ω ệ",
    "漢字かな交じり文。한국어 문장, русский текст; العربية עברית हिन्दी ไทย",
    "def f(x: int) -> str:\n\treturn f\"{x!r:>10}\"  # done\n\n\nif __name__ == '__main__':\n    f(1)\n",
    "a->b; c!=d && e||f /* ... */ <<<<<< ====== #include <x.h>\n{}[]()`~@$%^&*_+\\|",
    "https://example.org/path?q=1&r=%20#frag user@example.org C:\\Temp\\x.txt",
    "<|endoftext|><|begin_of_text|></s><s>[INST] <|im_start|>", "\x01\x02\x7f\x80\ufeff\ufffd\U0010ffff",
    "aaaaaaaa" * 50, "ABCdefGHI camelCaseWords SCREAMING_SNAKE kebab-case ﷽",
)  # fmt: skip
"""Texts on which implementations differ when they differ at all: spaces, digits, emoji, scripts, code, marks."""


class CannotConvert(Exception):
    """A tokenizer that tiktoken cannot stand in for; the text says why."""


class BytePairs:
    """A byte-level tokenizer as tiktoken computes it. Text that looks like a special token is text.

    Args:
        file: the content of a ``tokenizer.json``.

    Raises:
        CannotConvert: it holds something that tiktoken does not do, or tiktoken is not installed.
    """

    def __init__(self, file: Mapping[str, Any]) -> None:
        try:
            from tiktoken import Encoding
        except ModuleNotFoundError:
            raise CannotConvert(f"tiktoken is not installed: {install_hint('data')}") from None
        ranks, pattern = _ranks(file), _pattern(file.get("pre_tokenizer"))
        self._composed = _composes(file.get("normalizer"))
        self._added = _added(file)
        # The longest comes first: of added tokens that begin at one place, the longest counts.
        names = sorted(self._added, key=len, reverse=True)
        self._split = re.compile(f"({'|'.join(map(re.escape, names))})") if names else None
        try:
            self._encoding = Encoding("shards", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
        except (ValueError, AssertionError) as error:
            raise CannotConvert(f"tiktoken refuses it ({_line(error)})") from None

    def encode(self, text: str) -> TokenIds:
        """The ids of a text.

        Raises:
            ValueError: a run of spaces is too long for tiktoken's regular expressions.
        """
        if self._composed and not text.isascii():
            text = unicodedata.normalize("NFC", text)
        if self._split is None:
            return self._plain(text)
        parts = self._split.split(text)
        if len(parts) == 1:
            return self._plain(text)
        return np.concatenate(
            [np.array([self._added[part]], np.uint32) if n % 2 else self._plain(part) for n, part in enumerate(parts)]
        )

    def _plain(self, text: str) -> TokenIds:
        return self._encoding.encode_to_numpy(text, disallowed_special=())


def proven(fast: BytePairs, exact: Callable[[str], Sequence[int]], texts: Iterable[str]) -> str:
    """Compare two tokenizers on texts: nothing where all ids are equal, else the first text that tells them apart."""
    for text in (*HARD_CASES, *texts):
        try:
            same = np.array_equal(fast.encode(text), np.asarray(exact(text), dtype=np.int64))
        except ValueError:
            same = True  # such a text is left to the exact tokenizer
        if not same:
            return f"ids differ on {text[:60]!r}"
    return ""


def token_bytes(file: Mapping[str, Any]) -> list[bytes] | None:
    """The bytes that each id stands for, by id: none for special tokens and unused ids; None: it is not byte-level."""
    model = file.get("model", {})
    kinds = {part.get("type") for part in _parts(file.get("pre_tokenizer")) + _parts(file.get("decoder"))}
    if model.get("type") != "BPE" or "ByteLevel" not in kinds:
        return None
    letters = {letter: byte for byte, letter in enumerate(_letters())}
    added = file.get("added_tokens") or []
    found = [b""] * (1 + max([*model["vocab"].values(), *(each["id"] for each in added)], default=-1))
    for token, place in model["vocab"].items():
        if all(letter in letters for letter in token):
            found[place] = bytes(letters[letter] for letter in token)
    for each in added:
        found[each["id"]] = b"" if each.get("special") else each["content"].encode()
    return found


def _ranks(file: Mapping[str, Any]) -> dict[bytes, int]:
    """The bytes of every token that merges make, and of every single byte, with their ids."""
    model = file.get("model", {})
    if model.get("type") != "BPE":
        raise CannotConvert(f"its model is {model.get('type', 'none')}, not byte pairs")
    for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback"):
        if model.get(name):
            raise CannotConvert(f"its model has {name}")
    vocab: dict[str, int] = model["vocab"]
    byte_of = {letter: byte for byte, letter in enumerate(_letters())}
    if missing := [letter for letter in byte_of if letter not in vocab]:
        raise CannotConvert(f"its vocabulary lacks {len(missing)} of the 256 bytes")
    merges = [tuple(each.split(" ")) if isinstance(each, str) else tuple(each) for each in model["merges"]]
    made = [vocab.get("".join(pair), -1) for pair in merges]
    if any(later < earlier for earlier, later in pairwise(made)):
        raise CannotConvert("its ids do not rise with its merges")
    names = {*byte_of, *("".join(pair) for pair in merges)}
    if model.get("ignore_merges"):  # then whole words count, however they are made
        names |= {token for token in vocab if all(letter in byte_of for letter in token)}
    return {bytes(byte_of[letter] for letter in name): vocab[name] for name in names if name in vocab}


def _pattern(pre_tokenizer: Mapping[str, Any] | None) -> str:
    """The regular expression that splits text into what is merged."""
    parts = _parts(pre_tokenizer)
    kinds = [part.get("type") for part in parts]
    if not parts or kinds not in (["ByteLevel"], ["Split", "ByteLevel"]):
        raise CannotConvert(f"it splits text by {', '.join(map(str, kinds)) or 'nothing'}, not by one expression")
    *splits, last = parts
    if last.get("add_prefix_space"):
        raise CannotConvert("it puts a space before a text")
    if not splits:
        if not last.get("use_regex", True):
            raise CannotConvert("it does not split text")
        return _GPT2
    (split,) = splits
    pattern = split.get("pattern", {}).get("Regex")
    ways = (split.get("behavior"), bool(split.get("invert")))
    if last.get("use_regex", True) or pattern is None or ways not in (("Isolated", False), ("Removed", True)):
        raise CannotConvert("it splits text in more ways than by one expression")
    return str(pattern)


def _composes(normalizer: Mapping[str, Any] | None) -> bool:
    """Whether text is composed (NFC) first."""
    kinds = [part.get("type") for part in _parts(normalizer)]
    if kinds not in ([], ["NFC"]):
        raise CannotConvert(f"it changes text by {', '.join(map(str, kinds))}")
    return bool(kinds)


def _added(file: Mapping[str, Any]) -> dict[str, int]:
    """Added tokens that are found in text before it is split. Special ones are not: they are no text."""
    added = [each for each in file.get("added_tokens") or [] if not each.get("special")]
    for each in added:
        if each.get("single_word") or each.get("lstrip") or each.get("rstrip") or not each["content"].isascii():
            raise CannotConvert(f"its added token {each['content']!r} is found in ways of its own")
    return {each["content"]: each["id"] for each in added}


def _parts(entry: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """The steps of an entry that may be one, several in a row, or none."""
    if not entry:
        return []
    if entry.get("type") != "Sequence":
        return [entry]
    inner = next((value for value in entry.values() if isinstance(value, list)), [])
    return [part for each in inner for part in _parts(each)]


def _letters() -> list[str]:
    """How GPT-2's vocabulary spells each byte: printable ones as themselves, the others as letters from 256 on."""
    shown = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in shown else chr(next(others)) for byte in range(256)]


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
