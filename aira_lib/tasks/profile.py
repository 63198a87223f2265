"""The sizes at which a Compose task runs: the paper's, a laptop's, or those of a study."""

from aira_lib.errors import UserError, nearest
from aira_lib.spec import MADSettings, ProxySection
from aira_lib.study_file import load_study

PROFILE_VARIABLE = "AIRA_PROFILE"
PAPER_LAYERS = 16

# The six MAD tasks by their own definitions, small enough for two cores; the same as in pipelines/compose/laptop.yaml.
LAPTOP = ProxySection(
    d_model=32, n_heads=2, d_ff=64, d_state=16, ssm_head_dim=32, train_examples=320, test_examples=256,
    batch_size=32, epochs=10, learning_rate=3e-3, retrain_for_test=False,
    difficulty={
        "in-context-recall": MADSettings(vocab_size=8, seq_len=24),
        "noisy-in-context-recall": MADSettings(vocab_size=24, seq_len=24),
        "fuzzy-in-context-recall": MADSettings(vocab_size=8, seq_len=24),
        "selective-copying": MADSettings(vocab_size=8, seq_len=24, n_tokens_to_copy=6),
        "compression": MADSettings(vocab_size=8, seq_len=16),
        "memorization": MADSettings(seq_len=24),
    },
)  # fmt: skip
PROFILES = {"paper": ProxySection(), "laptop": LAPTOP}


def profile_named(name: str) -> tuple[int, ProxySection]:
    """Layers of a design and the proxy that scores it: "paper", "laptop", or a study's YAML file.

    A study of one's own is also the way to a test split that nobody can draw again: its proxy.seed is not public.

    Raises:
        UserError: no such profile, or the study is wrong.
    """
    if name in PROFILES:
        return PAPER_LAYERS, PROFILES[name]
    if name.endswith((".yaml", ".yml", ".json")):
        study = load_study(name)
        return study.task.layers, study.proxy
    raise UserError(f"unknown profile {name!r}{nearest(name, PROFILES)} (or name a study's YAML file)")
