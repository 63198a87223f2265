"""What is kept of a program's output, however it comes in."""

import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.sandbox import run_candidate
from aira_lib.sandbox.output import Output, shortened
from aira_lib.study import CandidateLimits


def printed(*chunks: bytes, most: int = 1_000) -> str:
    output = Output(most)
    for chunk in chunks:
        output.extend(chunk)
    assert output.read == sum(map(len, chunks))
    return output.text()


def on_a_terminal(text: bytes) -> str:
    """The last state of each line; what a return at the very end would overwrite is still to be seen."""
    lines = text.replace(b"\r\n", b"\n").removesuffix(b"\r").split(b"\n")
    return b"\n".join(line.split(b"\r")[-1] for line in lines).decode()


@given(st.lists(st.sampled_from([b"a", b"bc", b"\r", b"\n", b"\r\n", b"50%\r", b"\r51%"]), max_size=40), st.data())
def test_chunks_make_no_difference_and_lines_that_were_written_over_are_gone(
    parts: list[bytes], data: st.DataObject
) -> None:
    whole = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    chunks = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert printed(*chunks) == on_a_terminal(whole)


def test_a_progress_bar_of_megabytes_is_one_line() -> None:
    bars = [b"\r%3d%% |%s|" % (done, b"#" * 1_000) for done in range(101)]
    assert printed(b"begun\n", *bars, b"\nended\n") == "begun\n100% |" + "#" * 1_000 + "|\nended\n"


@given(st.integers(1, 500), st.integers(1, 300), st.integers(0, 20))
def test_of_long_output_the_beginning_and_the_end_are_kept(count: int, size: int, most: int) -> None:
    lines = [b"%06d" % number * size + b"\n" for number in range(count)]
    whole, kept = b"".join(lines).decode(), printed(*lines, most=100 * most + 4)
    if kept == whole:
        return
    head, left_out, tail = kept.partition("\n[... ")[0], kept.split(" bytes")[0].split(" ")[-1], kept.split("...]\n")[1]
    assert whole.startswith(head)
    assert whole.endswith(tail)
    assert len(head) + int(left_out) + len(tail) == len(whole)
    assert 100 * most + 4 <= len(head) + len(tail) <= 2 * (100 * most + 4)


@given(st.text(max_size=900), st.integers(200, 600))
def test_a_text_is_shortened_in_the_middle(text: str, most: int) -> None:
    short = shortened(text, most)
    assert len(short) <= most
    assert short == text or (text.startswith(short[: most // 4]) and text.endswith(short[-most // 3 :]))


@pytest.mark.parametrize("piece", [b"\r", b"\n", b"\r\n", b"a\r", b"\r\ra\n", b"x", b"\n\r"])
def test_no_output_takes_longer_than_its_length(piece: bytes) -> None:
    chunk = (piece * 65_536)[:65_536]
    output = Output(256 * 1024)
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(64):
        output.extend(chunk)
    output.text()
    assert output.read == 4 * 2**20
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_maxrss - before.ru_maxrss < 100_000, "in kilobytes: no more than a few times what is kept"


def test_honest_output_of_more_than_the_limit_fails_no_candidate(tmp_path: Path) -> None:
    limits = CandidateLimits(seconds=30, memory_mb=256, output_kb=16)
    code = (
        "import sys\nprint('begun')\nfor i in range(20_000):\n    print(f'step {i}: loss 0.5')\n"
        "    sys.stderr.write(f'\\r{i / 200:.0f} %')\nprint('ended')"
    )
    outcome = run_candidate(code, tmp_path, limits)
    assert (outcome.status, outcome.reason) == ("ok", "")
    assert outcome.stdout_tail.startswith("begun\nstep 0: loss 0.5\n")
    assert outcome.stdout_tail.endswith("step 19999: loss 0.5\nended\n")
    assert "left out" in outcome.stdout_tail
    assert outcome.stderr_tail == "100 %"
