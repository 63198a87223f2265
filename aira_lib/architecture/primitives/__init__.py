"""The kinds of layer that designs are made of, each in one module here that says everything about it.

A kind of your own needs no change of this package: a module named in AIRA_PLUGINS (see `aira_lib.registry`) calls
`add_primitive`.
"""

from aira_lib.architecture.primitives.attention import ATTENTION
from aira_lib.architecture.primitives.mamba2 import MAMBA2
from aira_lib.architecture.primitives.mlp import MLP
from aira_lib.architecture.primitives.primitive import PAPER_PRIMITIVES, PRIMITIVES, Primitive, add_primitive
from aira_lib.architecture.primitives.window_attention import WINDOW_ATTENTION

# Their order is that of tables, and of equally good designs: the paper's first.
for _built_in in (ATTENTION, MLP, MAMBA2, WINDOW_ATTENTION):
    add_primitive(_built_in)

__all__ = ["PAPER_PRIMITIVES", "PRIMITIVES", "Primitive", "add_primitive"]
