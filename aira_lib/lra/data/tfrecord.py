"""TFRecord files of `tf.train.Example`, as TensorFlow Datasets writes them, read without TensorFlow.

A record is its length (8 bytes, little endian), a masked CRC-32C of that, the data, and a masked CRC-32C of them. The
first is checked: whatever is no TFRecord, or cut, fails at it. That of the data is not, for in Python it takes longer
than all else. An Example is a protocol buffer: a map from names to lists of bytes, floats or whole numbers, of which
bytes and whole numbers are read here.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from aira_lib.errors import UserError

_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
_BYTES_LIST, _INT64_LIST = 1, 3

Features = dict[str, list[bytes | int]]


def read_examples(path: Path) -> Iterator[Features]:
    """The examples of a file, in order: what each feature holds.

    Raises:
        UserError: it cannot be read, or is no whole file of examples.
    """
    try:
        with path.open("rb") as file:
            for number, record in enumerate(_records(file.read()), 1):
                try:
                    yield parse_example(record)
                except (ValueError, IndexError, struct.error):
                    raise UserError(f"{path}: record {number} is no tf.train.Example; fetch the file anew") from None
    except ValueError as error:
        raise UserError(f"{path}: {error}; fetch the file anew") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def _records(data: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(data):
        head = data[place : place + 12]
        if len(head) < 12 or struct.unpack("<I", head[8:])[0] != masked_crc(head[:8]):
            raise ValueError(f"no TFRecord at byte {place}")
        (length,) = struct.unpack("<Q", head[:8])
        end = place + 12 + length
        if end + 4 > len(data):
            raise ValueError(f"the record at byte {place} is cut")
        yield data[place + 12 : end]
        place = end + 4


def parse_example(data: bytes) -> Features:
    """The features of a serialised Example.

    Raises:
        ValueError, IndexError: it is none.
    """
    features: Features = {}
    for number, outer in _fields(data):
        for inner_number, entry in _fields(_nested(outer)) if number == 1 else ():
            if inner_number == 1:
                found = dict(_fields(_nested(entry)))
                name = _nested(found.get(1, b"")).decode()
                features[name] = _values(_nested(found.get(2, b"")))
    return features


def _values(feature: bytes) -> list[bytes | int]:
    for kind, payload in _fields(feature):
        entries = [entry for number, entry in _fields(_nested(payload)) if number == 1]
        if kind == _BYTES_LIST:
            return [_nested(entry) for entry in entries]
        if kind == _INT64_LIST:
            return [value for entry in entries for value in ([entry] if isinstance(entry, int) else _packed(entry))]
    return []


def _nested(field: bytes | int) -> bytes:
    if isinstance(field, int):
        raise ValueError("a number where a message belongs")
    return field


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """The fields of a message: their numbers, and what they hold."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        wire = tag & 7
        if wire == _VARINT:
            value, place = _varint(message, place)
            yield tag >> 3, value
            continue
        if wire == _LENGTH_DELIMITED:
            length, place = _varint(message, place)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if place + length > len(message):
            raise ValueError("a field is cut")
        yield tag >> 3, message[place : place + length]
        place += length


def _packed(data: bytes) -> Iterator[int]:
    place = 0
    while place < len(data):
        value, place = _varint(data, place)
        yield value


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and the place behind it; of 64 bits, two's complement."""
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return (value - (1 << 64) if value >> 63 else value), place
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def masked_crc(data: bytes) -> int:
    """The CRC-32C (Castagnoli) of some bytes, turned by 15 bits and shifted, as TFRecord stores it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
