"""Say where the proxy is smaller than the paper's, or learns something else, and what exactly it learns."""

from aira_lib.datasets.language import stand_in
from aira_lib.proxy.cost import sample_counts
from aira_lib.proxy.text import text_data
from aira_lib.study import LanguageName, ProxySection
from aira_lib.study.language import PAPER_TEST_EXAMPLES, PAPER_TRAIN_EXAMPLES
from aira_lib.tasks import SearchTask
from aira_lib.tasks.profile import PROFILES
from aira_lib.work import Work

_MODEL = ("d_model", "n_heads", "d_ff", "d_state")


def say_data(task: SearchTask, proxy: ProxySection, work: Work) -> None:
    """Enter stand-ins for the paper's data and sizes, and log what a text is made of.

    Raises:
        UserError: the text cannot be read.
    """
    paper = PROFILES["paper"][task.dataset]
    if proxy.text:
        changed = _say_text(proxy, proxy.text, work)
    else:
        names = (*_MODEL, "train_examples", "test_examples", "batch_size", "epochs")
        changed = _changed(proxy, paper, names)
        if proxy.difficulty:
            changed.append("easier settings of the tasks (the study's proxy.difficulty)")
    if changed:
        title = "a small language model" if proxy.text else "MAD"
        work.stand_in(
            f"{title} at a smaller size, by the same definitions",
            f"{title} at the size of the paper profile",
            ", ".join(changed),
        )
    if not proxy.retrain_for_test:
        work.stand_in(
            "test fitness of the model trained on the part without validation", "a model trained anew on all examples"
        )


def _say_text(proxy: ProxySection, text: LanguageName, work: Work) -> list[str]:
    provenance = text_data(proxy, text).provenance
    work.log.params({f"data.{name}": value for name, value in provenance.items()})
    if replaced := stand_in(text, proxy.language):
        work.stand_in(replaced.what, replaced.instead_of, replaced.detail)
    sizes = zip(
        ("training", "test"), sample_counts(proxy), (PAPER_TRAIN_EXAMPLES[text], PAPER_TEST_EXAMPLES), strict=True
    )
    samples = [f"{name} examples {ours:,} for {theirs:,}" for name, ours, theirs in sizes if ours != theirs]
    return _changed(proxy, PROFILES["paper"][text], _MODEL) + samples


def _changed(proxy: ProxySection, paper: ProxySection, names: tuple[str, ...]) -> list[str]:
    pairs = [(name, getattr(proxy, name), getattr(paper, name)) for name in names]
    return [f"{name} {ours} for {theirs}" for name, ours, theirs in pairs if ours != theirs]
