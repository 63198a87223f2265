"""Sums, ratios and what fits, with times and memory that are made up."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aira_lib.architecture.scales import scale_named
from aira_lib.errors import UserError
from aira_lib.latency import measure as module
from aira_lib.latency.measure import Bounds, measure, plan, sum_of_blocks
from aira_lib.latency.memory import needed, needed_of_blocks
from aira_lib.latency.workload import ENDS, STACK, Workload

SECONDS = {"A": 3.0, "M": 1.0, "Mb": 7.0, "W": 2.0, "embedding": 0.25, "norm": 0.5, "head": 4.0}
KINDS = ("A", "M", "Mb", "W")


class Call:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self) -> None:
        pass


@dataclass(frozen=True)
class MadeUp(Workload):
    """Whole designs take `factor` times what their blocks take together."""

    factor: float = 1.0

    def model(self, layers: tuple[str, ...]) -> Any:
        return Call(self.factor * sum(SECONDS[name] for name in (*layers, *ENDS)))

    def blocks(self, primitive: str, number: int) -> Any:
        return Call(SECONDS[primitive] * number)

    def end(self, name: str) -> Any:
        return Call(SECONDS[name])


class Steady:
    """A clock that knows what calls take."""

    def __init__(self) -> None:
        self.calls = list[Callable[[], object]]()

    def seconds(self, call: Callable[[], object], times: int) -> float:
        assert isinstance(call, Call)
        self.calls.append(call)
        return call.seconds * times


def made_up(mode: Any = "decode", factor: float = 1.0) -> MadeUp:
    return MadeUp(scale_named("nano", 3), 2, 64, mode, "fp32", torch.device("cpu"), factor)


def found_of(designs: dict[str, tuple[str, ...]], factor: float = 1.0, clock: Steady | None = None) -> Any:
    return measure(made_up(factor=factor), designs, Bounds(4, 1e9), lambda share: None, clock or Steady())


@pytest.fixture(autouse=True, scope="module")
def _much_memory() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "free", lambda device: 10**15)
        patch.setattr("gc.collect", lambda: 0)
        yield


@settings(max_examples=15)
@given(
    st.lists(st.lists(st.sampled_from(KINDS), min_size=1, max_size=20), min_size=1, max_size=3), st.floats(0.5, 2.0)
)  # fmt: skip
def test_sums_are_the_numbers_of_blocks_times_their_times(designs: list[list[str]], factor: float) -> None:
    named = {f"d{number}": tuple(layers) for number, layers in enumerate(designs)}
    found = found_of(named, factor)
    times = {each.block: each.seconds for each in found.blocks}
    assert times == pytest.approx({name: SECONDS[name] for name in times})
    for each in found.designs:
        layers = named[each.design]
        expected = sum(times[layer] for layer in layers) + sum(times[end] for end in ENDS)
        assert each.sum_seconds == pytest.approx(expected)
        assert each.whole_seconds == pytest.approx(factor * expected)
        assert each.ratio == pytest.approx(1 / factor)
        assert each.whole_low <= each.whole_seconds <= each.whole_high


def test_a_sum_by_hand() -> None:
    assert sum_of_blocks(("A", "M", "A"), SECONDS) == 2 * 3.0 + 1.0 + 0.25 + 0.5 + 4.0


def test_times_of_blocks_are_those_of_one_of_a_stack() -> None:
    found = found_of({"d": ("A", "Mb")})
    assert {each.block for each in found.blocks} == {"A", "Mb", *ENDS}  # nothing of kinds that no design has
    assert {each.repeats for each in found.blocks} == {4}
    assert {each.mode for each in (*found.blocks, *found.designs)} == {"decode"}


def test_ratios_are_of_one_round() -> None:
    """A machine that takes twice as long in half of the rounds has times that vary, and a ratio that does not."""

    class InTurns(Steady):
        def seconds(self, call: Callable[[], object], times: int) -> float:
            number, warm_up = len(self.calls), 3 * 5  # of a kind, three ends and a whole
            slow = number >= warm_up and (number - warm_up) // 5 % 2
            return super().seconds(call, times) * (2 if slow else 1)

    (design,) = found_of({"d": ("A",)}, 1.25, InTurns()).designs
    assert design.whole_high == pytest.approx(2 * design.whole_low)
    assert design.ratio_low == pytest.approx(0.8)
    assert design.ratio_high == pytest.approx(0.8)


def test_designs_of_the_same_layers_are_measured_once_and_told_of_twice() -> None:
    clock = Steady()
    found = found_of({"one": ("A", "M"), "alias": ("A", "M"), "other": ("M",)}, clock=clock)
    wholes = {id(call) for call in clock.calls if isinstance(call, Call) and call.seconds not in SECONDS.values()}
    assert len(wholes) == 2 + 2  # stacks of A and M, and two designs
    one, alias, other = found.designs
    assert one.model_copy(update={"design": "alias"}) == alias
    assert other.pattern == "M"


# --- memory -----------------------------------------------------------------------------------------------------------


def test_what_is_too_large_as_a_whole_is_left_out_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    work, small, large = made_up(), ("A", "M"), ("A", "M") * 200
    room = int((needed_of_blocks(("A", "M"), work) + needed(small, work)) * 2 / module.USABLE)
    monkeypatch.setattr(module, "free", lambda device: room)
    found = found_of({"small": small, "large": large})
    fits, not_fits = found.designs
    assert fits.whole_seconds is not None
    assert not fits.note
    assert (not_fits.whole_seconds, not_fits.ratio, not_fits.whole_low) == (None, None, None)
    assert not_fits.sum_seconds == pytest.approx(200 * 4.0 + 4.75)
    assert not_fits.note.startswith("the whole needs ")


def test_designs_that_do_not_fit_together_are_measured_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    work, designs = made_up(), [("A",) * number for number in (30, 31, 32, 33)]
    blocks, each = needed_of_blocks(("A",), work), needed(designs[-1], work)
    room = int((blocks + 2 * each) / module.USABLE) + 1
    assert [len(group) for group in plan(work, designs, room).groups] == [2, 2]
    assert plan(work, designs, None).groups == (tuple(designs),)
    monkeypatch.setattr(module, "free", lambda device: room)
    told = list[float]()
    found = measure(work, {str(len(d)): d for d in designs}, Bounds(3, 1e9), told.append, Steady())
    assert [each.whole_seconds is not None for each in found.designs] == [True] * 4
    assert {each.repeats for each in found.blocks} == {6}  # of both groups
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)


def test_blocks_that_do_not_fit_are_refused_in_a_line() -> None:
    with pytest.raises(UserError, match=rf"{STACK} blocks of each kind at scale nano take .* in decode, .* free"):
        plan(made_up(), [("A",)], 1000)


def test_pytorchs_refusal_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(self: Workload, layers: Any) -> Any:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    monkeypatch.setattr(MadeUp, "model", refuses)
    with pytest.raises(UserError, match="latency: decode of 2 sequences of 64 tokens at scale nano does not fit"):
        found_of({"d": ("A",)})


# --- CUDA graphs ------------------------------------------------------------------------------------------------------


class NoCuda:
    """As much of torch.cuda as captures need, on no device."""

    def __init__(self) -> None:
        self.capturing = False

    def Stream(self) -> Any:
        return self

    current_stream = Stream

    def CUDAGraph(self) -> Any:
        return self

    def wait_stream(self, other: object) -> None:
        pass

    def stream(self, other: object) -> Any:
        from contextlib import nullcontext

        return nullcontext()

    def graph(self, graph: object) -> Any:
        return self

    def replay(self) -> None:
        pass

    def __enter__(self) -> None:
        self.capturing = True

    def __exit__(self, *error: object) -> None:
        self.capturing = False


def test_a_call_is_captured_after_it_was_warmed_up_and_then_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    from aira_lib.latency import graph

    cuda, called = NoCuda(), list[bool]()
    for name in ("Stream", "current_stream", "CUDAGraph", "stream", "graph"):
        monkeypatch.setattr(torch.cuda, name, getattr(cuda, name))
    replay = graph.graphed({"step": lambda: called.append(cuda.capturing) or "logits"})["step"]
    assert called == [False] * graph.PLAIN_CALLS + [True]
    assert replay() == replay() == "logits"
    assert len(called) == graph.PLAIN_CALLS + 1


@pytest.mark.parametrize("refused", [None, 0, 1])
def test_graphs_are_of_all_groups_or_of_none(refused: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sum of blocks that are launched one by one says nothing of a whole that is one graph."""
    work = MadeUp(scale_named("nano", 3), 2, 64, "decode", "bf16", torch.device("cuda"))
    one, other = ("A",) * 30, ("A",) * 31
    room = int((needed_of_blocks(("A",), work) + needed(other, work)) / module.USABLE) + 1
    assert plan(work, [one, other], room).groups == ((one,), (other,))
    captured = list[int]()

    def graphed(calls: dict[str, Call]) -> dict[str, Call]:
        captured.append(len(calls))
        if len(captured) - 1 == refused:
            raise RuntimeError("operation not permitted when stream is capturing")
        return {name: Call(call.seconds / 10) for name, call in calls.items()}

    for name, instead in (("free", lambda device: room), ("_peak", lambda call, work: 1), ("graphed", graphed)):
        monkeypatch.setattr(module, name, instead)
    found = measure(work, {"one": one, "other": other}, Bounds(4, 1e9), lambda share: None, Steady())
    scale = 0.1 if refused is None else 1.0
    assert found.graph is (refused is None)
    for block in found.blocks:
        assert (block.low, block.high) == pytest.approx((scale * SECONDS[block.block],) * 2)
        assert block.repeats == 2 * 4
    for design, layers in zip(found.designs, (one, other), strict=True):
        assert design.whole_seconds == pytest.approx(scale * (len(layers) * SECONDS["A"] + 4.75))
        assert design.ratio == pytest.approx(1.0)


def test_a_refusal_to_capture_is_no_want_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def graphed(calls: object) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(module, "graphed", graphed)
    with pytest.raises(torch.OutOfMemoryError):
        module._as_graphs({})


def test_trainings_are_no_graphs() -> None:
    for mode, device, can in (("train", "cuda", False), ("decode", "cuda", True), ("decode", "cpu", False)):
        work = MadeUp(scale_named("nano", 3), 2, 64, mode, "bf16", torch.device(device))  # type: ignore[arg-type]
        assert module._can_be_graphs(work) is can


@pytest.fixture
def cuda() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")


@pytest.mark.gpu
def test_on_a_gpu_a_graph_gives_what_plain_calls_give(cuda: None) -> None:
    work = Workload(scale_named("nano", 3), 2, 64, "decode", "bf16", torch.device("cuda"))
    from aira_lib.latency.graph import graphed

    for call in (work.model(("A", "Mb", "M", "W")), work.blocks("Mb", 2), work.end("head")):
        plain: Any = call()
        replayed: Any = graphed({"it": call})["it"]()
        assert torch.allclose(plain.float(), replayed.float(), atol=1e-2)


@pytest.mark.gpu
def test_on_a_gpu_all_modes_are_measured_with_their_peak(cuda: None) -> None:
    for mode in ("prefill", "decode", "train"):
        work = Workload(scale_named("nano", 3), 2, 64, mode, "bf16", torch.device("cuda"))  # type: ignore[arg-type]
        found = measure(work, {"d": ("A", "Mb", "M", "W")}, Bounds(3, 1.0), lambda share: None)
        assert found.graph is (mode != "train")
        assert found.designs[0].peak is not None
        assert found.designs[0].peak > found.designs[0].weights
