"""The learning rate: its properties for any settings, a slow reference of its own, and what is refused."""

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.architecture.scales import Scale, scale_named
from aira_lib.errors import SpecError, UserError
from aira_lib.extrapolate.stage import describe
from aira_lib.flow.checks import check_study
from aira_lib.flow.units import units_of
from aira_lib.pretrain.points import pretraining_points
from aira_lib.study import OptimizerSection, Study
from aira_lib.training.schedule import learning_rate, peak_rate, stable_steps, warmup_steps
from tests.builders import TINY_STUDY, tiny_study

NANO = scale_named("nano", 3)


@st.composite
def runs(draw: Any) -> tuple[OptimizerSection, int]:
    """Settings, and a number of steps in which the rate reaches its peak."""
    steps = draw(st.integers(5, 400))
    decay = draw(st.floats(0, 1))
    absolute = draw(st.sampled_from(["warmup_steps", "warmup_tokens", "warmup_fraction"]))
    share = draw(st.floats(0, 1)) * (1 - decay)
    values = {
        "warmup_steps": int(share * steps),
        "warmup_tokens": int(share * steps * NANO.tokens_per_step),
        "warmup_fraction": share,
    }
    if draw(st.booleans()):
        ending = {"schedule": "wsd", "decay_fraction": decay}
    else:
        ending = {"schedule": "cosine", "final_fraction": draw(st.floats(0, 1))}
    return OptimizerSection.model_validate({"learning_rate": 0.5, absolute: values[absolute], **ending}), steps


def reference(section: OptimizerSection, steps: int) -> list[float]:
    """The rates of a run as one would say them: how far along each part of the schedule is, step by step."""
    if section.warmup_steps is not None:
        rise: float = section.warmup_steps
    elif section.warmup_tokens is not None:
        rise = section.warmup_tokens / NANO.tokens_per_step
    else:
        rise = section.warmup_fraction * steps
    peak, rates = 0.5 * section.reference_width / NANO.d_model, []
    for finished in range(steps):
        up = 1.0 if finished + 1 >= rise else (finished + 1) / rise
        if section.schedule == "cosine":
            angle = 0.0 if finished <= rise else math.pi * (finished - rise) / max(1.0, steps - rise)
            down = section.final_fraction + (1 - section.final_fraction) * math.cos(angle / 2) ** 2
        else:
            length, left = section.decay_fraction * steps, steps - finished
            down = 1.0 if left >= length else left / length
        rates.append(peak * min(up, down))
    return rates


@given(runs())
def test_the_rates_are_those_of_a_slow_reference(run: tuple[OptimizerSection, int]) -> None:
    section, steps = run
    rates = [learning_rate(section, NANO, step, steps) for step in range(steps)]
    assert rates == pytest.approx(reference(section, steps), rel=1e-9, abs=1e-15)


@given(runs())
def test_the_rate_rises_to_its_peak_and_falls_to_its_end_without_a_jump(run: tuple[OptimizerSection, int]) -> None:
    section, steps = run
    peak, warmup = peak_rate(section, NANO), warmup_steps(section, NANO, steps)
    rates = [learning_rate(section, NANO, step, steps) for step in range(steps + 1)]
    top = max(rates)
    # A fraction of a step, of a share or of tokens, may hide the very top between two steps.
    assert peak * (1 - 2 / max(warmup, section.decay * steps, 2)) <= top <= peak
    at = rates.index(top)
    assert rates[: at + 1] == sorted(rates[: at + 1])
    assert rates[at:] == sorted(rates[at:], reverse=True)
    end = peak * section.final_fraction if section.schedule == "cosine" else 0.0
    if section.schedule == "cosine" or section.decay_fraction:
        assert rates[steps] == pytest.approx(min(end, top), abs=1e-12)
    fall = section.decay * steps if section.schedule == "wsd" else (steps - warmup) / (math.pi / 2)
    steepest = peak * max(1 / max(warmup, 1), 1 / max(fall, 1)) + 1e-12
    assert all(abs(one - other) <= steepest for one, other in itertools.pairwise(rates))


@given(runs(), st.integers(1, 300))
def test_with_an_absolute_warm_up_a_shorter_run_begins_as_a_longer_one(
    run: tuple[OptimizerSection, int], more: int
) -> None:
    section, steps = run
    if not section.absolute_warmup or section.schedule != "wsd":
        return
    together = stable_steps(section, steps)
    short, long = ([learning_rate(section, NANO, step, of) for step in range(together)] for of in (steps, steps + more))
    assert short == long
    assert together >= (1 - section.decay_fraction) * steps - 1


def test_a_peak_for_each_scale_is_taken_as_it_stands() -> None:
    section = OptimizerSection(learning_rate={"nano": 3e-3, "micro": 6e-4}, reference_width=1)
    assert peak_rate(section, NANO) == 3e-3
    assert peak_rate(section, scale_named("micro", 3)) == 6e-4
    by_scale = OptimizerSection(warmup_steps={"nano": 7, "micro": 70})
    assert [warmup_steps(by_scale, scale_named(name, 3), 1000) for name in ("nano", "micro")] == [7, 70]


def with_optimizer(isoflop: dict[str, Any] | None = None, **optimizer: Any) -> Study:
    pretrain = {**TINY_STUDY["pretrain"], "optimizer": optimizer, "isoflop": isoflop}
    return tiny_study(pretrain=pretrain)


@pytest.mark.parametrize(
    ("optimizer", "line"),
    [
        ({"learning_rate": {"micro": 1e-3}}, "learning_rate has no value for scale 'nano', which is trained; give it"),
        ({"learning_rate": {"nano": 1e-3, "micrro": 1e-3}}, "learning_rate: unknown scale 'micrro'; did you mean 'mic"),
        ({"learning_rate": {"nano": 0}}, "pretrain.optimizer.learning_rate.nano: input should be greater than 0"),
        ({"learning_rate": "high"}, "pretrain.optimizer.learning_rate: input should be a valid number"),
        ({"warmup_steps": {"1B": 1}}, "warmup_steps has no value for scale 'nano'"),
        ({"warmup_steps": 4, "warmup_tokens": 9}, "warmup_steps and warmup_tokens are two warm-ups; leave out one"),
        ({"warmup_steps": 4, "warmup_fraction": 0.3}, "warmup_steps and warmup_fraction are two warm-ups"),
        ({"final_fraction": 0.1}, "final_fraction belongs to schedule: cosine; here it is wsd"),
        ({"schedule": "cosine", "decay_fraction": 0.5}, "decay_fraction belongs to schedule: wsd; here it is cosine"),
        ({"schedule": "cosine", "warmup_fraction": 1}, "warmup_fraction 1 leaves a cosine no step to fall in"),
        ({"max_skips": 3}, "max_skips belongs to on_nonfinite: skip; here it is stop"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_when_the_study_is_read(
    optimizer: dict[str, Any], line: str
) -> None:
    with pytest.raises(SpecError, match=line) as refused:
        with_optimizer(**optimizer)
    assert "\n" not in str(refused.value)


def test_a_micro_batch_that_holds_no_row_is_refused_when_the_study_is_read() -> None:
    row = scale_named("nano", 3).seq_len
    tiny_study(pretrain={**TINY_STUDY["pretrain"], "micro_batch_tokens": row})
    with pytest.raises(SpecError, match=f"less than a row of scale 'nano', which is trained; give {row:,} at least"):
        tiny_study(pretrain={**TINY_STUDY["pretrain"], "micro_batch_tokens": row - 1})


def test_a_warm_up_without_room_in_a_run_is_refused_before_the_first_search() -> None:
    """The run of 8,192 tokens has 4 steps of nano, and decays over the last 0.8 of them."""
    check_study(with_optimizer(warmup_steps=3))
    line = r"Llama-3-2@nano.isotoken.8192t.s0 has 4 steps, too few for a warm-up of 4 and a decay over 20% of them"
    with pytest.raises(UserError, match=line):
        check_study(with_optimizer(warmup_steps=4))
    check_study(with_optimizer(warmup_tokens=6_553))
    with pytest.raises(UserError, match=r"too few for a warm-up of 3\.2\d+ and a decay"):
        check_study(with_optimizer(warmup_tokens=6_556))
    check_study(with_optimizer(warmup_steps=3, schedule="cosine"))
    with pytest.raises(UserError, match="4 steps, too few for a warm-up of 4 and a cosine behind it"):
        check_study(with_optimizer(warmup_steps=4, schedule="cosine"))


def key(study: Study, scale: Scale = NANO) -> str:
    design = describe("d", base="d", kind="baseline", method="repeat", layers=("A",), scale=scale, trainable=True)
    isotoken = {"scale": scale.name, "tokens": 16 * scale.tokens_per_step}
    section = study.pretrain.model_validate({**study.pretrain.model_dump(), "isotoken": isotoken})
    return units_of("pretrain", study, pretraining_points(section, [design]))[0].key


def test_of_values_for_each_scale_that_of_a_run_alone_is_in_its_key() -> None:
    def rates(**by_name: float) -> Study:
        return with_optimizer(learning_rate={"nano": 1e-3, **by_name})

    assert key(rates(micro=1e-3)) == key(rates(micro=2e-3)) == key(rates())
    assert key(rates(nano=2e-3)) != key(rates())
    assert key(with_optimizer(learning_rate={"nano": 1e-3}, reference_width=7)) == key(rates())
    warm = with_optimizer(warmup_steps={"nano": 2, "micro": 3})
    assert key(warm) == key(with_optimizer(warmup_steps={"nano": 2, "micro": 4}))
    assert key(warm) != key(with_optimizer(warmup_steps={"nano": 3}))
    assert key(with_optimizer()) == key(tiny_study())
