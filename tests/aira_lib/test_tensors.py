"""safetensors files: read as the format's own library reads and writes them, and refused where that would be misled."""

import json
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from aira_lib.tensors import MOST_HEADER, TensorsError, read_tensors, tensors_in, write_tensors

DTYPES = ("?", "u1", "i1", "<i2", "<f2", "<i4", "<f4", "<i8", "<f8")
TENSORS = st.dictionaries(
    st.text(max_size=8).filter(lambda name: name != "__metadata__"),
    arrays.arrays(st.sampled_from(DTYPES), arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)),
    max_size=3,
)


def file_of(header: Any, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def tensor(shape: Any = (2,), offsets: Any = (0, 8), dtype: Any = "F32", **others: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **others}


@settings(max_examples=25)
@given(TENSORS)
def test_what_is_written_is_read_and_by_the_formats_own_library_too(tensors: dict[str, np.ndarray]) -> None:
    content = write_tensors(tensors)
    theirs = pytest.importorskip("safetensors.numpy")
    for read in (read_tensors(content), theirs.load(content), read_tensors(theirs.save(tensors))):
        assert read.keys() == tensors.keys()
        for name, values in tensors.items():
            assert read[name].dtype == values.dtype
            np.testing.assert_array_equal(read[name], values)


def test_metadata_and_dtypes_that_numpy_lacks_are_no_error() -> None:
    content = file_of({"__metadata__": {"by": "me"}, "a": tensor([3], [0, 6], "BF16")}, bytes(6))
    assert tensors_in(content)["a"].shape == (3,)
    with pytest.raises(TensorsError, match="BF16, which NumPy does not have"):
        read_tensors(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "longer than the file"),
        (pickle.dumps({"a": 1}), "longer than the file"),
        ((2**63).to_bytes(8, "little"), "longer than the file"),
        ((MOST_HEADER + 1).to_bytes(8, "little") + bytes(MOST_HEADER + 1), "bytes, more than"),
        (file_of(b"{" * 40), "no JSON"),
        (file_of(b"[" * 100_000), "no JSON"),
        (file_of(b"\xff\xfe"), "no JSON"),
        (file_of([1]), "no JSON object"),
        (file_of(b'{"a": 1, "a": 2}'), "stands twice"),
        (file_of({"a": tensor(note=1)}, bytes(8)), "and nothing else"),
        (file_of({"a": tensor(dtype="OBJECT")}, bytes(8)), "unknown dtype 'OBJECT'"),
        (file_of({"a": tensor(dtype=["F32"])}, bytes(8)), "unknown dtype"),
        (file_of({"a": tensor([-2])}, bytes(8)), "no list of whole numbers"),
        (file_of({"a": tensor([True, 2])}, bytes(8)), "no list of whole numbers"),
        (file_of({"a": tensor([1] * 33)}, bytes(8)), "no list of whole numbers"),
        (file_of({"a": tensor([2**60, 0])}, bytes(8)), "no list of whole numbers"),
        (file_of({"a": tensor(offsets=[0])}, bytes(8)), "no two whole numbers"),
        (file_of({"a": tensor(offsets=[8, 0])}, bytes(8)), "do not fit"),
        (file_of({"a": tensor([2**40, 2**40])}, bytes(8)), "do not fit"),
        (file_of({"a": tensor()}, bytes(7)), "end at byte"),
        (file_of({"a": tensor()}, bytes(9)), "end at byte"),
        (file_of({"a": tensor(), "b": tensor()}, bytes(8)), "'b' does not begin where"),
        (file_of({"a": tensor(), "b": tensor(offsets=[12, 20])}, bytes(20)), "'b' does not begin where"),
    ],
)
def test_what_is_no_such_file_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(TensorsError, match=reason) as refused:
        tensors_in(content)
    assert "\n" not in str(refused.value)


def test_objects_are_not_written() -> None:
    with pytest.raises(TensorsError, match="object"):
        write_tensors({"a": np.array([object()])})
