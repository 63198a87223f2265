import itertools
from collections import Counter

import numpy as np
import pytest

from aira_lib.datasets.mad import (
    IGNORE,
    TASKS,
    FuzzyInContextRecall,
    InContextRecall,
    Memorization,
    NoisyInContextRecall,
    SelectiveCopying,
    benchmark_settings,
    generate,
    settings_for,
)
from aira_lib.datasets.mad.fuzzy import _motifs
from aira_lib.datasets.mad.task import first_occurrence
from aira_lib.errors import UserError
from aira_lib.study import MAD_TASKS

RECALL = ("in-context-recall", "noisy-in-context-recall", "fuzzy-in-context-recall")


@pytest.mark.parametrize("name", MAD_TASKS)
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_the_generator_at_hand_fixes_everything(name, split):
    task = settings_for(name)
    before = np.random.get_state()[1].tolist()
    one, same, other = (generate(task, 50, np.random.default_rng(seed), split) for seed in (7, 7, 8))
    assert np.array_equal(one.inputs, same.inputs)
    assert np.array_equal(one.targets, same.targets)
    assert not np.array_equal(one.inputs, other.inputs)
    assert np.random.get_state()[1].tolist() == before, "NumPy's global generator was used"


@pytest.mark.parametrize("name", MAD_TASKS)
def test_form_of_examples(name):
    task = settings_for(name)
    for split in ("train", "validation", "test"):
        examples = generate(task, 40, np.random.default_rng(0), split)
        assert examples.inputs.dtype == examples.targets.dtype == np.int64
        assert examples.inputs.shape == examples.targets.shape == (40, task.length)
        assert examples.inputs.flags["C_CONTIGUOUS"]
        assert examples.targets.flags["C_CONTIGUOUS"]
        assert examples.inputs.min() >= 0
        assert examples.inputs.max() < task.vocab_size
        scored = examples.targets[examples.targets != IGNORE]
        assert scored.min() >= 0
        assert scored.max() < task.vocab_size
    assert len(generate(task, 0, np.random.default_rng(0), "train")) == 0


def test_a_draw_in_several_blocks_is_whole():
    task = InContextRecall(seq_len=4, vocab_size=200)
    n = 2**20 // 4 + 5
    examples = generate(task, n, np.random.default_rng(0), "test")
    assert examples.inputs.shape == (n, 3)
    assert not np.array_equal(examples.inputs[:5], examples.inputs[-5:])


@pytest.mark.parametrize("name", RECALL)
def test_recall_trains_on_the_next_token_and_tests_on_answers(name):
    task = settings_for(name)
    train = generate(task, 200, np.random.default_rng(5), "train")
    answers = generate(task, 200, np.random.default_rng(5), "validation")
    assert np.array_equal(train.inputs, answers.inputs)
    assert np.array_equal(train.targets[:, :-1], train.inputs[:, 1:])
    scored = answers.targets != IGNORE
    assert np.array_equal(answers.targets[scored], train.targets[scored])
    assert scored[:, -1].all()
    assert 0 < scored.mean() < 0.6


@pytest.mark.parametrize("name", sorted(set(MAD_TASKS) - set(RECALL)))
def test_other_tasks_train_on_what_they_test(name):
    train, test = (generate(settings_for(name), 20, np.random.default_rng(5), split) for split in ("train", "test"))
    assert np.array_equal(train.targets, test.targets)


def test_fuzzy_keys_vary_in_training_only():
    task = FuzzyInContextRecall()
    sizes = {}
    for split in ("train", "validation", "test"):
        inputs = generate(task, 100, np.random.default_rng(0), split).inputs
        runs = [[len(list(run)) for kind, run in itertools.groupby(row < 7) if kind] for row in inputs]
        sizes[split] = Counter(itertools.chain(*runs))
    assert sizes["test"].keys() == {3}
    assert sizes["train"] == sizes["validation"]
    assert sizes["train"].keys() == {1, 2, 3}


def test_mean_number_of_answers_is_that_of_the_definition():
    # 63 uniform draws of 8 keys show 8 (1 - (7/8)^63) distinct ones; every draw but the first of a key is scored.
    shown = 8 * (1 - (7 / 8) ** 63)
    plain = generate(InContextRecall(), 4000, np.random.default_rng(0), "test")
    assert (plain.targets != IGNORE).sum(axis=1).mean() == pytest.approx(64 - shown, abs=0.02)
    noisy = generate(NoisyInContextRecall(frac_noise=0.6), 4000, np.random.default_rng(0), "test")
    slots = (noisy.inputs[:, 0:-1:2] >= 16).mean()
    assert slots == pytest.approx(0.6 * 62 / 63, abs=0.01)
    # As measured on mad-lab's own generator: 4.4 answers a test sequence.
    fuzzy = generate(FuzzyInContextRecall(), 4000, np.random.default_rng(0), "test")
    assert (fuzzy.targets != IGNORE).sum(axis=1).mean() == pytest.approx(4.4, abs=0.15)


def test_probe_is_uniform_over_distinct_keys():
    # Three slots of two keys: (a, a) probes a; (a, b) probes either. So the probe is the first key 3 times in 4.
    tokens = generate(InContextRecall(vocab_size=4, seq_len=6), 20_000, np.random.default_rng(0), "test").inputs
    assert (tokens[:, 4] == tokens[:, 0]).mean() == pytest.approx(0.75, abs=0.015)
    # Sequences (a, a, b) of longer ones must not favour the more frequent key.
    tokens = generate(InContextRecall(vocab_size=4, seq_len=16), 20_000, np.random.default_rng(0), "test").inputs
    keys = tokens[:, 0:14:2]
    once = (keys == 0).sum(axis=1) == 1
    assert (tokens[once, 14] == 0).mean() == pytest.approx(0.5, abs=0.05)


def test_fuzzy_probe_enters_only_where_its_key_did_not_come_up():
    # Two keys, motifs of one token, room for two pairs and the probe. The offset is 0, 1 or 2. At 0 the first pair is
    # the probe, the second is either; else the first is either, and the second is the probe if the first is not.
    task = FuzzyInContextRecall(vocab_size=5, seq_len=7, k_motif_size=1, v_motif_size=1)
    keys = generate(task, 20_000, np.random.default_rng(0), "test").inputs[:, -5::2]
    shown = (keys[:, :2] == keys[:, 2:]).sum(axis=1)
    assert shown.min() == 1
    assert (shown == 2).mean() == pytest.approx(1 / 3 * 1 / 2 + 2 / 3 * 1 / 4, abs=0.015)


def test_blanks_fall_before_each_content_token_alike():
    task = SelectiveCopying(vocab_size=16, seq_len=29, n_tokens_to_copy=4)
    inputs = generate(task, 8000, np.random.default_rng(0), "test").inputs[:, :24]
    places = np.nonzero(inputs != task.blank)[1].reshape(-1, 4)
    before = np.diff(places, axis=1, prepend=-1) - 1
    assert before.mean(axis=0) == pytest.approx(np.full(4, 5.0), abs=0.1)
    assert before.var(axis=0) == pytest.approx(np.full(4, 20 * 0.25 * 0.75), rel=0.1)


def test_motifs_are_uniform_over_permutations():
    drawn = _motifs(4, 3, (24_000,), np.random.default_rng(0))
    counts = Counter(map(tuple, drawn.tolist()))
    assert set(counts) == set(itertools.permutations(range(4), 3))
    assert max(abs(count - 1000) for count in counts.values()) < 150


def test_first_occurrence_equals_a_plain_search():
    codes = np.random.default_rng(0).integers(-3, 9, size=(200, 17))
    expected = [[row.index(code) for code in row] for row in codes.tolist()]
    assert first_occurrence(codes).tolist() == expected


def test_memorization_map_does_not_depend_on_the_draw():
    task = Memorization()
    maps = []
    for seed in (0, 1):
        examples = generate(task, 500, np.random.default_rng(seed), "train")
        maps.append(dict(zip(examples.inputs[:, 0::2].flat, examples.targets[:, 1::2].flat, strict=True)))
    assert maps[0] == maps[1]
    assert len(maps[0]) == len(set(maps[0].values())) == 127
    assert not np.array_equal(task.values(), Memorization(map_seed=1).values())


def test_baselines_and_benchmark_are_those_of_mad_lab():
    assert {name: (task().vocab_size, task().seq_len) for name, task in TASKS.items()} == {
        "in-context-recall": (16, 128),
        "noisy-in-context-recall": (32, 128),
        "fuzzy-in-context-recall": (16, 128),
        "selective-copying": (16, 256),
        "compression": (16, 32),
        "memorization": (256, 32),
    }
    counts = {name: len(benchmark_settings(name)) for name in MAD_TASKS}
    assert list(counts.values()) == [11, 14, 11, 13, 11, 6]
    assert sum(counts.values()) == 66
    for name in MAD_TASKS:
        assert len(set(benchmark_settings(name))) == counts[name]


def test_settings_for_takes_overrides_and_laptop_sizes():
    assert settings_for("selective-copying", n_tokens_to_copy=4) == SelectiveCopying(n_tokens_to_copy=4)
    for name in set(MAD_TASKS) - {"noisy-in-context-recall", "selective-copying"}:
        task = settings_for(name, vocab_size=16, seq_len=32)
        assert (task.vocab_size, task.seq_len) == (16, 32)
        assert len(generate(task, 10, np.random.default_rng(0), "test")) == 10
    settings_for("noisy-in-context-recall", vocab_size=24, seq_len=32)
    settings_for("selective-copying", vocab_size=16, seq_len=32, n_tokens_to_copy=8)


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("in-context-recal", {}, "did you mean 'in-context-recall'"),
        ("in-context-recall", {"seq_len": 31}, "seq_len 31 must be even"),
        ("in-context-recall", {"vocab_size": 1}, "at least 2"),
        ("in-context-recall", {"n_tokens_to_copy": 4}, "selective-copying only"),
        ("noisy-in-context-recall", {"vocab_size": 17}, "at least 18"),
        ("fuzzy-in-context-recall", {"vocab_size": 6}, "at least 7"),
        ("fuzzy-in-context-recall", {"seq_len": 12}, "at least 13"),
        ("selective-copying", {"seq_len": 32}, "n_tokens_to_copy at most 15"),
        ("compression", {"seq_len": 1}, "at least 2"),
        ("memorization", {"seq_len": 9}, "must be even"),
    ],
)
def test_impossible_settings_are_one_line(name, given, says):
    with pytest.raises(UserError, match=says) as error:
        settings_for(name, **given)
    assert "\n" not in str(error.value)
