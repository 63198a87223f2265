"""The 27 features: names, categories (the paper's Tables 19 to 21), and the analysis of one script.

The names and categories are those of the paper; its Table 21 leaves the category Other out, which has one feature.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from aira_lib.autoresearch.features import attention, block, embeddings, training
from aira_lib.autoresearch.features.alternatives import UNRESOLVED, Value
from aira_lib.autoresearch.features.arithmetic import UNKNOWN
from aira_lib.autoresearch.features.feedforward import mlp_type
from aira_lib.autoresearch.features.finding import Found, Script
from aira_lib.autoresearch.features.folding import Folder
from aira_lib.autoresearch.features.numbers import constant, n_kv_head, window_pattern
from aira_lib.autoresearch.features.source import read_source
from aira_lib.autoresearch.features.ways import found_on, joined, ways_of

WIDTH, LAYER, ATTENTION, HEADS = "Depth / width", "MLP / activation", "Attention pattern", "Embeddings / heads"
REGULAR, BATCH, RATES, OTHER = "Regularization", "Batch / curriculum", "Learning rates", "Other"


@dataclass(frozen=True)
class Feature:
    """A feature: its category, how it is read off a script, whether it is on or off."""

    category: str
    read: Callable[[Script], Found]
    toggle: bool = True
    constant: str = ""


def _constant(category: str, name: str) -> Feature:
    return Feature(category, constant(name), toggle=False, constant=name)


FEATURES: Mapping[str, Feature] = {
    "depth": _constant(WIDTH, "DEPTH"),
    "head_dim": _constant(WIDTH, "HEAD_DIM"),
    "n_kv_head": Feature(WIDTH, n_kv_head, toggle=False),
    "mlp_type": Feature(LAYER, mlp_type, toggle=False),
    "window_pattern": Feature(ATTENTION, window_pattern, toggle=False, constant="WINDOW_PATTERN"),
    "partial_rope": Feature(ATTENTION, attention.partial_rope),
    "dual_rope_bases": Feature(ATTENTION, attention.dual_rope_bases),
    "attn_dropout": Feature(ATTENTION, attention.attn_dropout),
    "attn_temperature": Feature(ATTENTION, attention.attn_temperature),
    "value_embeds": Feature(HEADS, embeddings.value_embeds),
    "weight_tying": Feature(HEADS, embeddings.weight_tying),
    "parallel_residual": Feature(HEADS, block.parallel_residual),
    "aux_heads": Feature(HEADS, embeddings.aux_heads),
    "learned_prefix": Feature(HEADS, embeddings.learned_prefix),
    "label_smoothing": Feature(REGULAR, training.label_smoothing),
    "z_loss": Feature(REGULAR, training.z_loss),
    "grad_clipping": Feature(REGULAR, training.grad_clipping),
    "agc": Feature(REGULAR, training.agc),
    "ema": Feature(REGULAR, training.ema),
    "token_corruption": Feature(REGULAR, training.token_corruption),
    "batch_size": _constant(BATCH, "TOTAL_BATCH_SIZE"),
    "curriculum": Feature(BATCH, training.curriculum),
    "pos_loss_weight": Feature(BATCH, training.pos_loss_weight),
    "matrix_lr": _constant(RATES, "MATRIX_LR"),
    "embedding_lr": _constant(RATES, "EMBEDDING_LR"),
    "weight_decay": _constant(RATES, "WEIGHT_DECAY"),
    "attn_out_norm": Feature(OTHER, block.attn_out_norm),
}

TOGGLES = tuple(name for name, feature in FEATURES.items() if feature.toggle)
CATEGORIES = (ATTENTION, WIDTH, LAYER, HEADS, REGULAR, BATCH, RATES)


@dataclass(frozen=True)
class Analysis:
    """What a script does: the 27 features, and its other constants in capitals, as they are written."""

    features: Mapping[str, Found]
    constants: Mapping[str, Value]

    @property
    def unresolved(self) -> int:
        """How many features the script does not tell."""
        return sum(not found.resolved for found in self.features.values())


def analyse(code: str) -> Analysis:
    """Read the features off a script; nothing of it is imported or run.

    Raises:
        Unreadable: it is too long, nested too deeply, or no Python.
    """
    source = read_source(code)
    ways = ways_of(source)
    own = {feature.constant for feature in FEATURES.values()}
    names = dict.fromkeys(name for way in ways for name in way.lines if name.isupper() and name not in own)
    constants = {name: joined(ways, [_written(way, name) for way in ways]) for name in names}
    return Analysis({name: found_on(ways, source, feature.read) for name, feature in FEATURES.items()}, constants)


_LONGEST = 160  # characters of a constant that are kept


def _written(way: Folder, name: str) -> str:
    """How a constant is written on one way; empty where it is not there. A long one ends with a digest of the whole."""
    value = way.constants.get(name, "")
    text = UNRESOLVED if value is UNKNOWN else repr(value) if name in way.constants else ""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... #{sha256(text.encode()).hexdigest()[:8]}"
