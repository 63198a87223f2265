"""The language-model proxy: train a design on text, score its cross-entropy on held-out and on test windows."""

import torch

from aira_lib.architecture.scales import Scale
from aira_lib.datasets.language import LanguageSplits
from aira_lib.datasets.mad import Examples
from aira_lib.device import Precision
from aira_lib.models.language_model import token_loss
from aira_lib.models.mad_model import MADModel, mad_model
from aira_lib.models.precision import rounded
from aira_lib.proxy.cost import language_scale
from aira_lib.proxy.scored_task import Score, ScoredTask
from aira_lib.proxy.text import text_data
from aira_lib.study import LanguageName, ProxySection

SCORING_BATCH = 64


def language_task(layers: tuple[str, ...], section: ProxySection, text: LanguageName) -> ScoredTask:
    """A text as a task; its score is in nats per token, lower is better.

    The model is that of the MAD tasks (untied, a head with bias), and so are optimizer and order of batches; the paper
    states them for neither.
    """
    data = text_data(section, text)
    return ScoredTask(
        text, data.splits, lambda: mad_model(text, layers, text_scale(section, data)),
        lambda model, examples: Score(mean_loss(model, examples, section.precision)),
    )  # fmt: skip


def text_scale(section: ProxySection, data: LanguageSplits) -> Scale:
    """The section's model dimensions with the vocabulary of the data."""
    return language_scale(section).model_copy(update={"vocab_size": data.vocab_size})


@torch.no_grad()
def mean_loss(model: MADModel, examples: Examples, precision: Precision) -> float:
    """Mean cross-entropy in nats over all targets, by products of that precision."""
    model.eval()
    device = next(model.parameters()).device
    total = 0.0
    for start in range(0, len(examples), SCORING_BATCH):
        part = examples[start : start + SCORING_BATCH]
        inputs, targets = (torch.from_numpy(array).to(device) for array in (part.inputs, part.targets))
        with rounded(device, precision):
            total += float(token_loss(model(inputs), targets)) * len(part)
    return total / len(examples)
