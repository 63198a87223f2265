"""What the kernels share: numba's options, an exponential that vectorises, bfloat16 as integers, threads.

numba knows no bfloat16: a bf16 tensor travels as int16, is widened when read and rounded when written. Nor does it know
C's `restrict`: `read` and `write` promise LLVM that within one compiled function what is read is never what is written,
so that loops are vectorised without a check at each start, which costs more than a short loop does. No array may be
given to both in one function; `written` takes elements of an array that is written.
"""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from llvmlite import ir
from numba import config, njit, types
from numba.core import cgutils
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import intrinsic
from numpy.typing import NDArray
from torch import Tensor

from aira_lib.settings import scratch_folder

LANES = 32
"""Rows are padded to a multiple of this, so that no loop ends in a scalar rest."""

WORTH_A_THREAD = 2**18


def cache_folder(sources: Path) -> Path | None:
    """Where machine code is kept that was made of all `*.py` in a folder as they are now; None: nowhere can be written.

    It lies in NUMBA_CACHE_DIR; without that beside the sources, or in AIRA_SCRATCH where these cannot be written.
    numba itself looks at the file of one function alone, and would go on with what it had compiled of another file.
    """
    digest = hashlib.sha256()
    for file in sorted(sources.glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    places = [Path(config.CACHE_DIR)] if config.CACHE_DIR else [sources / "__pycache__", scratch_folder() / "numba"]
    place = next(filter(_writable, places), None)
    return place / f"kernels-{digest.hexdigest()[:16]}" if place else None


def _writable(folder: Path) -> bool:
    """Whether a folder can be written, which need not be there yet."""
    return os.access(next(each for each in (folder, *folder.absolute().parents) if each.exists()), os.W_OK)


_CACHE = cache_folder(Path(__file__).parent)


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function at its first call of each kind; the machine code is kept in `cache_folder`, if any."""
    options = {"fastmath": True, "nogil": True, "error_model": "numpy", "boundscheck": False}
    if _CACHE is None:  # each process compiles for itself, which takes a minute
        return njit(**options)(function)
    given, config.CACHE_DIR = config.CACHE_DIR, str(_CACHE)
    try:
        made = njit(**options, cache=True)(function)
    finally:
        config.CACHE_DIR = given
    made.compile = _one_at_a_time(made.compile, _CACHE / f"{function.__module__}.{function.__qualname__}.lock")
    return made


def _one_at_a_time(compile_it: Callable[[Any], Any], lock: Path) -> Callable[[Any], Any]:
    """Compile while other processes wait, and then find what was made: a core takes a minute for all kernels.

    Nobody waits in a circle: a function waits for those that it calls, which do not call it; and of the threads of a
    process only one waits, the one that numba lets compile.
    """

    def compile_or_find(signature: Any) -> Any:
        with ExitStack() as stack:
            stack.enter_context(global_compiler_lock)
            with suppress(OSError):  # nowhere to write, or a file system without locks: all compile, as numba has it
                lock.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(FileLock(lock))
            return compile_it(signature)

    return compile_or_find


inlined = njit(fastmath=True, nogil=True, error_model="numpy", boundscheck=False, inline="always")

_LOG2_E = np.float32(1.4426950408889634)
_LOWEST = np.float32(-126.0)  # the smallest exponent of a normal fp32 number
_NOTHING = np.float32(-60.0)
_HALF = np.float32(0.5)
# 2**r for r in [-0.5, 0.5], by minimax: relative error below 2e-7.
_C0, _C1, _C2, _C3, _C4, _C5, _C6 = (
    np.float32(c) for c in (1.0, 6.9314718e-1, 2.4022651e-1, 5.5504109e-2, 9.6181291e-3, 1.3333558e-3, 1.5403530e-4)
)


@intrinsic
def _power_of_two(context: Any, n: Any) -> Any:
    """2**n of a whole fp32 number n >= -126: n goes into the exponent's bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        whole = builder.fptosi(arguments[0], ir.IntType(32))
        biased = builder.add(whole, ir.Constant(ir.IntType(32), 127))
        return builder.bitcast(builder.shl(biased, ir.Constant(ir.IntType(32), 23)), ir.FloatType())

    return types.float32(types.float32), generate


@intrinsic
def wide(context: Any, x: Any) -> Any:
    """The fp32 value of an element that is fp32, or bf16 as int16."""
    if x == types.float32:
        return types.float32(types.float32), lambda context, builder, signature, arguments: arguments[0]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.shl(builder.zext(arguments[0], ir.IntType(32)), ir.Constant(ir.IntType(32), 16))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(types.int16), generate


@intrinsic
def narrow(context: Any, x: Any, like: Any) -> Any:
    """An fp32 value as an element of `like`'s type: itself, or bf16 as int16, rounded to nearest even."""
    if like == types.float32:
        return types.float32(types.float32, types.float32), lambda context, builder, signature, arguments: arguments[0]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(32)
        bits = builder.bitcast(arguments[0], word)
        odd = builder.and_(builder.lshr(bits, ir.Constant(word, 16)), ir.Constant(word, 1))
        rounded = builder.add(bits, builder.add(odd, ir.Constant(word, 0x7FFF)))
        return builder.trunc(builder.lshr(rounded, ir.Constant(word, 16)), ir.IntType(16))

    return types.int16(types.float32, types.int16), generate


def _disjoint(builder: Any) -> Any:
    """The mark of elements that are read, by which those written are known to be others.

    The promise is one of a single function, so this one is not to become a part of its callers.
    """
    builder.function.attributes.add("noinline")
    module = builder.module
    domain = module.add_metadata([ir.MetaDataString(module, "aira.kernels")])
    return module.add_metadata([module.add_metadata([ir.MetaDataString(module, "aira.read"), domain])])


def _element(context: Any, builder: Any, signature: Any, arguments: Any) -> tuple[Any, int]:
    """Where element [i, j] of a contiguous array lies (i and j are within it), and its size in bytes."""
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    i, j = (context.cast(builder, arguments[at], signature.args[at], types.intp) for at in (1, 2))
    width = cgutils.unpack_tuple(builder, array.shape)[1]
    place = builder.add(builder.mul(i, width, flags=("nsw",)), j, flags=("nsw",))
    return builder.gep(array.data, [place], inbounds=True), signature.args[0].dtype.bitwidth // 8


@intrinsic
def read(context: Any, array: Any, i: Any, j: Any) -> Any:
    """array[i, j] of a contiguous array of which this function writes nothing."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place, size = _element(context, builder, signature, arguments)
        value = builder.load(place, align=size)
        value.set_metadata("alias.scope", _disjoint(builder))
        return value

    return array.dtype(array, i, j), generate


@intrinsic
def written(context: Any, array: Any, i: Any, j: Any) -> Any:
    """array[i, j] of a contiguous array that this function writes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place, size = _element(context, builder, signature, arguments)
        return builder.load(place, align=size)

    return array.dtype(array, i, j), generate


@intrinsic
def write(context: Any, array: Any, i: Any, j: Any, value: Any) -> Any:
    """array[i, j] = value, in a contiguous array of which this function takes nothing by `read`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place, size = _element(context, builder, signature, arguments)
        value = context.cast(builder, arguments[3], signature.args[3], signature.args[0].dtype)
        builder.store(value, place, align=size).set_metadata("noalias", _disjoint(builder))
        return context.get_dummy_value()

    return types.void(array, i, j, value), generate


@inlined
def exponential(x):
    """exp(x) in fp32 for x up to 88; 0 below exp(-60), where products with it would leave the normal numbers."""
    t = max(x * _LOG2_E, _LOWEST)
    n = np.floor(t + _HALF)
    r = t - n
    p = _C6 * r + _C5
    p = p * r + _C4
    p = p * r + _C3
    p = p * r + _C2
    p = p * r + _C1
    return (p * r + _C0) * _power_of_two(n) if x > _NOTHING else np.float32(0)


def array(x: Tensor) -> NDArray[Any]:
    """A contiguous tensor's memory as numba takes it: bf16 as int16."""
    x = x.detach()
    return (x.view(torch.int16) if x.dtype == torch.bfloat16 else x).numpy()


def over(rows: int, work: Callable[[int, int], None], size: int) -> None:
    """Call work(first, last) for slices of `rows`, one slice a thread of PyTorch; each must write what is its own.

    `size` is the number of elements worked on: few are not worth a second thread.
    """
    threads = min(torch.get_num_threads(), rows) if size >= WORTH_A_THREAD else 1
    if threads <= 1:
        work(0, rows)
        return
    borders = [rows * t // threads for t in range(threads + 1)]
    waiting = [_pool(threads - 1).submit(work, borders[t], borders[t + 1]) for t in range(1, threads)]
    work(0, borders[1])
    for slice_done in waiting:
        slice_done.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="fused")
