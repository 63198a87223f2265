"""Answers of a model to the harness: those of plain computation, whatever they are computed with."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from aira_lib.architecture.pattern import parse
from aira_lib.architecture.scales import Scale
from aira_lib.datasets.study import DataSection
from aira_lib.downstream import adapter, shared
from aira_lib.downstream.adapter import HarnessModel
from aira_lib.downstream.tokens import PromptTokenizer, prompt_tokenizer
from aira_lib.errors import UserError
from aira_lib.models import loss
from aira_lib.models.language_model import LanguageModel
from aira_lib.models.precision import rounded
from aira_lib.records import TrainingRun
from tests.aira_lib.training import tiny

pytestmark = pytest.mark.usefixtures("plain_kernels")
CONTEXT = tiny.SCALE.seq_len
PATTERNS = ("A-M-Mb", "W-M-Mb")


def scale() -> Scale:
    return tiny.SCALE.model_copy(update={"attention_window": 8})


def model(pattern: str = "A-M-Mb", seed: int = 0) -> LanguageModel:
    """One whose likeliest tokens are likely: weights are larger than a training begins with."""
    torch.manual_seed(seed)
    made = LanguageModel(parse(pattern), scale(), init_std=0.5)
    return made.eval()


def tokens(packing: str = "across") -> PromptTokenizer:
    run = TrainingRun(
        point=tiny.point(1), final_train_loss=1.0, steps=1, tokens=1, flops=1.0, status="ok", data={"packing": packing}
    )
    return prompt_tokenizer(run, DataSection())


def harness(of: LanguageModel, packing: str = "across", **settings: Any) -> HarnessModel:
    return HarnessModel(of, scale(), tokens(packing), **settings)


def ask(kind: Any, *arguments: Any, item: int = 0, task: str = "t") -> Instance:
    return Instance(kind, {}, arguments, 0, (task, item, 1))


def asked(seed: int = 1) -> list[Instance]:
    """Items of one to five choices and prompts of all lengths, some longer than the context."""
    rng = random.Random(seed)

    def text(most: int) -> str:
        return "".join(rng.choices("ab cdé\n", k=rng.randint(1, most)))

    found = []
    for item in range(12):
        prompt = text(60)
        choices = [" A", " B", " C"] if item % 3 == 0 else [f" {text(20)}" for _ in range(rng.randint(1, 5))]
        found += [ask("loglikelihood", prompt, choice, item=item) for choice in choices]
    return [*found, ask("loglikelihood", "", " alone", item=12), ask("loglikelihood", "ends in spaces  ", "x", item=13)]


def chances(of: LanguageModel, inputs: Sequence[int]) -> torch.Tensor:
    """Log-probabilities [positions, vocab] of one sequence by the plain forward pass."""
    with torch.no_grad():
        return torch.log_softmax(of(torch.tensor([list(inputs)]))[0].double(), -1)


def plainly(of: LanguageModel, prompt: Sequence[int], rest: Sequence[int]) -> tuple[float, bool]:
    """What lm-evaluation-harness computes of one request: the end of prompt and continuation, in one sequence."""
    read = [*prompt, *rest][-CONTEXT - 1 :]
    found = chances(of, read[:-1])[-len(rest) :]
    return found[range(len(rest)), list(rest)].sum().item(), found.argmax(-1).tolist() == list(rest)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("batch_tokens", [1, 100, 16_384])
def test_log_likelihoods_are_those_of_each_request_alone_however_they_are_batched(
    pattern: str, batch_tokens: int
) -> None:
    of, requests = model(pattern), asked()
    answers = harness(of, batch_tokens=batch_tokens).loglikelihood(requests)
    for request, (nats, greedy) in zip(requests, answers, strict=True):
        prompt, rest = (text.encode() for text in request.args)
        spaces = len(prompt) - len(prompt.rstrip())
        cut = len(prompt) - spaces
        expected = plainly(of, [0, *prompt[:cut]], prompt[cut:] + rest)
        assert (nats, greedy) == (pytest.approx(expected[0], rel=1e-5), expected[1])


def test_a_continuation_of_the_likeliest_tokens_is_greedy_and_no_other_is() -> None:
    of = model()
    read, rest = [0, *b"begin"], list[int]()
    for _ in range(6):
        rest.append(int(chances(of, read + rest)[-1].argmax()))
    likeliest = [(("begin", "x"), read, rest), (("begin", "y"), read, [*rest[:-1], (rest[-1] + 1) % 256])]
    answers = harness(of)._loglikelihood_tokens(likeliest)
    assert [answer.greedy for answer in answers] == [True, False]


def test_a_continuation_longer_than_the_context_is_scored_whole_with_half_a_context_before_each_part() -> None:
    of, rest = model(), list(b"the quick brown fox jumps over the lazy dog and on")
    ((nats, _),) = harness(of).loglikelihood([ask("loglikelihood", "begin", bytes(rest).decode())])
    sequence, expected = [0, *b"begin", *rest], 0.0
    for begin in range(6, len(sequence), CONTEXT // 2):
        end = min(begin + CONTEXT // 2, len(sequence))
        expected += plainly(of, sequence[:begin], sequence[begin:end])[0]
    assert nats == pytest.approx(expected, rel=1e-5)


def test_a_rolling_log_likelihood_has_the_windows_of_the_harness() -> None:
    of, texts = model(), ["short", "text " * 17, "x" * CONTEXT, "y" * (CONTEXT + 1)]
    answers = harness(of, batch_tokens=70).loglikelihood_rolling([ask("loglikelihood_rolling", text) for text in texts])
    for text, nats in zip(texts, answers, strict=True):
        windows = map(make_disjoint_window, get_rolling_token_windows(list(text.encode()), 0, CONTEXT, 1))
        assert nats == pytest.approx(sum(plainly(of, *window)[0] for window in windows), rel=1e-5)


def test_where_training_kept_documents_apart_prompts_follow_nothing() -> None:
    of = model()
    ask_all = [
        ask("loglikelihood", "prompt", " rest"),
        ask("loglikelihood", "", "rest"),
        ask("loglikelihood", " ", "r"),
    ]
    answers = [nats for nats, _ in harness(of, "masked").loglikelihood(ask_all)]
    first, spaced = chances(of, [0])[0, ord("r")].item(), chances(of, [0])[0, ord(" ")].item()
    expected = [
        plainly(of, b"prompt", b" rest")[0],
        first + plainly(of, b"r", b"est")[0],
        spaced + plainly(of, b" ", b"r")[0],
    ]
    assert answers == pytest.approx(expected, rel=1e-5)
    rolled = harness(of, "masked").loglikelihood_rolling([ask("loglikelihood_rolling", "rest")])
    assert rolled == pytest.approx([expected[1]], rel=1e-5)


def test_the_head_sees_each_scored_position_once_and_a_chunk_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[int] = []
    original = loss._Head.logits

    def logits(self: Any, rows: torch.Tensor) -> torch.Tensor:
        met.append(len(rows))
        return original(self, rows)

    monkeypatch.setattr(loss._Head, "logits", logits)
    monkeypatch.setattr(loss, "CHUNK_BYTES", 5 * 256 * 4)
    requests = asked()
    harness(model()).loglikelihood(requests)
    spaces = [len(request.args[0]) - len(request.args[0].rstrip()) for request in requests]
    continuations = {
        request.args: len(request.args[1].encode()) + n for request, n in zip(requests, spaces, strict=True)
    }
    assert sum(met) == sum(continuations.values())
    assert max(met) == 5


def test_choices_of_a_letter_are_read_in_one_row() -> None:
    of, rows = model(), list[int]()
    hook = of.backbone.register_forward_pre_hook(lambda module, given: rows.append(len(given[0])))
    requests = [ask("loglikelihood", prompt, choice) for prompt in ("Answer:", "Why?") for choice in "ABCD"]
    answers = harness(of).loglikelihood(requests)
    hook.remove()
    assert sum(rows) == 2
    for request, (nats, _) in zip(requests, answers, strict=True):
        assert nats == pytest.approx(plainly(of, [0, *request.args[0].encode()], request.args[1].encode())[0], rel=1e-5)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_long_prompt_of_several_choices_is_read_once(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "LEAST_SAVED", 1)  # these models are too small for it to pay
    of, rng, read = model(pattern), random.Random(4), list[int]()
    prompts = ["".join(rng.choices("abcd", k=length)) for length in (20, 20, 18, 18, 25)]
    requests = [
        ask("loglikelihood", prompt, choice, item=item)
        for item, prompt in enumerate(prompts)
        for choice in ("A", "xyz", "x", "no", "wxyz")
    ]
    rng.shuffle(requests)
    expected = [plainly(of, [0, *each.args[0].encode()], each.args[1].encode()) for each in requests]
    layer = of.backbone.layers[0]
    extend = layer.extend
    layer.extend = lambda x, state: (read.append(x.shape[0] * x.shape[1]), extend(x, state))[1]  # type: ignore[assignment]
    for batch_tokens in (1, 300, 16_384):
        read.clear()
        answers = harness(of, batch_tokens=batch_tokens).loglikelihood(requests)
        assert [nats for nats, _ in answers] == pytest.approx([nats for nats, _ in expected], rel=1e-5)
        assert [greedy for _, greedy in answers] == [greedy for _, greedy in expected]
        own = sum(len(prompt) + 1 for prompt in prompts)
        assert own + 5 * (2 + 1 + 3) <= sum(read) <= own + 5 * 3 * 3  # each prompt once, and what follows it, padded


def test_in_bf16_it_computes_as_a_training_in_bf16_was_scored() -> None:
    of, request = model(), ask("loglikelihood", "begin", " and end")
    ((nats, _),) = harness(of, precision="bf16").loglikelihood([request])
    with rounded(torch.device("cpu"), "bf16"):
        expected = plainly(of, [0, *b"begin"], b" and end")[0]
    assert nats == pytest.approx(expected, rel=2e-3)
    assert nats != plainly(of, [0, *b"begin"], b" and end")[0]


# --- what is generated ------------------------------------------------------------------------------------------------


def likeliest(of: LanguageModel, prompt: bytes, most: int, until: Sequence[str]) -> str:
    """By a whole forward pass for each token."""
    read, added = [0, *prompt][-(CONTEXT - most) :], list[int]()
    while len(added) < most:
        added.append(int(chances(of, read + added)[-1].argmax()))
        text = bytes(token for token in added if token).decode("utf-8", "replace")
        if not added[-1]:
            return text
        if any(stop in text for stop in until):
            return min((text.split(stop)[0] for stop in until), key=len)
    return text


@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_is_generated_is_the_likeliest_whatever_prompts_are_continued_with_it(pattern: str) -> None:
    of, rng = model(pattern), random.Random(2)
    prompts = ["".join(rng.choices("ab c", k=length)) for length in (3, 5, 5, 21, 40)]
    alone = likeliest(of, prompts[0].encode(), 12, [])
    for most, stops in ((12, [alone[3], alone[6:8]]), (9, []), (1, [])):
        expected = [likeliest(of, prompt.encode(), most, stops) for prompt in prompts]
        requests = [ask("generate_until", prompt, {"until": stops, "max_gen_toks": most}) for prompt in prompts]
        for batch_tokens in (1, 90, 16_384):
            assert harness(of, batch_tokens=batch_tokens).generate_until(requests) == expected


def test_a_mark_of_the_end_ends_what_is_generated() -> None:
    of, bytes_, read = model(), tokens(), [0, *b"ab"]
    likely = [int(chances(of, read)[-1].argmax())]
    likely.append(int(chances(of, read + likely)[-1].argmax()))
    assert likely[0] != likely[1]
    for count, end in enumerate(likely, 1):
        found = HarnessModel(of, scale(), replace(bytes_, entry=bytes_.entry.model_copy(update={"end": end})))
        answers = found.generate_until([ask("generate_until", "ab", {"until": []})])
        assert answers == [bytes_.decode(likely[:count])]  # the tokenizer, which knows of another end, spells it


def test_tokens_that_would_be_drawn_are_refused() -> None:
    drawn = ask("generate_until", "ab", {"until": [], "do_sample": True, "temperature": 0.7}, task="stories")
    with pytest.raises(UserError, match="task stories: draws tokens"):
        harness(model()).generate_until([drawn])


# --- what is cut, kept, told ------------------------------------------------------------------------------------------


def fill(count: int) -> str:
    return "p" * count


def test_items_whose_prompts_were_cut_are_known_with_what_they_lost(tmp_path: Path) -> None:
    requests = [
        ask("loglikelihood", fill(CONTEXT - 4), "1234", item=4),  # with the prefix one more than is read, and the last
        ask("loglikelihood", fill(CONTEXT - 3), "1234", item=5),
        ask("loglikelihood", fill(CONTEXT - 3), "123456", item=5),
        ask("loglikelihood", "", fill(CONTEXT), item=6),
        ask("loglikelihood", fill(CONTEXT), "1", item=5, task="other"),
    ]
    generated = [
        ask("generate_until", fill(count), {"until": [], "max_gen_toks": 10}, item=count)
        for count in (CONTEXT - 11, CONTEXT - 10)
    ]
    expected = {("t", 5): 3, ("other", 5): 1, ("t", CONTEXT - 10): 1}
    for _ in range(2):  # computed, and from the cache
        found = harness(model(), cache=tmp_path)
        found.loglikelihood(requests)
        found.generate_until(generated)
        assert found.cut == expected
    assert found.computed == 0


def test_a_second_evaluation_computes_nothing_and_another_model_all(tmp_path: Path) -> None:
    requests, settings = asked(), {"until": ["\n"], "max_gen_toks": 5}

    def answers(of: LanguageModel, **changes: Any) -> tuple[Any, int]:
        found = harness(of, cache=tmp_path, **changes)
        texts = found.generate_until([ask("generate_until", "ab", settings), ask("generate_until", "b", settings)])
        rolled = found.loglikelihood_rolling([ask("loglikelihood_rolling", "text")])
        return (found.loglikelihood(requests), texts, rolled), found.computed

    distinct = len({request.args for request in requests}) + 3
    first, computed = answers(model())
    assert computed == distinct
    assert answers(model(), batch_tokens=64) == (first, 0)
    others: list[Callable[[], tuple[Any, int]]] = [
        lambda: answers(model(seed=1)),
        lambda: answers(model(), precision="bf16"),
        lambda: answers(model(), packing="masked"),
        lambda: answers(model("Mb-M-A")),
    ]
    for other in others:
        found, computed = other()
        assert computed == distinct
        assert found != first


def test_answers_of_a_slice_are_kept_before_the_next_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of, requests = model(), [ask("loglikelihood", f"{number}", "x") for number in range(10)]
    monkeypatch.setattr(adapter, "SLICE", 4)
    found = harness(of, cache=tmp_path)

    def interrupted(done: float, total: float) -> None:
        if done > 8:
            raise KeyboardInterrupt

    found.progress = interrupted
    with pytest.raises(KeyboardInterrupt):
        found.loglikelihood(requests)
    again = harness(of, cache=tmp_path)
    assert again.loglikelihood(requests) == harness(of).loglikelihood(requests)
    assert again.computed == 2


def test_progress_comes_to_its_end() -> None:
    told: list[tuple[float, float]] = []
    requests = asked()
    harness(model(), batch_tokens=100, progress=lambda done, total: told.append((done, total))).loglikelihood(requests)
    total = len({request.args for request in requests})
    assert told[-1] == (pytest.approx(total), total)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len(told) > 5
