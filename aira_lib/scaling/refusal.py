"""Why a frontier has no slope, in words that say what to train for one."""

from collections.abc import Sequence

from aira_lib.scaling.frontier import BUDGETS
from aira_lib.scaling.profile import SIZES, Place, Profile, inside

_REASONS: dict[Place, tuple[str, str]] = {
    "below": ("optimum below the smallest size", "add smaller sizes"),
    "above": ("optimum above the largest size", "add larger sizes"),
    "too few sizes": (f"fewer than {SIZES} sizes", f"train at least {SIZES} sizes"),
}


def refusal(profiles: Sequence[Profile]) -> str:
    """Which budgets lack a minimum inside the sizes, on which side it lies, and what to add; empty: all have one."""
    said = []
    for place, (what, mend) in _REASONS.items():
        which = sorted(each.budget for each in profiles if each.place == place)
        if which:
            said.append(f"{what} at {len(which)} of {len(profiles)} budgets ({_list(which)}); {mend}")
    return "; ".join(said)


def too_few(profiles: Sequence[Profile]) -> str:
    """Why there is no line through a design's minima; empty where there is one."""
    minima = len(inside(profiles))
    if minima >= BUDGETS:
        return ""
    if minima == len(profiles):
        return f"no slope: {_budgets(minima)}, and a line needs {BUDGETS}"
    return f"no slope: {refusal(profiles)}"


def _budgets(number: int) -> str:
    return f"{number} budget" if number == 1 else f"{number} budgets"


def _list(budgets: Sequence[float]) -> str:
    return ", ".join(f"{budget:.3g}".replace("e+", "e") for budget in budgets) + " FLOPs"
