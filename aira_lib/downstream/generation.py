"""The likeliest continuations of many prompts at once, without padding: a Mamba's state would remember it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from aira_lib.downstream.windows import Computer
from aira_lib.models.decoding import prefill, states_of, step
from aira_lib.models.precision import rounded

SPREAD = 32
"""Prompts of a batch differ by at most so many tokens: those of longer ones are read one at a time."""


@dataclass
class _Going:
    """A prompt that is being continued.

    Attributes:
        number: of the prompt.
        prompt: its tokens.
        most: how many are added at most.
        added: those that were.
    """

    number: int
    prompt: Sequence[int]
    most: int
    added: list[int] = field(default_factory=list)

    def next(self, position: int, likeliest: int) -> int:
        """The token at a position: the prompt's, or the likeliest, which is added."""
        if position < len(self.prompt):
            return self.prompt[position]
        self.added.append(likeliest)
        return likeliest


def continued(
    computer: Computer,
    prompts: Sequence[Sequence[int]],
    most: int,
    ends: Callable[[Sequence[int]], bool],
    tell: Callable[[int], None] = lambda count: None,
) -> list[list[int]]:
    """The likeliest next token of each prompt, and the next after that, and so on.

    Prompts of a batch are aligned at their beginnings. From the shortest one's end on all go on by a token at a time,
    which is the likeliest, or for longer prompts still their own: nothing that is no prompt is ever read.

    Args:
        computer: model, device, precision, and the tokens of a batch, new ones included.
        prompts: at least one token each.
        most: tokens that are added to each.
        ends: whether what was added (at least one token) is all.
        tell: told after each batch how many prompts were done with it.

    Raises:
        UserError: a layer cannot decode.
    """
    added: list[list[int]] = [[] for _ in prompts]
    with torch.inference_mode(), rounded(computer.device, computer.precision):
        for batch in _batches(prompts, most, computer.batch_tokens):
            _continue(computer, batch, ends)
            for each in batch:
                added[each.number] = each.added
            tell(len(batch))
    return added


def _batches(prompts: Sequence[Sequence[int]], most: int, batch_tokens: int) -> Iterator[list[_Going]]:
    """Prompts of like length, the longest first."""
    batch: list[_Going] = []
    for number in sorted(range(len(prompts)), key=lambda each: -len(prompts[each])):
        if batch:
            longest = len(batch[0].prompt)
            full = (len(batch) + 1) * (longest + most) > batch_tokens
            if full or longest - len(prompts[number]) > SPREAD:
                yield batch
                batch = []
        batch.append(_Going(number, prompts[number], most))
    if batch:
        yield batch


def _continue(computer: Computer, going: list[_Going], ends: Callable[[Sequence[int]], bool]) -> None:
    position = min(len(each.prompt) for each in going)
    read = torch.tensor([list(each.prompt[:position]) for each in going], device=computer.device)
    logits, states = prefill(computer.model, read)
    while True:
        following = [each.next(position, token) for each, token in zip(going, logits.argmax(-1).tolist(), strict=True)]
        kept = [row for row, each in enumerate(going) if not _done(each, ends)]
        if not kept:
            return
        if len(kept) < len(going):
            going, following = [going[row] for row in kept], [following[row] for row in kept]
            states = states_of(states, torch.tensor(kept, device=computer.device))
        logits, states = step(computer.model, torch.tensor(following, device=computer.device), states)
        position += 1


def _done(each: _Going, ends: Callable[[Sequence[int]], bool]) -> bool:
    return bool(each.added) and (len(each.added) >= each.most or ends(each.added))
