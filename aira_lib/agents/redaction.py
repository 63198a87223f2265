"""Text of others without the keys that may stand in it: a provider quotes them, a program may print them."""

import os
import re

_HIDDEN = "[redacted]"
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
_LEAST = 6  # characters of a secret; the values of shorter ones are words of any text
# How keys begin: those of OpenAI, Anthropic, Groq, xAI, Hugging Face, Replicate, NVIDIA, GitHub, Google, AWS.
_KEYS = re.compile(
    r"\b(?:(?:sk|pk|rk|gsk|xai|hf|r8|nvapi|pplx|gh[pousr]|github_pat|glpat|ya29)[-_.]|AIza|AKIA)[\w*.-]{6,}"
    r"|\bBearer\s{1,8}[^\s\"']{6,}"
    r"|(?<=://)[^/@\s:]{1,200}:[^/@\s]{1,200}(?=@)"
)


def redacted(text: str) -> str:
    """A text without what looks like a key, and without what the environment holds under the name of a secret."""
    for name, value in os.environ.items():
        if len(value) >= _LEAST and _SECRET.search(name) and value in text:
            text = text.replace(value, _HIDDEN)
    return _KEYS.sub(_HIDDEN, text)
