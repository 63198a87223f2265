"""What providers say when they refuse, and what is made of it; texts as they send them."""

import time
from email.utils import formatdate

import pytest

from aira_lib.agents.redaction import redacted
from aira_lib.agents.refusals import (
    LONGEST_WAIT,
    passing,
    prompt_too_long,
    remedy,
    setting_refused,
    wait_asked_for,
    what_it_said,
    without_credit,
)


class Error(Exception):
    def __init__(self, status_code: int | None, text: str, **headers: str) -> None:
        super().__init__(text)
        if status_code is not None:
            self.status_code = status_code
        self.litellm_response_headers = headers


@pytest.mark.parametrize(
    "error",
    [
        Error(
            400, "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
        ),
        Error(400, "prompt is too long: 210000 tokens > 200000 maximum"),
        Error(400, "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"),
        Error(400, "the request exceeds the available context size. try increasing the context size"),
        Error(400, "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."),
        Error(400, "Input is too long for requested model."),
        Error(422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000"),
        Error(413, "Request too large for model `x`: Limit 6000, Requested 20000"),
        Error(400, "Please reduce the length of the messages or completion."),
    ],
)
def test_a_prompt_that_is_too_long_in_all_words(error: Exception) -> None:
    assert prompt_too_long(error)
    assert not passing(error)


@pytest.mark.parametrize(
    "error",
    [
        Error(429, "Rate limit reached for gpt-5 on tokens per minute (TPM): Limit 30000, Used 29000, Requested 2000."),
        Error(400, "max_tokens is too large: 8192. This model supports at most 4096 completion tokens"),
        Error(None, "context length"),
    ],
)
def test_others_are_not(error: Exception) -> None:
    assert not prompt_too_long(error)


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (Error(400, "Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1) value "
                    "is supported."), "temperature"),
        (Error(400, "litellm.UnsupportedParamsError: gpt-5 models don't support temperature=0.7."), "temperature"),
        (Error(400, "`temperature` is deprecated for this model."), "temperature"),
        (Error(422, '{"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}'),
         "seed"),
        (Error(400, "seed: Extra inputs are not permitted"), "seed"),
        (Error(400, "property 'seed' is unsupported"), "seed"),
        (Error(400, "Unrecognized request argument supplied: seed"), "seed"),
        (Error(400, "temperature must be between 0 and 1"), None),
        (Error(400, "'temperature' 3 is greater than the supported maximum"), None),
        (Error(400, "temperatures are not supported"), None),
        (Error(500, "seed not permitted"), None),
        (Error(400, "no such thing is supported"), None),
    ],
)  # fmt: skip
def test_settings_that_a_model_does_not_take(error: Exception, refused: str | None) -> None:
    assert setting_refused(error) == refused


@pytest.mark.parametrize(
    ("error", "none_left"),
    [
        (Error(429, "You exceeded your current quota, please check your plan and billing details."), True),
        (Error(429, "{'type': 'insufficient_quota'}"), True),
        (Error(402, "Insufficient Balance"), True),
        (Error(400, "Your credit balance is too low to access the Anthropic API."), True),
        (Error(429, "You exceeded your current quota, please check your plan. Please retry in 34.07s."), False),
        (Error(429, "You exceeded your current quota.", **{"retry-after": "30"}), False),
        (Error(429, "Rate limit reached"), False),
        (Error(500, "insufficient_quota"), False),
    ],
)
def test_an_account_without_credit_is_not_busy(error: Exception, none_left: bool) -> None:
    assert without_credit(error) == none_left
    assert passing(error) != none_left
    if none_left:
        assert "no credit" in remedy(error, "KEY")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("reasoning_effort is not supported", "set another reasoning_effort, or none"),
        ("temperature must be between 0 and 1", "set another temperature"),
        ("the moon is not full", "choose another model"),
    ],
)
def test_what_to_do(text: str, told: str) -> None:
    assert told in remedy(Error(400, text), "KEY")


@pytest.mark.parametrize(("header", "wait"), [
    ("3", 3.0), ("0.5", 0.5), ("86400", LONGEST_WAIT), ("-4", 0.0), ("nan", 0.0),
    ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("Wed, 99 Oct", 0.0), ("soon", 0.0), (None, 0.0),
])  # fmt: skip
def test_how_long_a_provider_asks_to_wait(header: str | None, wait: float) -> None:
    assert wait_asked_for(Error(429, "", **({"retry-after": header} if header else {}))) == wait


def test_a_date_to_come_again_counts() -> None:
    at = formatdate(time.time() + 20, usegmt=True)
    assert 15 < wait_asked_for(Error(429, "", **{"retry-after": at})) <= 20
    at = formatdate(time.time() + 9_000, usegmt=True)
    assert wait_asked_for(Error(429, "", **{"retry-after": at})) == LONGEST_WAIT


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("bad key sk-proj-abc_DEF-123456789 given", "bad key [redacted] given"),
        ("sk-ant-api03-aaaaaaaaaaa", "[redacted]"),
        ("key sk-abc*****wxyz", "key [redacted]"),
        ("gsk_abcdefghijkl AIzaSyA1234567890 hf_abcdefghijkl", "[redacted] [redacted] [redacted]"),
        ("Authorization: Bearer abcdef.ghijkl", "Authorization: [redacted]"),
        ("http://user:pass-word@host/x", "http://[redacted]@host/x"),
        ("the planted value", "the [redacted] value"),
        ("a task-runner is no key", "a task-runner is no key"),
    ],
)
def test_keys_are_hidden(text: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "planted")
    assert redacted(text) == shown


def test_a_providers_text_is_one_short_line() -> None:
    said = what_it_said(Error(400, "two\nlines \x1b[2J and " + "more " * 200))
    assert said.startswith("two lines [2J and more")
    assert len(said) < 320
