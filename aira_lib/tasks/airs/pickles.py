"""Tell files that run code when they are merely loaded: pickles, under any name, packed or not.

Recognised is what `pickletools` reads, from the file's first byte to a stop, as a whole pickle or as one that calls
what it imports: of any protocol, whatever follows behind the stop, also within gzip, zlib, bz2, xz or a ZIP file (as
torch.save writes); and whatever begins as pickles of protocol 2 and up do. Not recognised are pickles behind other
bytes, packed twice, encrypted, or written so that Python's reader takes them and `pickletools` does not: a file that
passes is no promise that it is harmless. Scorers run in the sandbox all the same.
"""

import bz2
import io
import lzma
import pickletools
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice

_IMPORTS = {"GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"}
_CALLS = {"REDUCE", "BUILD", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX"}
_FEWEST = 2  # steps: a table whose header begins with V and whose first value with a point has two
_MOST_STEPS = 50_000  # of a pickle that are read
_MOST_UNPACKED = 2**20
_MOST_MEMBERS = 1_000
_BINARY = tuple(b"\x80" + bytes([protocol]) for protocol in (2, 3, 4, 5))
_PICKLED = (".pkl", ".pickle", ".joblib", ".pt", ".pth")


def is_pickle(name: str, content: bytes) -> bool:
    """Whether a file is called a pickle or is one, as far as the module's description goes.

    Args:
        name: Of the file.
        content: What it holds; of what is packed in it, no more than the first megabyte is looked at.
    """
    return any(inner.endswith(_PICKLED) or _begins_pickle(data) for inner, data in [(name, content), *_packed(content)])


def _begins_pickle(content: bytes) -> bool:
    seen: list[str] = []
    end = 0
    try:
        for operation, _, place in islice(pickletools.genops(io.BytesIO(content)), _MOST_STEPS):
            seen.append(operation.name)
            end = (place or 0) + 1
    except Exception:  # whatever it stumbles over; what is cut may still be a pickle
        return (content.startswith(_BINARY) and len(seen) > 1) or (len(content) >= _MOST_UNPACKED and _runs(seen))
    return content.startswith(_BINARY) or _runs(seen) or (len(seen) > _FEWEST and _is_sound(content[:end]))


def _runs(steps: Sequence[str]) -> bool:
    return not _IMPORTS.isdisjoint(steps) and not _CALLS.isdisjoint(steps)


def _is_sound(pickle: bytes) -> bool:
    """Whether something is on the stack wherever it is taken: of the text "0.5", no."""
    try:
        pickletools.dis(pickle, io.StringIO())
    except Exception:
        return False
    return True


def _packed(content: bytes) -> Iterator[tuple[str, bytes]]:
    """What is packed in a file: names, where there are any, and beginnings."""
    for unpack in (_zlib, _bz2, _xz):
        with suppress(Exception):
            yield "", unpack(content)
    if content.startswith(b"PK"):
        with suppress(Exception), zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist()[:_MOST_MEMBERS]:
                with archive.open(member) as file:
                    yield member.filename, file.read(_MOST_UNPACKED)


def _zlib(content: bytes) -> bytes:
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress(content, _MOST_UNPACKED)


def _bz2(content: bytes) -> bytes:
    return bz2.BZ2Decompressor().decompress(content, _MOST_UNPACKED)


def _xz(content: bytes) -> bytes:
    return lzma.LZMADecompressor(memlimit=2**28).decompress(content, _MOST_UNPACKED)
