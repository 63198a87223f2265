"""How a search and the supervisor in a candidate's pod speak with each other: frames on one stream of bytes each way.

A frame is its kind (a byte), the length of what follows (four bytes, the highest first), and that. The search sends a
tar archive in parts (FILES, the last one empty), of which the first member is the plan, and ALIVE now and then; the
supervisor ALIVE as well, BEGUN before the candidate is, then each declared output (FOUND, whose content follows in
PARTs), and at last OUTCOME, or SETUP, why none can be run. What a candidate prints goes to the supervisor and never to
this stream.
"""

import json
import struct
from collections.abc import Iterator
from typing import Any, Protocol

FILES, ALIVE, BEGUN, FOUND, PART, OUTCOME, SETUP = (bytes([letter]) for letter in b"F.BNDOX")

LONGEST = 1 << 18
"""Bytes of a frame's content; a longer one ends the talk."""

PART_BYTES = 1 << 16
"""Of a long content, in each frame."""

BEAT = 10.0
"""Seconds from one ALIVE to the next, each way; so proxies see a connection that is used."""

SILENCE = 120.0
"""Seconds without a frame after which either side takes the other for dead."""

_HEAD = struct.Struct(">cI")


class Broken(Exception):
    """The other side does not speak this protocol."""


class Source(Protocol):
    """Where bytes come from, as files have it."""

    def read(self, size: int, /) -> bytes:
        """As many bytes, or fewer at the end."""


def frame(kind: bytes, content: bytes = b"") -> bytes:
    """One frame."""
    return _HEAD.pack(kind, len(content)) + content


def frames_of(kind: bytes, content: bytes) -> Iterator[bytes]:
    """As many frames as a content takes; none for an empty one."""
    for begin in range(0, len(content), PART_BYTES):
        yield frame(kind, content[begin : begin + PART_BYTES])


def text(content: Any) -> bytes:
    """An object as JSON."""
    return json.dumps(content).encode()


class Frames:
    """Frames out of bytes as they come."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def of(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The frames that are whole now.

        Raises:
            Broken: a length is beyond what is allowed.
        """
        self._rest += data
        while len(self._rest) >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._rest)
            if length > LONGEST:
                raise Broken("a frame is too long")
            if len(self._rest) < (end := _HEAD.size + length):
                return
            content = bytes(self._rest[_HEAD.size : end])
            del self._rest[:end]
            yield kind, content


def read_frame(source: Source) -> tuple[bytes, bytes]:
    """The next frame of a stream.

    Raises:
        EOFError: the stream has ended.
        Broken: it is no frame.
    """
    kind, length = _HEAD.unpack(_exactly(source, _HEAD.size))
    if length > LONGEST:
        raise Broken("a frame is too long")
    return kind, _exactly(source, length)


def _exactly(source: Source, size: int) -> bytes:
    found = source.read(size)
    if len(found) < size:
        raise EOFError
    return found


class Archive:
    """The tar archive that arrives in frames of kind FILES, as a file to read; ALIVE frames among them are skipped."""

    def __init__(self, source: Source) -> None:
        self._source, self._rest, self._ended = source, b"", False

    def read(self, size: int) -> bytes:
        """As many bytes, fewer only at the end."""
        while len(self._rest) < size and not self._ended:
            kind, content = read_frame(self._source)
            if kind == FILES:
                self._rest += content
                self._ended = not content
            elif kind != ALIVE:
                raise Broken(f"files are expected, not {kind!r}")
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def finish(self) -> None:
        """Skip what padding is left."""
        while not self._ended:
            self.read(LONGEST)
