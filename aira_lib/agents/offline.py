"""The embedded offline agent: evolution with priors in the place of a large language model.

It needs no network and no key, reads nothing but a prompt's text and answers in the format in which a language model
answers: a plan, then a fenced program. Drafts come from priors of the literature; improvements are mutations of the
parent and crossovers with other good designs; what has been tried is not proposed again while there is anything else.
It does not reason, and it says in every plan what it is.
"""

import ast
import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from aira_lib.agents.model import Reply
from aira_lib.agents.moves import Layers, Rng, cross, draft, mutate
from aira_lib.agents.prompt import ANALYSE, Prompt, read_memory
from aira_lib.architecture.pattern import parse

OFFLINE = "offline"
CROSSOVER_PROBABILITY = 0.3
_ATTEMPTS = 200

_PROGRAM = '''\
"""Submit a design of {n} layers."""

import csv

layers = [
{rows}
]

with open("submission.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["layer"])
    writer.writerows([layer] for layer in layers)

print(f"{{len(layers)}} layers: {{'-'.join(layers)}}")
'''
_LAYERS_OF_PROGRAM = re.compile(r"^layers = (\[[^\[\]]*\])", re.MULTILINE)


class OfflineAgent:
    """The embedded agent as a model.

    Attributes:
        slip_rate: How often its program submits a design of a wrong length. Language models miscount layers too; the
            slips keep the repair of failed steps in use.
    """

    def __init__(self, slip_rate: float = 0.08) -> None:
        self.name = OFFLINE
        self.slip_rate = slip_rate

    def reply(self, prompt: Prompt, seed: int) -> Reply:
        """Answer a prompt; the prompt's text and the seed determine the reply."""
        rng = np.random.default_rng(seed)
        memory = read_memory(prompt.text)
        if memory["operator"] == ANALYSE:
            return Reply(f"[offline agent] {_analysis(memory)}", {"calls": 1.0})
        layers, plan = _propose(memory, prompt.text, rng)
        if memory["operator"] != "debug" and rng.random() < self.slip_rate:
            layers = _slip(layers, rng)
        return Reply(f"[offline agent] {plan}\n\n{_answer(layers, memory, prompt.text)}", {"calls": 1.0})


def _analysis(memory: dict[str, Any]) -> str:
    if memory["validation"] is None:
        return f"It gave nothing: {memory['reason']}"
    gain = memory["gain"]
    against = "" if gain is None else f", {gain:+.6g} against the design it was made from"
    return f"It gave {memory['validation']:.6g}{against}."


def _answer(layers: Layers, memory: dict[str, Any], text: str) -> str:
    """The whole program, or, where that is asked for and the program is one of ours, the change of its layers."""
    rows = "\n".join(f"    {', '.join(map(repr, layers[i : i + 8]))}," for i in range(0, len(layers), 8))
    rows = rows.replace("'", '"')
    shown = list(_LAYERS_OF_PROGRAM.finditer(text))
    if memory["answer"] == "patch" and shown:
        return f"<<<<<<< SEARCH\n{shown[-1][0]}\n=======\nlayers = [\n{rows}\n]\n>>>>>>> REPLACE\n"
    return f"```python\n{_PROGRAM.format(n=memory['layers'], rows=rows)}```\n"


def _propose(memory: dict[str, Any], text: str, rng: Rng) -> tuple[Layers, str]:
    """A design that has not been tried, and a plan in words."""
    n, primitives = memory["layers"], memory["primitives"]
    tried = {parse(design) for design in memory["tried"]}
    match memory["operator"]:
        case "improve":
            parent, others = _parent_and_others(memory)
            layers, told = _untried(lambda: _improve(parent, others, primitives, rng), memory, tried, rng)
            return layers, f"Evolution: {told}, everything else as in its parent."
        case "crossover":
            first, second = parse(memory["parent"]), parse(memory["other"])
            layers, told = _untried(lambda: _crossed(first, second, primitives, rng), memory, tried, rng)
            return layers, f"Crossover: {told}, everything else as in the first parent."
        case "debug" if (broken := _layers_of(text, primitives)) is not None:
            mended = _of_length(broken, n, primitives, rng)
            if mended not in tried:
                return mended, f"Repair: the program gave {len(broken)} layers; the same design with {n}."
            layers, told = _untried(lambda: mutate(mended, primitives, rng), memory, tried, rng)
            return layers, f"Repair: the same design with a small change: {told}."
        case _:
            layers, told = _untried(lambda: draft(n, primitives, rng), memory, tried, rng)
            return layers, f"A prior of the literature with a little variation: {told}."


def _parent_and_others(memory: dict[str, Any]) -> tuple[Layers, list[Layers]]:
    parent = parse(memory["parent"])
    return parent, [layers for entry in memory["good"] if (layers := parse(entry["design"])) != parent]


def _improve(parent: Layers, others: list[Layers], primitives: list[str], rng: Rng) -> tuple[Layers, str]:
    if others and rng.random() < CROSSOVER_PROBABILITY:
        # Good designs come best first: one of rank r is taken with a weight of 1 / (r + 1).
        weights = 1.0 / np.arange(1, len(others) + 1)
        return cross(parent, others[int(rng.choice(len(others), p=weights / weights.sum()))], rng)
    return mutate(parent, primitives, rng)


def _crossed(first: Layers, second: Layers, primitives: list[str], rng: Rng) -> tuple[Layers, str]:
    """A crossover, and a mutation besides where it would only give one of its parents back."""
    layers, told = cross(first, second, rng)
    if layers not in (first, second):
        return layers, told
    layers, move = mutate(layers, primitives, rng)
    return layers, f"{told}, and {move}"


def _untried(
    propose: Callable[[], tuple[Layers, str]], memory: dict[str, Any], tried: set[Layers], rng: Rng
) -> tuple[Layers, str]:
    """The first proposal that has not been tried; then any design; a repetition only when there is no other."""
    for _ in range(_ATTEMPTS):
        layers, told = propose()
        if layers not in tried:
            return layers, told
    n, primitives = memory["layers"], [str(primitive) for primitive in rng.permutation(memory["primitives"])]
    # Among one more than were tried there is a new one, unless the space is exhausted.
    everything = itertools.islice(itertools.product(primitives, repeat=n), len(tried) + 1)
    fresh = next((candidate for candidate in everything if candidate not in tried), None)
    return (fresh, "a design from far away") if fresh else (layers, f"{told} (all designs have been tried)")


def _layers_of(text: str, primitives: list[str]) -> Layers | None:
    """The layers that the failed program in a prompt submits, if it is one of ours."""
    found = _LAYERS_OF_PROGRAM.findall(text)
    try:
        value = ast.literal_eval(found[-1]) if found else []
    except (SyntaxError, ValueError):
        return None
    layers = tuple(layer for layer in value if layer in primitives)
    return layers or None


def _of_length(layers: Layers, n: int, primitives: list[str], rng: Rng) -> Layers:
    """Add or take away layers at random places until there are n."""
    new = list(layers)
    while len(new) > n:
        del new[int(rng.integers(len(new)))]
    while len(new) < n:
        new.insert(int(rng.integers(len(new) + 1)), primitives[int(rng.integers(len(primitives)))])
    return tuple(new)


def _slip(layers: Layers, rng: Rng) -> Layers:
    """One layer too many or, if there are several, too few."""
    i = int(rng.integers(len(layers)))
    doubled = (*layers[: i + 1], layers[i], *layers[i + 1 :])
    return doubled if len(layers) == 1 or rng.random() < 0.5 else (*layers[:i], *layers[i + 1 :])
