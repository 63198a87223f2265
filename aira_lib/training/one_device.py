"""Train one language model on one device, in one process."""

from aira_lib.training.arithmetic import LanguageTrainer


class OneDeviceTrainer(LanguageTrainer):
    """A language model in training on one device: the arithmetic as it stands."""
