"""Floating-point operations of a program, counted from its jaxpr, with loops as often as they run.

XLA's own count (`cost_analysis`) takes the body of a loop once, so that attention over chunks in a `lax.scan` would
look linear in length; here a scan counts by its length. A product of matrices counts two per product and sum, a
convolution likewise, anything else one per number of its largest operand or result. Of branches the dearest counts.
"""

import math
from typing import Any

from aira_lib.lra.program import parts

_FREE = frozenset(
    {
        "broadcast_in_dim", "reshape", "squeeze", "expand_dims", "transpose", "convert_element_type", "slice", "split",
        "concatenate", "pad", "iota", "copy", "rev", "stop_gradient", "bitcast_convert_type", "dynamic_slice",
        "dynamic_update_slice", "gather",
    }
)  # fmt: skip


class Uncountable(Exception):
    """There is a loop whose length only its run tells, or a kernel of the submission's own."""


def flops_of(jaxpr: Any) -> float:
    """Operations of one run of a jaxpr.

    Raises:
        Uncountable: it has a `while` or a custom kernel.
    """
    return float(sum(_of(equation) for equation in jaxpr.eqns))


def _of(equation: Any) -> float:
    name = equation.primitive.name
    inner = parts(equation)
    if name == "while" or name.startswith(("pallas_call", "custom_call", "ffi_call", "triton")):
        raise Uncountable(f"a {name}, whose work only its run tells")
    if name == "scan":
        return float(equation.params["length"]) * sum(map(flops_of, inner))
    if name == "cond":
        return max(map(flops_of, inner), default=0.0)
    if name.startswith("custom_") and inner:  # its derivatives' rules are beside the function itself
        return flops_of(inner[0])
    if name in ("dot_general", "conv_general_dilated"):
        return _product(equation)
    if name.startswith(("scatter", "reduce", "argm", "cum", "sort")) or not inner:
        return 0.0 if name in _FREE else float(max(map(_size, (*equation.invars, *equation.outvars)), default=0))
    return sum(map(flops_of, inner))


def _product(equation: Any) -> float:
    left, right = (each.aval.shape for each in equation.invars[:2])
    out = math.prod(equation.outvars[0].aval.shape)
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        return float(2 * out * math.prod(left[axis] for axis in contracted))
    kernel = equation.params["dimension_numbers"].rhs_spec  # out features, in features of a group, places
    return float(2 * out * math.prod(right[axis] for axis in kernel[1:]))


def _size(variable: Any) -> int:
    return math.prod(getattr(variable.aval, "shape", ()))
