"""Small files as agents submit them."""

from pathlib import Path

import numpy as np

from aira_lib.lra.configuration import Configuration
from aira_lib.lra.data import LraSplit
from aira_lib.lra.interface import Problem, submission_of
from aira_lib.lra.program import Program, program_of

TINY = Configuration(
    max_length=16, learning_rate=2e-2, batch_size=8, num_train_steps=12, num_layers=1, num_heads=2, emb_dim=8,
    qkv_dim=8, mlp_dim=16, warmup=2, eval_frequency=4,
)  # fmt: skip
SINGLE, DUAL = Problem(vocab_size=9, num_classes=3), Problem(vocab_size=9, num_classes=2, dual=True)

HEAD = """
import flax.linen as nn
import jax
import jax.numpy as jnp
"""
FIELDS = """
    vocab_size: int
    num_classes: int
    max_len: int
    emb_dim: int = 8
"""
MEAN = f"""{HEAD}
class CustomEncoder(nn.Module):{FIELDS}

    @nn.compact
    def __call__(self, inputs, *, train):
        x = nn.Embed(self.vocab_size, self.emb_dim)(inputs) * (inputs > 0)[..., None]
        return nn.Dense(self.num_classes)(x.mean(axis=1))
"""
PAIRS = f"""{HEAD}
class CustomDualEncoder(nn.Module):{FIELDS}
    def setup(self):
        self.embed = nn.Embed(self.vocab_size, self.emb_dim)
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Dense(self.num_classes)

    def encode(self, inputs, *, train):
        return self.dropout(self.embed(inputs).mean(axis=1), deterministic=not train)

    def classify(self, encoded1, encoded2, *, train):
        return self.head(jnp.concatenate([encoded1, encoded2, encoded1 * encoded2], axis=-1))
"""


def model(body: str, fields: str = FIELDS) -> str:
    """A file whose encoder has this body, with `x` the embedded ids [B, L, emb_dim]."""
    lines = "\n".join(f"        {line}" for line in body.strip().splitlines())
    return f"""{HEAD}
class CustomEncoder(nn.Module):{fields}
    @nn.compact
    def __call__(self, inputs, *, train):
        x = nn.Embed(self.vocab_size, self.emb_dim)(inputs)
{lines}
"""


def submitted(folder: Path, source: str, problem: Problem = SINGLE, configuration: Configuration = TINY) -> Program:
    """The program of a file with this text."""
    folder.mkdir(exist_ok=True)
    path = folder / "model.py"
    path.write_text(source)
    return program_of(submission_of(path, problem), configuration)


def examples(rows: int = 40, seed: int = 0, *, dual: bool = False) -> LraSplit:
    """Rows whose class is told by which of three ids they hold; pairs whether they hold the same."""
    random = np.random.default_rng(seed)
    documents = [_documents(random, rows) for _ in range(2 if dual else 1)]
    kinds = [kind for _, kind in documents]
    labels = (kinds[0] == kinds[1]).astype(np.int32) if dual else kinds[0]
    return LraSplit(tuple(ids for ids, _ in documents), labels)


def _documents(random: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    kinds = random.integers(3, size=rows).astype(np.int32)
    ids = random.integers(4, 9, size=(rows, 16)).astype(np.int32)
    ids[:, ::2] = kinds[:, None] + 1
    ids[:, 12:] = 0
    return ids, kinds
