"""The sizes at which a Compose task runs: the paper's, a laptop's, or those of a study."""

from aira_lib.device import device_kind
from aira_lib.errors import UserError, nearest
from aira_lib.study import LanguageData, LanguageName, MADSettings, ProxySection
from aira_lib.study.reading import load_study

STUDY_ENDINGS = (".yaml", ".yml", ".json")
PROFILE_VARIABLE = "AIRA_PROFILE"
PAPER_LAYERS = 16

# The six MAD tasks by their own definitions, small enough for two cores; the same as in pipelines/compose/laptop.yaml.
LAPTOP = ProxySection(
    d_model=32, n_heads=2, d_ff=64, d_state=16, ssm_head_dim=32, train_examples=320, test_examples=256,
    batch_size=32, precision="fp32", epochs=10, learning_rate=3e-3, retrain_for_test=False,
    difficulty={
        "in-context-recall": MADSettings(vocab_size=8, seq_len=24),
        "noisy-in-context-recall": MADSettings(vocab_size=24, seq_len=24),
        "fuzzy-in-context-recall": MADSettings(vocab_size=8, seq_len=24),
        "selective-copying": MADSettings(vocab_size=8, seq_len=24, n_tokens_to_copy=6),
        "compression": MADSettings(vocab_size=8, seq_len=16),
        "memorization": MADSettings(seq_len=24),
    },
)  # fmt: skip

# The paper states neither epochs nor batch of these two. One pass over BabiStories and ten over DCLM fit its 60 hours
# for 100 to 200 designs on one H200 many times over; the rest is as on MAD.
_PAPER_BABISTORIES = ProxySection(dataset="babistories", epochs=1)
_PAPER_DCLM = ProxySection(dataset="dclm", epochs=10)


def _laptop_text(dataset: LanguageName, vocab_size: int) -> ProxySection:
    return ProxySection(
        dataset=dataset, d_model=32, n_heads=2, d_ff=64, d_state=16, ssm_head_dim=32, batch_size=32,
        precision="fp32", epochs=8, learning_rate=3e-3, retrain_for_test=False,
        language=LanguageData(
            tokenizer="words", vocab_size=vocab_size, seq_len=64, train_examples=640, test_examples=256
        ),
    )  # fmt: skip


PROFILES: dict[str, dict[str, ProxySection]] = {
    "paper": {"mad": ProxySection(), "babistories": _PAPER_BABISTORIES, "dclm": _PAPER_DCLM},
    "laptop": {"mad": LAPTOP, "babistories": _laptop_text("babistories", 128), "dclm": _laptop_text("dclm", 512)},
}


def fitting_profile() -> str:
    """The name of the profile that fits what this process computes on."""
    return "paper" if device_kind() == "cuda" else "laptop"


def profile_named(name: str, dataset: str = "mad") -> tuple[int, ProxySection]:
    """Layers of a design and the proxy that scores it: "paper", "laptop", or a study's YAML file.

    A study of one's own is also the way to a test split that nobody can draw again, its proxy.seed is not public; and
    to real text, which the profiles of BabiStories and DCLM do not have: they take the stand-ins.

    Args:
        name: of the profile, or the file.
        dataset: what the task at hand is scored on.

    Raises:
        UserError: no such profile, or the study is wrong, or of another data set.
    """
    if name in PROFILES:
        return PAPER_LAYERS, PROFILES[name][dataset]
    if name.endswith(STUDY_ENDINGS):
        study = load_study(name)
        if study.proxy.dataset not in (None, dataset):
            raise UserError(f"{name}: proxy.dataset is {study.proxy.dataset}, but the task is scored on {dataset}")
        return study.task.layers, study.proxy.model_copy(update={"dataset": dataset})
    raise UserError(f"unknown profile {name!r}{nearest(name, PROFILES)} (or name a study's YAML file)")
