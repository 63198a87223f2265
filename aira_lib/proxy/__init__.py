"""Score a design at small scale: train it on the MAD tasks and measure how many answers it gets right."""

from aira_lib.proxy.accuracy import accuracies, macro_accuracy, token_accuracy
from aira_lib.proxy.cost import count_steps, evaluation_flops, seconds_estimate
from aira_lib.proxy.evaluation import evaluate

__all__ = [
    "accuracies",
    "count_steps",
    "evaluate",
    "evaluation_flops",
    "macro_accuracy",
    "seconds_estimate",
    "token_accuracy",
]
