"""Checkpoints in a record's workspace: ``checkpoints/step_00000100/`` with files a part and, last, a manifest.

A state has named parts, such as `model` and `optimizer`, each a dictionary. One process writes a part as one file or as
several shards, each with some of its keys: ``model.00000-of-00002.pt``. Several ranks write it together as a folder of
torch.distributed.checkpoint: ``model/__0_0.distcp`` and its kin (`aira_lib.training.checkpoint.sharded`). The manifest
names every file with its part, size and SHA-256, so that a reader who wants the weights alone reads, and hashes, no
optimizer state; and nothing is opened before its hash was found right.

A checkpoint without a manifest, or of which a wanted file does not match it, does not exist. Only states that are
finite are saved. One process writes states in a canonical form, so that a run that was interrupted and resumed ends
with the same bytes as one that was not.
"""

from aira_lib.training.checkpoint.canonical import Part, Shards
from aira_lib.training.checkpoint.one_process import Checkpoints
from aira_lib.training.checkpoint.reading import latest
from aira_lib.training.checkpoint.retention import prune

__all__ = ["Checkpoints", "Part", "Shards", "latest", "prune"]
