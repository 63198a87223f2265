"""Stopping early: rules by hand, a stopped training is the beginning of the whole one, replays equal live decisions."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from aira_lib.architecture.pattern import Layers, parse
from aira_lib.evaluations import EvaluationStore
from aira_lib.proxy.evaluation import evaluate
from aira_lib.proxy.stopping import replay, saved, stopping_epoch, with_bars
from aira_lib.records import Accuracies, Evaluation, Node, Rung
from aira_lib.study import LanguageData, ProxySection, TaskSection
from aira_lib.tasks.designs.live import DesignTask
from aira_lib.tasks.section import task_of

TINY: dict[str, Any] = {
    "tasks": ("memorization", "compression"),
    "difficulty": {"memorization": {"vocab_size": 16, "seq_len": 16}, "compression": {"vocab_size": 6, "seq_len": 8}},
    "d_model": 16, "n_heads": 2, "d_ff": 32, "d_state": 8, "ssm_head_dim": 16, "train_examples": 40,
    "test_examples": 16, "batch_size": 16, "epochs": 9, "learning_rate": 3e-3, "precision": "fp32",
}  # fmt: skip
DESIGNS = [parse(text) for text in ("M-M", "A-M", "Mb-A", "M-A", "Mb-Mb", "A-A")]


def section(stopping: Any = "none", **changes: Any) -> ProxySection:
    return ProxySection.model_validate({**TINY, "stopping": stopping, **changes})


def scored(*values: float, end: float | None = None) -> Evaluation:
    """An evaluation with these values at the rungs, and one at the end unless it was stopped."""
    epochs = section().rungs
    curve = tuple(Rung(epoch=e, validation_by_task={"x": v}) for e, v in zip(epochs, values, strict=False))
    stopped = None if end is not None else curve[-1].epoch
    return Evaluation(status="ok", validation=values[-1] if end is None else end, curve=curve, stopped_at=stopped)


def without_time(evaluation: Evaluation) -> Evaluation:
    return evaluation.model_copy(update={"seconds": 0.0, "training_seconds": 0.0, "key": ""})


def test_rungs_are_fractions_of_the_training() -> None:
    assert section().rungs == (1, 3)
    assert ProxySection().rungs == (7, 22, 67)
    assert section(epochs=1).rungs == ()
    assert section({"rungs": 0}).rungs == ()


def test_halving_keeps_the_best_third_of_what_reached_a_rung() -> None:
    halving = section("successive-halving")
    assert with_bars(halving, []).stopping.bars == (None, None)
    # The new one is the fourth at the first rung (two are kept) and the third at the second (one is).
    earlier = [scored(0.1), scored(0.3, 0.5, end=0.7), scored(0.2, 0.4, end=0.9)]
    assert with_bars(halving, earlier).stopping.bars == (0.2, 0.5)
    failed = Evaluation(status="failed", reason="x")
    assert with_bars(halving, [failed, *earlier]) == with_bars(halving, earlier)


def test_a_curve_is_held_against_the_best_whole_trainings() -> None:
    rule = section({"rule": "learning-curve", "margin": 0.125})
    earlier = [scored(0.75, 0.5, end=0.6), scored(0.25, 0.5, end=0.9), scored(0.99)]
    assert with_bars(rule, earlier).stopping.bars == (0.125, 0.375)
    assert with_bars(rule, [scored(0.99)]).stopping.bars == (None, None)


def test_of_losses_the_lower_is_better() -> None:
    text = LanguageData(tokenizer="words", vocab_size=128, seq_len=32, train_examples=60, test_examples=20)
    halving, curve = (
        section(rule, dataset="babistories", language=text)
        for rule in ("successive-halving", {"rule": "learning-curve", "margin": 0.5})
    )
    earlier = [scored(5.0, 4.0, end=3.0), scored(6.0, 3.5, end=2.0)]
    assert with_bars(halving, earlier).stopping.bars == (5.0, 3.5)
    ruled = with_bars(curve, earlier)
    assert ruled.stopping.bars == (6.5, 4.0)
    assert stopping_epoch(scored(6.25, 4.5, end=1.0).curve, ruled) == 3
    assert stopping_epoch(scored(6.25, 4.0, end=1.0).curve, ruled) is None


def test_bars_of_ones_own_are_one_a_rung() -> None:
    assert with_bars(section({"rule": "learning-curve", "bars": [0.5, None]}), [scored(1, 1, end=1)]).stopping.bars == (
        0.5, None
    )  # fmt: skip
    with pytest.raises(ValidationError, match=r"one for each rung, after \[1, 3\] epochs"):
        section({"bars": [0.5]})


def test_a_stopped_training_is_the_beginning_of_the_whole_one() -> None:
    whole = evaluate(("Mb", "A"), section(), 1)
    assert [rung.epoch for rung in whole.curve] == [1, 3]
    stopped = evaluate(("Mb", "A"), section({"bars": [None, 1.1]}), 1)
    assert stopped.curve == whole.curve
    assert (stopped.stopped_at, stopped.validation) == (3, whole.curve[1].validation)
    assert (stopped.test, stopped.reason) == (None, "stopped after 3 of 9 epochs")
    assert stopped.train_steps == 2 * 2 * 3 < whole.train_steps
    # Scoring on the way changes nothing of what follows.
    unseen = evaluate(("Mb", "A"), section({"rungs": 0}), 1)
    assert (unseen.validation_by_task, unseen.test_by_task) == (whole.validation_by_task, whole.test_by_task)
    # A training of another length has the same beginning, where the rungs agree.
    longer = evaluate(("Mb", "A"), section(epochs=27), 1)
    assert longer.curve[:2] == whole.curve


@pytest.fixture(scope="module")
def whole() -> list[Evaluation]:
    """All designs, each trained to the end."""
    return [evaluate(layers, section(), 1) for layers in DESIGNS]


@pytest.mark.parametrize("rule", ["successive-halving", "learning-curve"])
def test_a_replay_decides_as_the_search_did(rule: str, whole: list[Evaluation]) -> None:
    stopping = {"rule": rule, "margin": 0.0}
    live: list[Evaluation] = []
    for layers in DESIGNS:
        live.append(evaluate(layers, with_bars(section(stopping), live), 1))
    replayed = replay(whole, section(stopping))
    assert [without_time(e) for e in replayed] == [without_time(e) for e in live]
    assert any(e.stopped_at for e in live)
    assert 0 < saved(live, section()) == 1 - sum(e.train_steps for e in live) / sum(e.train_steps for e in whole)


def test_the_store_shares_what_was_trained_whoever_stopped_it(tmp_path: Path) -> None:
    trained: list[Layers] = []

    def counting(layers: Layers, *rest: Any, **named: Any) -> Evaluation:
        trained.append(layers)
        return evaluate(layers, *rest, **named)

    def ask(stopping: Any = "none") -> Evaluation:
        return EvaluationStore(str(tmp_path), counting).answer(("A", "M"), section(stopping), seed=1).evaluation

    first = ask({"bars": [1.1, None]})
    assert (first.stopped_at, len(trained)) == (1, 1)
    assert without_time(ask({"bars": [1.2, None]})) == without_time(first)  # stopped at the same rung: found
    assert len(trained) == 1
    second = ask({"bars": [None, 1.1]})  # goes further than what is there
    assert (second.stopped_at, len(trained)) == (3, 2)
    whole = ask({"bars": [0.0, 0.0]})
    assert (whole.stopped_at, len(trained)) == (None, 3)
    assert [ask(), ask("successive-halving")] == [whole.model_copy(update={"seconds": 0.0})] * 2
    assert without_time(ask({"bars": [1.3, 1.3]})) == without_time(first)  # cut from the whole one
    assert len(trained) == 3


def test_a_search_sets_its_bars_from_the_steps_before(tmp_path: Path) -> None:
    seen: list[ProxySection] = []

    def score(layers: Layers, proxy: ProxySection, **_: Any) -> Evaluation:
        seen.append(proxy)
        return scored(0.25, end=0.5).model_copy(update={"curve": scored(0.25, 0.5, end=0.5).curve})

    task = DesignTask(task_of(TaskSection()), 2, section("successive-halving"), score, tmp_path / "data", 1)
    earlier = scored(0.5, 0.75, end=0.8)
    nodes = [
        Node(step=i, id=str(i), operator="draft", status="ok", design="2A", evaluation=earlier, validation=0.8)
        for i in range(2)
    ]
    task._evaluate(("A", "M"), "A-M", nodes, lambda *_: None)
    assert seen[0].stopping.bars == (0.5, 0.75)  # the repeat counts once: of two the better one goes on


def test_the_accuracy_that_ranks_is_a_setting_and_both_are_kept() -> None:
    token, macro = (evaluate(("A", "M"), section(rank_by_accuracy=kind, epochs=2), 1) for kind in ("token", "macro"))
    assert (token.ranked_by, macro.ranked_by) == ("token", "macro")
    assert token.validation_accuracies == macro.validation_accuracies
    assert token.test_accuracies == macro.test_accuracies
    assert token.validation_by_task == {name: both.token.value for name, both in token.validation_accuracies.items()}
    assert macro.test_by_task == {name: both.macro.value for name, both in token.test_accuracies.items()}
    assert token.validation != macro.validation
    as_logged = evaluate(("A", "M"), section(rank_by_accuracy="macro-by-batch", epochs=2), 1)
    assert as_logged.ranked_by == "macro-by-batch"
    for name, value in as_logged.validation_by_task.items():
        estimate = token.validation_accuracies[name].macro_by_batch
        assert estimate is not None
        assert value == estimate.value


def test_old_records_load() -> None:
    old = Evaluation.model_validate_json('{"status": "ok", "validation": 0.5, "params": 3}')
    estimate = '{"value": 0.5, "low": 0.4, "high": 0.6}'
    assert Accuracies.model_validate_json(f'{{"token": {estimate}, "macro": {estimate}}}').macro_by_batch is None
    assert (old.curve, old.stopped_at, old.ranked_by) == ((), None, "")
