import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.architecture.pattern import render
from aira_lib.errors import UserError
from aira_lib.study import ProxySection
from aira_lib.tasks import TASKS, SubmissionError, description, read_submission, task_named

THREE = task_named("NeuralArchitectureSearchMAD3PrimitivesMbAccuracy")
TWO = task_named("NeuralArchitectureSearchMAD2PrimitivesAccuracy")
DESIGNS = st.lists(st.sampled_from(THREE.primitives), min_size=1, max_size=24).map(tuple)


@given(DESIGNS, st.booleans(), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_both_forms_mean_the_same(layers: tuple[str, ...], as_pattern: bool, end: str, marked: bool) -> None:
    lines = ["architecture", render(layers)] if as_pattern else ["layer", *layers]
    content = (b"\xef\xbb\xbf" if marked else b"") + end.join(lines).encode()
    assert read_submission(content, THREE, len(layers)) == layers


@given(DESIGNS, st.integers(1, 30))
def test_a_wrong_length_says_both_lengths(layers: tuple[str, ...], n: int) -> None:
    content = "\n".join(["layer", *layers]).encode()
    if n == len(layers):
        assert read_submission(content, THREE, n) == layers
    else:
        with pytest.raises(SubmissionError, match=rf"has {len(layers)} layers, but it must have exactly {n}$"):
            read_submission(content, THREE, n)


@pytest.mark.parametrize(
    ("content", "feedback"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"A-M-A-M\n", "first line must be the header"),
        (b"architecture\n", "exactly one row, found 0"),
        (b"architecture\nA-M\nA-M\n", "exactly one row, found 2"),
        (b"architecture\n2(A-M\n", r"column 2: no '\)'"),
        (b"architecture\n999999999A\n", "4,096 layers"),
        (b"architecture\nA,M,A,M\n", "line 2: one value expected under one column, found 4"),
        (b"layer\nA\nX\nM\nA\n", "layer 2 is 'X', which is not a primitive"),
        (b"layer\nA\nMb\nM\nA\n", "layer 2 is 'Mb', which is not a primitive of this task; its primitives are A, M$"),
        (b"architecture\n2A-Mb-M\n", "layer 3 is 'Mb'"),
        (b"layer,place\nA,1\n", "found 'layer,place'"),
        (b'layer\n"A\n', "not a CSV file"),
        (b"layer\n" + b"A\n" * 60_000, "larger than"),
        (b"layer\n" + b"A" * 60_000, r"AAA\.\.\."),
    ],
)
def test_feedback_names_what_is_wrong(content: bytes, feedback: str) -> None:
    with pytest.raises(SubmissionError, match=feedback) as caught:
        read_submission(content, TWO, 4)
    assert len(str(caught.value)) < 400


@given(st.binary(max_size=200))
def test_any_bytes_are_a_design_or_an_error_with_a_reason(content: bytes) -> None:
    try:
        assert len(read_submission(content, THREE, 2)) == 2
    except SubmissionError as error:
        assert str(error).startswith("submission.csv")  # noqa: PT017


def test_an_unknown_task_gives_the_nearest_name() -> None:
    with pytest.raises(UserError, match="did you mean 'NeuralArchitectureSearchMAD2PrimitivesAccuracy'"):
        task_named("NeuralArchitectureSearchMAD2PrimitiveAccuracy")


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
@pytest.mark.parametrize("n_layers", [1, 3, 16])
def test_the_examples_of_a_description_are_valid(task: object, n_layers: int) -> None:
    assert isinstance(task, type(TWO))
    text = description(task, n_layers, ProxySection())
    indented = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    cut = indented.index("layer")
    pattern, rows = "\n".join(indented[:cut]).encode(), "\n".join(indented[cut:]).encode()
    assert read_submission(pattern, task, n_layers) == read_submission(rows, task, n_layers)


def test_a_description_tells_the_task_and_its_numbers() -> None:
    text = description(THREE, 16, ProxySection(epochs=77))
    assert "Mamba-2" in text
    assert "43,046,721 designs" in text
    assert "77 epochs" in text
    assert "higher is better" in text
    assert "Mamba" not in description(TWO, 16, ProxySection())
