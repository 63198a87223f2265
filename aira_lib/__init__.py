"""AIRA: research agents discover neural architectures."""

import os

from aira_lib.caches import keep_below_scratch

__version__ = "0.1.0"

# OpenMP reads this once, when torch is imported: threads of its that spin while they wait would take the cores from the
# fused kernels' own threads (measured: a fifth of a proxy's training step), and plain PyTorch is no faster for it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Before any library is imported that looks for such a folder.
keep_below_scratch()
