import csv
from dataclasses import asdict, replace

import pytest

from aira_lib.errors import MissingDependency
from aira_lib.lra.configurable import BOUNDS, VARIABLES, configured
from aira_lib.lra.configuration import law
from aira_lib.lra.data.sizes import SIZES, TASKS, size_of
from aira_lib.lra.needed import require_packages
from aira_lib.lra.refused import Refused

TEXT = law("text", "paper")
TABLE_12 = """
LR 0.0001 0.0001 0.0001
BATCH_SIZE 16 16 8
NUM_TRAIN_STEPS 20000 5000 5000
NUM_LAYERS 6 4 4
NUM_HEADS 8 8 4
EMB_DIM 512 512 128
QKV_DIM 512 512 128
MLP_DIM 2048 1024 512
WEIGHT_DECAY 0.01 0.01 0.01
WARMUP_STEPS 500 1000 8000
EVAL_FREQUENCY 50 50 50
SEQ_LEN 1000 2000 4000
"""


def test_the_papers_configurations_are_table_12():
    for name, *values in csv.reader(TABLE_12.split("\n")[1:-1], delimiter=" "):
        for task, value in zip(("text", "listops", "retrieval"), values, strict=True):
            assert getattr(law(task, "paper"), VARIABLES[name]) == float(value), (task, name)


@pytest.mark.parametrize("task", TASKS)
def test_every_configuration_lies_within_the_bounds_and_has_the_length_of_its_data(task):
    for size in SIZES:
        own = law(task, size)
        assert own.max_length == size_of(task, size).max_len
        for key, (least, most) in BOUNDS[task].items():
            assert least <= getattr(own, key) <= most, (size, key)


def test_constants_of_the_file_count_by_either_name():
    source = "import os\nLR = 3e-4\nEMBED_DIM: int = 128\nfoo = os.name\ndef f():\n    BATCH_SIZE = 3\n"
    assert configured(source, "text", TEXT) == replace(TEXT, learning_rate=3e-4, emb_dim=128)


def test_without_constants_the_tasks_own_configuration_counts():
    assert asdict(configured("x = 1\n", "listops", law("listops", "laptop"))) == asdict(law("listops", "laptop"))


REFUSED = {
    "LR = 10 ** -3": "line 1: LR has to be a plain number",
    "import os\nBATCH_SIZE = int(os.environ['B'])": "line 2: BATCH_SIZE has to be a plain number",
    "LR, EMB_DIM = 1e-3, 64": "line 1: LR has to be a plain number",
    "LR = WARMUP = 1": "has to be a plain number",
    "LR = 1e-3\nLR *= 2": "line 2: LR has to be a plain number",
    "if True:\n    NUM_HEADS = 4": "NUM_HEADS has to be a plain number",
    "from other import MLP_DIM": "MLP_DIM has to be a plain number",
    "for EMB_DIM in (64,): pass": "EMB_DIM has to be a plain number",
    "def LR(): pass": "LR has to be a plain number",
    "def f():\n    global LR\n    LR = 1": "line 2: LR is set in a function",
    "NUM_LAYERS = 0": "line 1: NUM_LAYERS = 0: from 1 to 12 is allowed",
    "LR = 0.5": "LR = 0.5: from 1e-05 to 0.01 is allowed",
    "LR = float('nan')": "LR has to be a plain number",
    "LR = 1e999": "LR = inf: from 1e-05 to 0.01 is allowed",
    "NUM_LAYERS = 2.0": "NUM_LAYERS = 2.0: a whole number is needed",
    "NUM_LAYERS = True": "NUM_LAYERS = True: a whole number is needed",
    "LR = '1e-3'": "LR = '1e-3': a number is needed",
    "LR = 1e-3\nLEARNING_RATE = 1e-3": "line 2: LEARNING_RATE sets what LR has set",
    "SEED = 3": "line 1: SEED is the harness's to set; take it out",
    "from x import y as RANDOM_SEED": "RANDOM_SEED is the harness's",
    "SEQ_LEN = 4096": "SEQ_LEN = 4096: rows here have 1000 places at most",
    "BATCH_SIZE = 64\nNUM_TRAIN_STEPS = 20001": "is 1,280,064,000, and at most 1,280,000,000 (4 times the task's own)",
    "LR = ": "the file is no Python",
    "x = '\0'": "the file is no Python",
}


@pytest.mark.parametrize("source", REFUSED)
def test_what_does_not_do_is_refused_in_one_line(source):
    with pytest.raises(Refused) as refusal:
        configured(source, "text", TEXT, longest=1000)
    assert REFUSED[source] in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_four_times_the_work_is_allowed():
    assert configured("BATCH_SIZE = 64\n", "text", TEXT).work == 4 * TEXT.work


def test_the_file_is_never_run(tmp_path):
    configured(f"open({str(tmp_path / 'made')!r}, 'w')\nLR = 1e-3\n", "text", TEXT)
    assert not (tmp_path / "made").exists()


def test_without_jax_the_extra_to_install_is_named(monkeypatch):
    require_packages()
    monkeypatch.setattr("aira_lib.lra.needed.find_spec", lambda name: None if name == "flax" else name)
    with pytest.raises(MissingDependency, match=r"training for Long Range Arena needs .*\[jax\]"):
        require_packages()
