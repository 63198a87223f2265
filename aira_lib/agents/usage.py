"""What calls of a model use, under the names of a node's `usage`; what is not counted, or cannot be so, is estimated.

| name | what it counts |
| --- | --- |
| calls | all calls, attempts that failed among them |
| prompt_tokens, completion_tokens, total_tokens | tokens; the total may hold hidden ones besides |
| dollars | as far as a price is known |
| useless | calls that were paid for, as far as one can know, and brought nothing |
| estimated | 1 if any of these numbers is an estimate |
"""

import math
from collections.abc import Mapping
from typing import Any

CHARACTERS_A_TOKEN = 3.0
"""For estimates. English and code have about 4: rather too many tokens than too few."""

Usage = dict[str, float]


def added(first: Mapping[str, float], second: Mapping[str, float]) -> Usage:
    """The usage of two calls. Where one has no price, the sum is of those known; `estimated` if one of them is."""
    both = {name: first.get(name, 0.0) + second.get(name, 0.0) for name in {**first, **second}}
    return both | ({"estimated": 1.0} if "estimated" in both else {})


def tokens_of(counts: Any, asked: int, said: int) -> Usage:
    """The tokens of a call as its provider counts them, as far as that can be right; the others estimated.

    Servers leave counts out, or give zeros in their place, and a budget must hold with them too.

    Args:
        counts: What has the numbers as attributes; None where there is nothing.
        asked: Characters of the prompt.
        said: Characters of the reply, its reasoning included.
    """
    prompt = _count(counts, "prompt_tokens", asked)
    completion = _count(counts, "completion_tokens", said)
    total = _count(counts, "total_tokens", asked + said)
    if prompt is not None and completion is not None:
        usage = {"prompt_tokens": prompt, "completion_tokens": completion}
        whole = prompt + completion
        if total is not None and total >= whole:
            return {**usage, "total_tokens": total}
        given = getattr(counts, "total_tokens", None)
        return {**usage, "total_tokens": whole, **({} if given is None else {"estimated": 1.0})}
    guess = estimated(asked, said)
    if total is not None and prompt is None and completion is None:
        prompt = min(guess["prompt_tokens"], total)
        return {**guess, "prompt_tokens": prompt, "completion_tokens": total - prompt, "total_tokens": total}
    prompt = guess["prompt_tokens"] if prompt is None else prompt
    completion = guess["completion_tokens"] if completion is None else completion
    whole = max(total or 0.0, prompt + completion)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": whole, "estimated": 1.0}


def estimated(asked: int, said: float = 0) -> Usage:
    """An estimate of a call's tokens.

    Args:
        asked: Characters of the prompt.
        said: Characters of the reply.
    """
    prompt, total = (math.ceil(characters / CHARACTERS_A_TOKEN) for characters in (asked, asked + said))
    tokens = {"prompt_tokens": prompt, "completion_tokens": total - prompt, "total_tokens": total}
    return {**{name: float(count) for name, count in tokens.items()}, "estimated": 1.0}


def _count(counts: Any, name: str, characters: int) -> float | None:
    """A count that may be right: a finite number, and not none for a text."""
    count = getattr(counts, name, None)
    if isinstance(count, bool) or not isinstance(count, int | float):
        return None
    if not math.isfinite(count) or count < 0 or (count == 0 and characters > 0):
        return None
    return float(count)
